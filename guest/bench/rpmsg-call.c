/* SPDX-License-Identifier: Apache-2.0 */
/* Sends messages by RPMsg to examples/rpmsg-echo.c: see messages.h. */

#include "messages.h"

int main(void)
{
    call(&rpmsg_carrier, 4000, 2000);
    return 0;
}
