/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a stream of bytes to bench/uart-receive.c through the second UART.
 *
 * Says "uart-send: ready" when the other board may start, and at the end
 * "uart-send: sent bytes=BYTES ticks=TICKS".  The ticks are those of
 * board_ticks(), from the first byte sent until the other board has said that
 * it has checked the last.
 */

#include "board.h"
#include "console.h"
#include "uart-stream.h"

static volatile uint32_t heard; /* of the other board, in bytes */

static void on_byte(unsigned char byte)
{
    (void)byte;
    heard++;
}

static void wait_for(uint32_t bytes)
{
    for (uint32_t seen = heard; seen < bytes; seen = heard) {
        sleep_while(&heard, seen);
    }
}

int main(void)
{
    uint32_t start;

    link_init(on_byte);
    print("uart-send: ready\n");
    wait_for(1);
    start = board_ticks();
    for (uint32_t n = 0; n < UART_STREAM_BYTES; n++) {
        link_put(uart_stream_byte(n));
    }
    wait_for(2);
    print("uart-send: sent bytes=%u ticks=%u\n", UART_STREAM_BYTES,
          (unsigned)(board_ticks() - start));
    return 0;
}
