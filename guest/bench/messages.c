/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of messages.h, whatever carries the messages. */

#include <stdbool.h>

#include "board.h"
#include "console.h"
#include "messages.h"
#include "stream.h"

#define MESSAGE_WORDS (MESSAGE_MAX / 4)

static const struct carrier *carrier;
static bool is_called;

/* The caller's */
static size_t size;
static uint32_t answered;

static void make_message(uint32_t number, uint32_t words[MESSAGE_WORDS])
{
    for (size_t i = 0; i < size / 4; i++) {
        words[i] = stream_word((uint32_t)(number * MESSAGE_WORDS + i));
    }
}

static void on_first_message(const unsigned char *message, size_t bytes)
{
    (void)message;
    (void)bytes;
    is_called = true;
}

static void on_answer(const unsigned char *message, size_t bytes)
{
    uint32_t expected[MESSAGE_WORDS];
    const unsigned char *byte = (const unsigned char *)expected;

    if (bytes == 0) {
        return;
    }
    if (bytes != size) {
        print("messages: FAILED message %u has %u bytes, not %u\n",
              (unsigned)answered, (unsigned)bytes, (unsigned)size);
        halt();
    }
    make_message(answered, expected);
    for (size_t i = 0; i < bytes; i++) {
        if (message[i] != byte[i]) {
            print("messages: FAILED byte %u of message %u is 0x%x, not 0x%x\n",
                  (unsigned)i, (unsigned)answered, message[i], byte[i]);
            halt();
        }
    }
    answered++;
}

static void exchange(uint32_t number, size_t bytes, uint32_t at_once)
{
    uint32_t sent = 0, words[MESSAGE_WORDS];

    size = bytes;
    answered = 0;
    print("messages: %u bytes, %u at once: begins\n", (unsigned)bytes,
          (unsigned)at_once);
    while (answered < number) {
        uint32_t heard = *carrier->interrupts, before = answered;

        while (sent < number && sent - answered < at_once) {
            make_message(sent++, words);
            carrier->send((const unsigned char *)words, size);
        }
        carrier->poll(on_answer);
        if (answered == before) {
            sleep_while(carrier->interrupts, heard);
        }
    }
    print("messages: %u bytes, %u at once: %u came back\n", (unsigned)bytes,
          (unsigned)at_once, (unsigned)number);
}

static void wait_for_first_message(message_handler *handler)
{
    while (!is_called) {
        uint32_t heard = *carrier->interrupts;

        carrier->poll(handler);
        if (!is_called) {
            sleep_while(carrier->interrupts, heard);
        }
    }
}

void call(const struct carrier *by, uint32_t short_ones, uint32_t long_ones)
{
    static const uint32_t windows[] = { 1, MESSAGES_AT_ONCE };

    carrier = by;
    carrier->open();
    print("messages: waits\n");
    wait_for_first_message(on_first_message);
    for (size_t i = 0; i < 2; i++) {
        exchange(short_ones, SHORT_MESSAGE, windows[i]);
        exchange(long_ones, MESSAGE_MAX, windows[i]);
    }
}

static void on_call(const unsigned char *message, size_t bytes)
{
    is_called = true;
    carrier->send(message, bytes);
}

void echo(const struct carrier *by)
{
    carrier = by;
    carrier->open();
    wake_often();
    while (!is_called) {
        uint32_t heard = *carrier->interrupts;

        carrier->send(NULL, 0);
        carrier->poll(on_call);
        sleep_while(carrier->interrupts, heard);
    }
    for (;;) {
        uint32_t heard = *carrier->interrupts;

        carrier->poll(on_call);
        sleep_while(carrier->interrupts, heard);
    }
}
