/* SPDX-License-Identifier: Apache-2.0 */
/* Sends back the messages of ethernet-call.c: see messages.h. */

#include "messages.h"

int main(void)
{
    echo(&ethernet_carrier);
}
