/* SPDX-License-Identifier: Apache-2.0 */
/* Stellaris LM3S6965 evaluation board: UART0, a PL011. */

#include "board.h"

struct pl011 {
    uint32_t dr;
    uint32_t rsr;
    uint32_t reserved0[4];
    uint32_t fr;
    uint32_t reserved1[2];
    uint32_t ibrd;
    uint32_t fbrd;
    uint32_t lcrh;
    uint32_t cr;
};

#define UART0 ((volatile struct pl011 *)0x4000C000)
#define FR_TXFF (1u << 5)
#define LCRH_FEN (1u << 4)
#define LCRH_8BITS (3u << 5)
#define CR_UARTEN (1u << 0)
#define CR_TXE (1u << 8)

/* Run-mode clock gate of the UARTs. */
#define SYSCTL_RCGC1 (*(volatile uint32_t *)0x400FE104)
#define RCGC1_UART0 (1u << 0)

const char board_name[] = "lm3s6965evb";

void uart_init(void)
{
    SYSCTL_RCGC1 |= RCGC1_UART0;
    /* 115200 baud from the 12 MHz that the board starts with: 6 + 33 / 64. */
    UART0->ibrd = 6;
    UART0->fbrd = 33;
    UART0->lcrh = LCRH_8BITS | LCRH_FEN;
    UART0->cr = CR_UARTEN | CR_TXE;
}

void uart_put(char c)
{
    while (UART0->fr & FR_TXFF) {
    }
    UART0->dr = (unsigned char)c;
}
