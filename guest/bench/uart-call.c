/* SPDX-License-Identifier: Apache-2.0 */
/* Sends messages to uart-echo.c: see messages.h. */

#include "messages.h"

int main(void)
{
    call(&uart_carrier, 200, 16);
    return 0;
}
