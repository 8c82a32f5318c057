/* SPDX-License-Identifier: Apache-2.0 */
/* A LEON3 system of the GRLIB library: UART 0, an APBUART. */

#include "board.h"

struct apbuart {
    uint32_t data;
    uint32_t status;
    uint32_t control;
    uint32_t scaler;
};

#define UART0 ((volatile struct apbuart *)0x80000100)
#define STATUS_TE (1u << 2)
#define CONTROL_TE (1u << 1)

const char board_name[] = "leon3_generic";

void uart_init(void)
{
    UART0->scaler = 40000000 / (8 * 115200) - 1;
    UART0->control = CONTROL_TE;
}

void uart_put(char c)
{
    while (!(UART0->status & STATUS_TE)) {
    }
    UART0->data = (unsigned char)c;
}
