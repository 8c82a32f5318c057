/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two virtual machines send each other messages through ring buffers, one in each
 * direction, and sleep when there is nothing to do.  Either may start first.
 *
 * A message is one byte with the length of the text, and the text.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "ivshmem-fifo.h"

#define FIFO_SIZE 1024u
#define FIFO_STRIDE 0x1000u /* from one buffer to the next */
#define MESSAGES 500u
#define TEXT_MAX 26u

static struct ivshmem_fifo out, in;
static uint16_t peer;

static void *fifo_of(uint16_t writer)
{
    return ivshmem_flat_at(&shm, (writer & 1) * FIFO_STRIDE,
                           IVSHMEM_FIFO_BYTES(FIFO_SIZE));
}

/* The text is the first letters of the alphabet. */
static uint32_t length_of(uint32_t message)
{
    return message % TEXT_MAX + 1;
}

static bool send(uint32_t message)
{
    uint8_t bytes[1 + TEXT_MAX];

    bytes[0] = (uint8_t)length_of(message);
    for (uint32_t i = 1; i <= bytes[0]; i++) {
        bytes[i] = (uint8_t)('a' + i - 1);
    }
    if (!ivshmem_fifo_put(&out, bytes, 1u + bytes[0])) {
        return false;
    }
    if (ivshmem_fifo_must_ring(&out)) {
        ivshmem_flat_ring(&shm, peer, 0);
    }
    return true;
}

/* A message arrives as a whole, or not at all. */
static bool receive(uint32_t message)
{
    uint8_t length, text[TEXT_MAX + 1];

    if (!ivshmem_fifo_get(&in, &length, 1)) {
        return false;
    }
    if (length != length_of(message) || !ivshmem_fifo_get(&in, text, length)) {
        print("fifo: FAILED message %u has %u bytes\n", (unsigned)message, length);
        halt();
    }
    text[length] = '\0';
    if (text[0] != 'a' || text[length - 1] != 'a' + length - 1) {
        print("fifo: FAILED message %u is '%s'\n", (unsigned)message, (char *)text);
        halt();
    }
    if (ivshmem_fifo_must_ring(&in)) {
        ivshmem_flat_ring(&shm, peer, 0);
    }
    return true;
}

int main(void)
{
    uint32_t sent = 0, received = 0;
    uint16_t id;

    find_device();
    count_doorbells();
    id = ivshmem_flat_own_id(&shm);
    peer = id ^ 1;
    ivshmem_fifo_open(&out, fifo_of(id), FIFO_SIZE, IVSHMEM_FIFO_WRITER);
    ivshmem_fifo_open(&in, fifo_of(peer), FIFO_SIZE, IVSHMEM_FIFO_READER);
    print("fifo: id %u, peer %u\n", id, peer);

    while (sent < MESSAGES || received < MESSAGES) {
        uint32_t heard = doorbells;
        bool worked = false;

        while (sent < MESSAGES && send(sent)) {
            sent++;
            worked = true;
        }
        while (received < MESSAGES && receive(received)) {
            received++;
            worked = true;
        }
        if (ivshmem_fifo_is_broken(&out) || ivshmem_fifo_is_broken(&in)) {
            print("fifo: FAILED the memory was replaced or overwritten\n");
            halt();
        }
        if (!worked && (sent == MESSAGES || ivshmem_fifo_must_wait(&out, 1 + TEXT_MAX)) &&
            (received == MESSAGES || ivshmem_fifo_must_wait(&in, 1))) {
            sleep_while(&doorbells, heard);
        }
    }
    print("fifo: id %u sent %u and received %u messages\n", id, (unsigned)sent,
          (unsigned)received);
    return 0;
}
