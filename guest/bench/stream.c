/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a stream of words to another VM through a ring buffer, and has it
 * check each of them.  The VM with ID 0 receives, the one with ID 1 sends.
 *
 * Shared memory, little-endian 32-bit words, each with one writer:
 *
 *     0x000   words     how many to send, from the host before the VMs start:
 *                       a multiple of CHUNK_WORDS
 *     0x040   listens   1: the receiver takes words and doorbells
 *     0x080   written   words that the sender has put into the buffer so far
 *     0x084   waits     1: ring the sender when there is room
 *     0x0C0   read      words that the receiver has checked so far
 *     0x0C4   waits     1: ring the receiver when there are words
 *     0x1000  buffer    word n of the stream is in place n % BUFFER_WORDS
 *
 * Who has nothing to do says so, looks once more, and sleeps.
 *
 * The sender says "stream: sent bytes=BYTES ticks=TICKS", the ticks being those
 * of board_ticks() from the first word written until the last was checked.  The
 * receiver says "stream: FAILED" and why where a word is not the one sent.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "stream.h"

#define BUFFER_WORDS (64u * 1024)
#define CHUNK_WORDS 4096u /* at a time, before telling the other side */

#define LINE __attribute__((aligned(64)))

struct shared {
    uint32_t words;
    LINE uint32_t listens;
    LINE uint32_t written;
    uint32_t sender_waits;
    LINE uint32_t read;
    uint32_t receiver_waits;
    __attribute__((aligned(0x1000))) uint32_t buffer[BUFFER_WORDS];
};

static struct shared *const shared = (struct shared *)BOARD_SHM_MEMORY;

/* Tells the other VM how far this one is. */
static void tell(uint32_t *progress, uint32_t value,
                 const uint32_t *other_waits, uint16_t other)
{
    ivshmem_flat_store32(progress, value);
    ivshmem_flat_barrier();
    if (ivshmem_flat_load32(other_waits)) {
        ivshmem_flat_ring(&shm, other, 0);
    }
}

/* Sleeps until the other VM has told of more than what was seen. */
static uint32_t wait_for_more(const uint32_t *progress, uint32_t seen,
                              uint32_t *waits)
{
    if (ivshmem_flat_load32(progress) == seen) {
        ivshmem_flat_store32(waits, 1);
        for (;;) {
            uint32_t rung = doorbells;

            ivshmem_flat_barrier();
            if (ivshmem_flat_load32(progress) != seen) {
                break;
            }
            sleep_while(&doorbells, rung);
        }
        ivshmem_flat_store32(waits, 0);
    }
    return ivshmem_flat_load32(progress);
}

static void send(uint32_t words)
{
    uint32_t written = 0, read = 0, start;

    while (!ivshmem_flat_load32(&shared->listens)) {
    }
    start = board_ticks();
    while (written < words) {
        uint32_t *to = &shared->buffer[written % BUFFER_WORDS];

        while (written + CHUNK_WORDS - read > BUFFER_WORDS) {
            read = wait_for_more(&shared->read, read, &shared->sender_waits);
        }
        for (uint32_t end = written + CHUNK_WORDS; written < end; written++) {
            *to++ = ivshmem_flat_le32(stream_word(written));
        }
        tell(&shared->written, written, &shared->receiver_waits, 0);
    }
    while (read < words) {
        read = wait_for_more(&shared->read, read, &shared->sender_waits);
    }
    print("stream: sent bytes=%u ticks=%u\n", (unsigned)words * 4,
          (unsigned)(board_ticks() - start));
}

static void receive(uint32_t words)
{
    uint32_t written = 0, read = 0;

    ivshmem_flat_store32(&shared->listens, 1);
    while (read < words) {
        const uint32_t *from = &shared->buffer[read % BUFFER_WORDS];

        if (written == read) {
            written = wait_for_more(&shared->written, read,
                                    &shared->receiver_waits);
        }
        for (uint32_t end = read + CHUNK_WORDS; read < end; read++) {
            uint32_t word = ivshmem_flat_le32(*from++);

            if (word != stream_word(read)) {
                print("stream: FAILED word %u is 0x%x, not 0x%x\n",
                      (unsigned)read, (unsigned)word,
                      (unsigned)stream_word(read));
                return;
            }
        }
        tell(&shared->read, read, &shared->sender_waits, 1);
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
        print("stream: FAILED own ID is %u, possible are 0 and 1\n", id);
    }
    return 0;
}
