/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receives the stream of bench/uart-send.c on the second UART, and checks each
 * byte.  Sends a byte when it is ready, and another when it has checked all.
 * Says "uart-receive: FAILED" and why if a byte is not the one sent.
 */

#include "board.h"
#include "console.h"
#include "uart-stream.h"

static volatile uint32_t received; /* bytes, all of them right */
static volatile unsigned wrong;    /* the first that is not, or NONE */

#define NONE 0x100u

static void on_byte(unsigned char byte)
{
    if (byte == uart_stream_byte(received)) {
        received++;
    } else if (wrong == NONE) {
        wrong = byte;
    }
}

int main(void)
{
    wrong = NONE;
    link_init(on_byte);
    link_put('!');
    while (received < UART_STREAM_BYTES) {
        uint32_t seen = received;

        if (wrong != NONE) {
            print("uart-receive: FAILED byte %u is 0x%x, not 0x%x\n",
                  (unsigned)seen, wrong, uart_stream_byte(seen));
            return 1;
        }
        sleep_while(&received, seen);
    }
    link_put('!');
    print("uart-receive: received bytes=%u\n", UART_STREAM_BYTES);
    return 0;
}
