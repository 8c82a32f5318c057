/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says "start-up" before it does anything else, for the host to see how soon.
 */

#include "board.h"
#include "console.h"

void reset_handler(void)
{
    uart_init();
    print("start-up\n");
    board_start();
}

int main(void)
{
    return 0;
}
