/* SPDX-License-Identifier: Apache-2.0 */
/* Sends messages to ethernet-echo.c: see messages.h. */

#include "messages.h"

int main(void)
{
    call(&ethernet_carrier, 800, 400);
    return 0;
}
