/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPMsg as a carrier of messages: the host's end of a link, as OpenAMP has it.
 * ivshmem-rpmsg.h, which is the remote's end, explains the memory.  The code here
 * relies on a remote that uses buffers in their order.
 */

#include "board.h"
#include "device.h"
#include "ivshmem-rpmsg.h"
#include "messages.h"

#define LINK 0x10000u
#define BUFFERS IVSHMEM_RPMSG_BUFFERS
#define OWN_ADDRESS 0x401u

static volatile struct ivshmem_rpmsg_memory *memory;
static const struct ivshmem_name *remote;
static uint32_t remote_address; /* of the service, or 0 */
static uint16_t sent, received; /* buffers, modulo 2^16 */

static void ring(void)
{
    ivshmem_flat_ring(&shm, ivshmem_names_id(remote), 0);
}

static void describe(volatile struct ivshmem_rpmsg_vring *vring,
                     volatile unsigned char (*buffers)[IVSHMEM_RPMSG_BUFFER_BYTES])
{
    for (size_t i = 0; i < BUFFERS; i++) {
        vring->descriptors[i].address = (uint32_t)(uintptr_t)buffers[i];
        vring->descriptors[i].bytes = IVSHMEM_RPMSG_BUFFER_BYTES;
    }
}

static void set_up(void)
{
    volatile uint32_t *word = (volatile uint32_t *)memory;

    for (size_t i = 0; i < sizeof(*memory) / sizeof(*word); i++) {
        word[i] = 0;
    }
    describe(&memory->to_host, memory->buffers[0]);
    describe(&memory->to_remote, memory->buffers[1]);
    for (uint16_t i = 0; i < BUFFERS; i++) {
        memory->to_host.available.ring[i] = i;
    }
    memory->to_host.available.index = BUFFERS;
    memory->to_remote.available.flags = IVSHMEM_RPMSG_NO_RING;
}

/* By the rules of ivshmem-names.h, with a remote that is there. */
static void meet(void)
{
    struct ivshmem_name *table = (struct ivshmem_name *)BOARD_SHM_MEMORY;
    struct ivshmem_name *own =
        ivshmem_names_enter(table, "host", ivshmem_flat_own_id(&shm));
    uint32_t start;

    while ((remote = ivshmem_names_find(table, "remote")) == NULL) {
    }
    start = ivshmem_names_start(remote);
    while (!ivshmem_names_closed(own, remote, start)) {
    }
    set_up();
    while (!ivshmem_names_clean(own, remote, start)) {
    }
}

static void rpmsg_open(void)
{
    find_device();
    count_doorbells();
    memory = (volatile struct ivshmem_rpmsg_memory *)(BOARD_SHM_MEMORY + LINK);
    meet();
    ivshmem_flat_store32(&memory->status, IVSHMEM_RPMSG_DRIVER_OK);
    ring();
}

static void rpmsg_send(const unsigned char *data, size_t bytes)
{
    volatile struct ivshmem_rpmsg_vring *vring = &memory->to_remote;
    const uint16_t number = sent % BUFFERS;
    volatile struct ivshmem_rpmsg_message *message =
        (volatile struct ivshmem_rpmsg_message *)memory->buffers[1][number];
    volatile unsigned char *to = (volatile unsigned char *)(message + 1);

    message->source = OWN_ADDRESS;
    message->destination = remote_address;
    message->bytes = (uint16_t)bytes;
    message->flags = 0;
    for (size_t i = 0; i < bytes; i++) {
        to[i] = data[i];
    }
    vring->available.ring[number] = number;
    ivshmem_flat_barrier();
    vring->available.index = ++sent;
    ring();
}

static void take(const volatile struct ivshmem_rpmsg_message *message,
                 message_handler *handler)
{
    if (message->destination == IVSHMEM_RPMSG_NAME_SERVICE) {
        remote_address = message->source;
        rpmsg_send(NULL, 0); /* which the remote answers */
    } else {
        handler((const unsigned char *)(message + 1), message->bytes);
    }
}

static void rpmsg_poll(message_handler *handler)
{
    volatile struct ivshmem_rpmsg_vring *vring = &memory->to_host;
    const uint16_t before = received;

    while (vring->used.index != received) {
        uint16_t number;

        ivshmem_flat_barrier();
        number = (uint16_t)vring->used.ring[received % BUFFERS].descriptor;
        take((const volatile struct ivshmem_rpmsg_message *)
             memory->buffers[0][number], handler);
        vring->available.ring[received % BUFFERS] = number;
        ivshmem_flat_barrier();
        vring->available.index = (uint16_t)(++received + BUFFERS);
    }
    if (received != before) {
        ring();
    }
}

const struct carrier rpmsg_carrier = {
    rpmsg_open, rpmsg_send, rpmsg_poll, &doorbells,
};
