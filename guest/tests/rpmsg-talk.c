/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPMsg from a board that sends first: announces the service "talk", sends MESSAGES
 * messages of all sizes as soon as there is a link, up to AT_ONCE at a time, and
 * checks that each comes back as it was.  Begins anew when the host does.
 *
 * Says "rpmsg-talk: linked" and "rpmsg-talk: NUMBER messages came back", or
 * "rpmsg-talk: FAILED" and why.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "ivshmem-rpmsg.h"

#define MESSAGES 2000u
#define AT_ONCE 4u
#define MESSAGE_MAX (IVSHMEM_RPMSG_BUFFER_BYTES - 16u)

static struct ivshmem_rpmsg link;
static uint32_t sent, answered;

static size_t make_message(uint32_t number, unsigned char *data)
{
    const size_t bytes = 1 + number % MESSAGE_MAX;

    for (size_t i = 0; i < bytes; i++) {
        data[i] = (unsigned char)(number + i);
    }
    return bytes;
}

static bool on_message(void *context, const void *message, size_t bytes)
{
    const unsigned char *got = (const unsigned char *)message;
    unsigned char expected[MESSAGE_MAX];

    (void)context;
    if (answered == sent || bytes != make_message(answered, expected)) {
        print("rpmsg-talk: FAILED message %u of %u came back with %u bytes\n",
              (unsigned)answered, (unsigned)sent, (unsigned)bytes);
        halt();
    }
    for (size_t i = 0; i < bytes; i++) {
        if (got[i] != expected[i]) {
            print("rpmsg-talk: FAILED byte %u of message %u is 0x%x, not 0x%x\n",
                  (unsigned)i, (unsigned)answered, got[i], expected[i]);
            halt();
        }
    }
    answered++;
    if (answered % 500 == 0) {
        print("rpmsg-talk: %u messages came back\n", (unsigned)answered);
    }
    return true;
}

static void send_more(void)
{
    static unsigned char data[MESSAGE_MAX];

    while (sent < MESSAGES && sent - answered < AT_ONCE &&
           ivshmem_rpmsg_send(&link, data, make_message(sent, data))) {
        sent++;
    }
}

int main(void)
{
    bool was_up = false;

    find_device();
    count_doorbells();
    wake_often();
    ivshmem_rpmsg_defaults(&link);
    link.service = "talk";
    link.handler = on_message;
    if (!ivshmem_rpmsg_open(&link, &shm)) {
        print("rpmsg-talk: FAILED the table of names is full: restart the server\n");
        halt();
    }
    for (;;) {
        uint32_t heard = doorbells;
        bool is_up = ivshmem_rpmsg_poll(&link);

        if (is_up && !was_up) {
            print("rpmsg-talk: linked\n");
            sent = answered = 0;
        }
        was_up = is_up;
        send_more();
        sleep_while(&doorbells, heard);
    }
}
