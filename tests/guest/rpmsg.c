/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An RPMsg link, with the host in the same process. */

#include <string.h>

#include "ivshmem-rpmsg.h"
#include "check.h"

#define LINK 0x10000u
#define HOST_ADDRESS 0x401u
#define TOO_MANY 1000u

static uint32_t words[0x20000 / 4];
static struct ivshmem_flat_registers registers;
static struct ivshmem_flat shm;
static struct ivshmem_rpmsg rpmsg;
static volatile struct ivshmem_rpmsg_memory *memory;
static unsigned taken;
static bool host_goes_on;

/* All buffers of a vring, in order, so that buffer n is descriptor n. */
static void describe(volatile struct ivshmem_rpmsg_vring *vring, unsigned direction)
{
    for (uint16_t i = 0; i < IVSHMEM_RPMSG_BUFFERS; i++) {
        size_t offset = LINK + offsetof(struct ivshmem_rpmsg_memory, buffers) +
                        (direction * IVSHMEM_RPMSG_BUFFERS + i) *
                            IVSHMEM_RPMSG_BUFFER_BYTES;

        vring->descriptors[i].address = (uint32_t)(rpmsg.address + offset);
        vring->descriptors[i].bytes = IVSHMEM_RPMSG_BUFFER_BYTES;
        vring->available.ring[i] = i;
    }
}

static void make_available(volatile struct ivshmem_rpmsg_vring *vring)
{
    vring->available.index = (uint16_t)(vring->available.index + 1);
}

static bool on_message(void *context, const void *message, size_t bytes)
{
    (void)context;
    CHECK(bytes == 1 && *(const char *)message == 'x');
    if (host_goes_on && taken < TOO_MANY) {
        make_available(&memory->to_remote);
    }
    taken++;
    return true;
}

static void meet(void)
{
    struct ivshmem_name *table = (struct ivshmem_name *)words;
    struct ivshmem_name *host = ivshmem_names_enter(table, "host", 1);
    const struct ivshmem_name *remote = ivshmem_names_find(table, "remote");
    uint32_t start = ivshmem_names_start(remote);

    CHECK(!ivshmem_rpmsg_poll(&rpmsg));
    CHECK(ivshmem_names_closed(host, remote, start));
    CHECK(!ivshmem_names_clean(host, remote, start));
    CHECK(!ivshmem_rpmsg_poll(&rpmsg));
    CHECK(ivshmem_names_clean(host, remote, start));
}

/* A link that is up.  The host has a message 'x' in each buffer, none available. */
static void begin(void)
{
    memset(words, 0, sizeof(words));
    registers.ivposition = 0;
    ivshmem_flat_map(&shm, (uintptr_t)&registers, (uintptr_t)words, sizeof(words));
    ivshmem_rpmsg_defaults(&rpmsg);
    rpmsg.service = "test";
    rpmsg.handler = on_message;
    CHECK(ivshmem_rpmsg_open(&rpmsg, &shm));
    meet();
    memory = rpmsg.memory;
    describe(&memory->to_host, 0);
    describe(&memory->to_remote, 1);
    memory->to_host.available.index = IVSHMEM_RPMSG_BUFFERS;
    for (unsigned i = 0; i < IVSHMEM_RPMSG_BUFFERS; i++) {
        volatile struct ivshmem_rpmsg_message *message =
            (volatile struct ivshmem_rpmsg_message *)memory->buffers[1][i];

        message->source = HOST_ADDRESS;
        message->destination = IVSHMEM_RPMSG_OWN_ADDRESS;
        message->bytes = i > 0;
        *(volatile char *)(message + 1) = 'x';
    }
    memory->status = IVSHMEM_RPMSG_DRIVER_OK;
    make_available(&memory->to_remote);
    CHECK(ivshmem_rpmsg_poll(&rpmsg));
    ((volatile struct ivshmem_rpmsg_message *)memory->buffers[1][0])->bytes = 1;
    taken = 0;
    host_goes_on = false;
}

static void test_messages(void)
{
    begin();
    CHECK(ivshmem_rpmsg_poll(&rpmsg) && taken == 0);
    for (unsigned i = 0; i < IVSHMEM_RPMSG_BUFFERS; i++) {
        make_available(&memory->to_remote);
    }
    CHECK(ivshmem_rpmsg_poll(&rpmsg) && taken == IVSHMEM_RPMSG_BUFFERS);
    CHECK(memory->to_remote.used.index == memory->to_remote.available.index);
}

/* The guest gets to do something else, even if the host always has one more. */
static void test_host_that_goes_on(void)
{
    begin();
    host_goes_on = true;
    make_available(&memory->to_remote);
    for (unsigned polls = 1; polls <= 3; polls++) {
        CHECK(ivshmem_rpmsg_poll(&rpmsg));
        CHECK(taken == polls * IVSHMEM_RPMSG_BUFFERS);
    }
}

static void test_index_with_nonsense(void)
{
    begin();
    memory->to_remote.available.index = 0x8000;
    CHECK(ivshmem_rpmsg_poll(&rpmsg) && taken == IVSHMEM_RPMSG_BUFFERS);
}

int main(void)
{
    test_messages();
    test_host_that_goes_on();
    test_index_with_nonsense();
    return failures;
}
