/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arm MPS2 with the AN385 image: UART0 and UART1, CMSDK APB UARTs, and the
 * counter of the FPGA's I/O block.
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
#define UART1 ((volatile struct cmsdk_uart *)0x40005000)
#define UART1_RX_IRQ 2u
#define STATE_TXFULL (1u << 0)
#define STATE_RXFULL (1u << 1)
#define CTRL_TX_EN (1u << 0)
#define CTRL_RX_EN (1u << 1)
#define CTRL_RX_INT_EN (1u << 3)
#define INT_RX (1u << 1)

/* Counts cycles of the board's 25 MHz from the start. */
#define FPGAIO_COUNTER (*(const volatile uint32_t *)0x40028018)

const char board_name[] = "mps2-an385";

static void cmsdk_init(volatile struct cmsdk_uart *uart, uint32_t directions)
{
    uart->bauddiv = 25000000 / 115200;
    uart->ctrl = directions;
}

static void cmsdk_put(volatile struct cmsdk_uart *uart, unsigned char byte)
{
    while (uart->state & STATE_TXFULL) {
    }
    uart->data = byte;
}

void uart_init(void)
{
    cmsdk_init(UART0, CTRL_TX_EN);
}

void uart_put(char c)
{
    cmsdk_put(UART0, c);
}

static void (*link_received)(unsigned char byte);

static void link_vector(void)
{
    UART1->intstatus = INT_RX;
    while (UART1->state & STATE_RXFULL) {
        link_received((unsigned char)UART1->data);
    }
}

void link_init(void (*received)(unsigned char byte))
{
    link_received = received;
    cmsdk_init(UART1, CTRL_TX_EN | CTRL_RX_EN | CTRL_RX_INT_EN);
    irq_enable(UART1_RX_IRQ, link_vector);
}

void link_put(unsigned char byte)
{
    cmsdk_put(UART1, byte);
}

uint32_t board_ticks(void)
{
    return FPGAIO_COUNTER;
}
