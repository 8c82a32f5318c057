/* SPDX-License-Identifier: Apache-2.0 */
/* Stellaris LM3S6965 evaluation board: UART0 and UART1, PL011s. */

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
    uint32_t ifls;
    uint32_t imsc;
};

#define UART0 ((volatile struct pl011 *)0x4000C000)
#define UART1 ((volatile struct pl011 *)0x4000D000)
#define UART1_IRQ 6u
#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define LCRH_FEN (1u << 4)
#define LCRH_8BITS (3u << 5)
#define CR_UARTEN (1u << 0)
#define CR_TXE (1u << 8)
#define CR_RXE (1u << 9)
#define INT_RX (1u << 4)

/* Run-mode clock gates of the UARTs. */
#define SYSCTL_RCGC1 (*(volatile uint32_t *)0x400FE104)
#define RCGC1_UART0 (1u << 0)
#define RCGC1_UART1 (1u << 1)

const char board_name[] = "lm3s6965evb";

static void pl011_init(volatile struct pl011 *uart, uint32_t directions)
{
    /* 115200 baud from the 12 MHz that the board starts with: 6 + 33 / 64. */
    uart->ibrd = 6;
    uart->fbrd = 33;
    uart->lcrh = LCRH_8BITS | LCRH_FEN;
    uart->cr = CR_UARTEN | directions;
}

static void pl011_put(volatile struct pl011 *uart, unsigned char byte)
{
    while (uart->fr & FR_TXFF) {
    }
    uart->dr = byte;
}

void uart_init(void)
{
    SYSCTL_RCGC1 |= RCGC1_UART0;
    pl011_init(UART0, CR_TXE);
}

void uart_put(char c)
{
    pl011_put(UART0, c);
}

static void (*link_received)(unsigned char byte);

static void link_vector(void)
{
    while (!(UART1->fr & FR_RXFE)) {
        link_received((unsigned char)UART1->dr);
    }
}

void link_init(void (*received)(unsigned char byte))
{
    link_received = received;
    SYSCTL_RCGC1 |= RCGC1_UART1;
    pl011_init(UART1, CR_TXE | CR_RXE);
    UART1->imsc = INT_RX;
    irq_enable(UART1_IRQ, link_vector);
}

void link_put(unsigned char byte)
{
    pl011_put(UART1, byte);
}
