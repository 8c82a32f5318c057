/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arm MPS2 with the AN385 image: UART0, a CMSDK APB UART, and the counter of
 * the FPGA's I/O block.
 */

#include "board.h"

struct cmsdk_uart {
    uint32_t data;
    uint32_t state;
    uint32_t ctrl;
    uint32_t intstatus;
    uint32_t bauddiv;
};

#define UART0 ((volatile struct cmsdk_uart *)0x40004000)
#define STATE_TXFULL (1u << 0)
#define CTRL_TX_EN (1u << 0)

/* Counts cycles of the board's 25 MHz from the start. */
#define FPGAIO_COUNTER (*(const volatile uint32_t *)0x40028018)

const char board_name[] = "mps2-an385";

void uart_init(void)
{
    UART0->bauddiv = 25000000 / 115200;
    UART0->ctrl = CTRL_TX_EN;
}

void uart_put(char c)
{
    while (UART0->state & STATE_TXFULL) {
    }
    UART0->data = (unsigned char)c;
}

uint32_t board_ticks(void)
{
    return FPGAIO_COUNTER;
}
