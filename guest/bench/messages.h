/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between two boards.  The caller sends them, and the other board sends
 * each one back.  messages-rpmsg.c, messages-uart.c or messages-ethernet.c
 * carries them.
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
 * Says "messages: waits".  When the other board has sent an empty message,
 * sends messages of each size, one at a time and then MESSAGES_AT_ONCE at a time.
 * Says "messages: BYTES bytes, COUNT at once: begins" and
 * "messages: BYTES bytes, COUNT at once: NUMBER came back".  If a reply differs from
 * what was sent, says "messages: FAILED" and why.
 */
void call(const struct carrier *carrier, uint32_t short_ones,
          uint32_t long_ones);

/* Sends empty messages until one arrives, then sends each one back, forever. */
void echo(const struct carrier *carrier) __attribute__((noreturn));

#endif /* BENCH_MESSAGES_H */
