/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between two boards.  The caller sends them, the other board sends
 * each back.  What carries them is one of messages-rpmsg.c, messages-uart.c and
 * messages-ethernet.c.
 */

#ifndef BENCH_MESSAGES_H
#define BENCH_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes; the longest is RPMsg's. */
#define SHORT_MESSAGE 16u
#define MESSAGE_MAX 496u

/* Messages under way, of any size, for which every carrier has room */
#define MESSAGES_AT_ONCE 16u

typedef void message_handler(const unsigned char *message, size_t bytes);

struct carrier {
    /* Prepares it, and begins to count *interrupts. */
    void (*open)(void);
    void (*send)(const unsigned char *message, size_t bytes);
    /* Calls handler for each message that has arrived. */
    void (*poll)(message_handler *handler);
    const volatile uint32_t *interrupts;
};

extern const struct carrier rpmsg_carrier, uart_carrier, ethernet_carrier;

/*
 * Says "messages: waits", and when the other board has sent an empty message,
 * sends messages of either size, one at a time and then MESSAGES_AT_ONCE at a time.
 * Says "messages: BYTES bytes, COUNT at once: begins" and
 * "messages: BYTES bytes, COUNT at once: NUMBER came back", or "messages: FAILED" and
 * why where one is not the one sent.
 */
void call(const struct carrier *carrier, uint32_t short_ones,
          uint32_t long_ones);

/* Sends back each message, for ever; before that, empty ones. */
void echo(const struct carrier *carrier) __attribute__((noreturn));

#endif /* BENCH_MESSAGES_H */
