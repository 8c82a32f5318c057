/* SPDX-License-Identifier: Apache-2.0 */
/* SiFive Freedom E310, as on the HiFive1: UART0. */

#include "board.h"

struct sifive_uart {
    uint32_t txdata;
    uint32_t rxdata;
    uint32_t txctrl;
    uint32_t rxctrl;
    uint32_t ie;
    uint32_t ip;
    uint32_t div;
};

#define UART0 ((volatile struct sifive_uart *)0x10013000)
#define TXDATA_FULL (1u << 31)
#define TXCTRL_TXEN (1u << 0)

const char board_name[] = "sifive_e";

void uart_init(void)
{
    UART0->div = 16000000 / 115200 - 1;
    UART0->txctrl = TXCTRL_TXEN;
}

void uart_put(char c)
{
    while (UART0->txdata & TXDATA_FULL) {
    }
    UART0->txdata = (unsigned char)c;
}
