/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPMsg without an operating system: announces the service "echo" to a host that
 * runs Zephyr or Linux, and sends back each message.  ivshmem-rpmsg.h explains
 * the rest.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "ivshmem-rpmsg.h"

static struct ivshmem_rpmsg link;

static bool on_message(void *context, const void *message, size_t bytes)
{
    (void)context;
    return ivshmem_rpmsg_send(&link, message, bytes);
}

int main(void)
{
    bool was_up = false;

    find_device();
    count_doorbells();
    wake_often();
    ivshmem_rpmsg_defaults(&link);
    link.service = "echo";
    link.handler = on_message;
    if (!ivshmem_rpmsg_open(&link, &shm)) {
        print("rpmsg-echo: FAILED the table of names is full: restart the server\n");
        halt();
    }
    print("rpmsg-echo: waiting for the host\n");
    for (;;) {
        uint32_t heard = doorbells;
        bool is_up = ivshmem_rpmsg_poll(&link);

        if (is_up != was_up) {
            print("rpmsg-echo: %s\n", is_up ? "linked" : "the host is gone");
            was_up = is_up;
        }
        sleep_while(&doorbells, heard);
    }
}
