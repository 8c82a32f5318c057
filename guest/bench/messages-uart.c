/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second UART as a carrier of messages: each is preceded by its length, two
 * bytes, the lower one first.
 */

#include <stdbool.h>

#include "board.h"
#include "messages.h"

/* Room for all that may be under way, a power of 2 */
#define FIFO_BYTES 8192u
_Static_assert(FIFO_BYTES >= MESSAGES_AT_ONCE * (MESSAGE_MAX + 2), "too few");

static unsigned char fifo[FIFO_BYTES];
static volatile uint32_t arrived; /* bytes, modulo 2^32 */
static uint32_t taken;

static void on_byte(unsigned char byte)
{
    fifo[arrived % FIFO_BYTES] = byte;
    arrived++;
}

static void uart_open(void)
{
    link_init(on_byte);
}

static void uart_send(const unsigned char *message, size_t bytes)
{
    link_put((unsigned char)bytes);
    link_put((unsigned char)(bytes >> 8));
    for (size_t i = 0; i < bytes; i++) {
        link_put(message[i]);
    }
}

static unsigned char next_byte(void)
{
    return fifo[taken++ % FIFO_BYTES];
}

static void uart_poll(message_handler *handler)
{
    static unsigned char message[MESSAGE_MAX];
    static size_t bytes;
    static bool has_length;

    for (;;) {
        uint32_t there = arrived - taken;

        if (!has_length && there >= 2) {
            bytes = next_byte();
            bytes |= (size_t)next_byte() << 8;
            has_length = true;
        } else if (has_length && there >= bytes) {
            for (size_t i = 0; i < bytes && i < MESSAGE_MAX; i++) {
                message[i] = next_byte();
            }
            has_length = false;
            handler(message, bytes);
        } else {
            return;
        }
    }
}

const struct carrier uart_carrier = {
    uart_open, uart_send, uart_poll, &arrived,
};
