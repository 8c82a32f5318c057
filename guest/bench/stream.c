/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a stream of words through a ring buffer to another VM, which checks each
 * of them.  The VM with ID 0 receives, the one with ID 1 sends.
 *
 * Shared memory:
 *
 *     0x000   how many words to send, from the host before the VMs start: a
 *             multiple of CHUNK_WORDS
 *     0x040   1: the receiver takes words and doorbells
 *     0x1000  the ring buffer
 *
 * The sender says "stream: sent bytes=BYTES ticks=TICKS".  The ticks are those of
 * board_ticks(), from the first word written until the last was checked.  The
 * receiver says "stream: FAILED" and why if a word is not the one sent.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "ivshmem-fifo.h"
#include "stream.h"

#define BUFFER_BYTES (256u * 1024)
#define CHUNK_WORDS 4096u /* at a time, before telling the other side */
#define CHUNK_BYTES (4 * CHUNK_WORDS)

struct shared {
    uint32_t words;
    __attribute__((aligned(64))) uint32_t listens;
    __attribute__((aligned(0x1000))) uint8_t fifo[IVSHMEM_FIFO_BYTES(BUFFER_BYTES)];
};

static struct shared *const shared = (struct shared *)BOARD_SHM_MEMORY;
static struct ivshmem_fifo fifo;

static void wait_for(uint32_t bytes)
{
    uint32_t heard = doorbells;

    while (ivshmem_fifo_must_wait(&fifo, bytes)) {
        sleep_while(&doorbells, heard);
        heard = doorbells;
    }
}

static void advance(uint16_t other)
{
    ivshmem_fifo_advance(&fifo, CHUNK_BYTES);
    if (ivshmem_fifo_must_ring(&fifo)) {
        ivshmem_flat_ring(&shm, other, 0);
    }
}

static void send(uint32_t words)
{
    uint32_t written = 0, start;

    ivshmem_fifo_open(&fifo, shared->fifo, BUFFER_BYTES, IVSHMEM_FIFO_WRITER);
    while (!ivshmem_flat_load32(&shared->listens)) {
    }
    start = board_ticks();
    while (written < words) {
        uint32_t bytes, *to;

        wait_for(CHUNK_BYTES);
        to = (uint32_t *)ivshmem_fifo_at(&fifo, &bytes);
        for (uint32_t end = written + CHUNK_WORDS; written < end; written++) {
            *to++ = ivshmem_flat_le32(stream_word(written));
        }
        advance(0);
    }
    wait_for(BUFFER_BYTES); /* until all is read */
    print("stream: sent bytes=%u ticks=%u\n", (unsigned)words * 4,
          (unsigned)(board_ticks() - start));
}

static void receive(uint32_t words)
{
    uint32_t read = 0;

    ivshmem_fifo_open(&fifo, shared->fifo, BUFFER_BYTES, IVSHMEM_FIFO_READER);
    ivshmem_flat_store32(&shared->listens, 1);
    while (read < words) {
        const uint32_t *from;
        uint32_t bytes;

        wait_for(CHUNK_BYTES);
        from = (const uint32_t *)ivshmem_fifo_at(&fifo, &bytes);
        for (uint32_t end = read + CHUNK_WORDS; read < end; read++) {
            uint32_t word = ivshmem_flat_le32(*from++);

            if (word != stream_word(read)) {
                print("stream: FAILED word %u is 0x%x, not 0x%x\n",
                      (unsigned)read, (unsigned)word,
                      (unsigned)stream_word(read));
                return;
            }
        }
        advance(1);
    }
    print("stream: received bytes=%u\n", (unsigned)words * 4);
}

int main(void)
{
    uint32_t words = ivshmem_flat_load32(&shared->words);
    uint16_t id;

    find_device();
    count_doorbells();
    id = ivshmem_flat_own_id(&shm);
    if (words == 0 || words % CHUNK_WORDS != 0) {
        print("stream: FAILED %u words to send, not a multiple of %u\n",
              (unsigned)words, CHUNK_WORDS);
    } else if (id == 0) {
        receive(words);
    } else if (id == 1) {
        send(words);
    } else {
        print("stream: FAILED own ID is %u, must be 0 or 1\n", id);
    }
    return 0;
}
