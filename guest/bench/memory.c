/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the shared memory with the board's own RAM: the same stores, loads
 * and copies, alternately in each.  Needs 256 KiB of RAM.
 *
 * Says a line for each turn of each kind of access,
 *
 *     memory: KIND bytes=BYTES ram=TICKS window=TICKS
 *
 * where KIND is store, load or copy, and TICKS are those of board_ticks() that
 * it took.  Then it says "memory: done", or "memory: FAILED" and why if a word
 * that it reads is not what was written.
 */

#include <stdbool.h>

#include "board.h"
#include "console.h"

/*
 * Two blocks are less than the 256 KiB that QEMU's TLB maps, an entry for each
 * KiB: at that distance they would take each other's entries.
 */
#define WORDS (24u * 1024)
#define BYTES (WORDS * 4)
#define PASSES 4u /* over all words, in each turn */
#define TURNS 60u

/* Two blocks each, to copy from one to the other. */
static uint32_t own[2][WORDS];
static uint32_t (*const window)[WORDS] = (uint32_t (*)[WORDS])BOARD_SHM_MEMORY;

/* The compiler must not leave out or delay any pass. */
static void finish_pass(void)
{
    __asm__ volatile("" : : : "memory");
}

static bool store(uint32_t blocks[2][WORDS], uint32_t seed)
{
    for (uint32_t pass = 0; pass < PASSES; pass++) {
        for (uint32_t *word = blocks[0]; word < blocks[0] + WORDS; word += 8) {
            word[0] = seed;
            word[1] = seed + 1;
            word[2] = seed + 2;
            word[3] = seed + 3;
            word[4] = seed + 4;
            word[5] = seed + 5;
            word[6] = seed + 6;
            word[7] = seed + 7;
        }
        finish_pass();
    }
    return true;
}

static bool load_from(const uint32_t *block, uint32_t passes, uint32_t seed)
{
    uint32_t expected = (8 * seed + 28) * (WORDS / 8);

    for (uint32_t pass = 0; pass < passes; pass++) {
        uint32_t sum = 0;

        for (const uint32_t *word = block; word < block + WORDS; word += 8) {
            sum += word[0];
            sum += word[1];
            sum += word[2];
            sum += word[3];
            sum += word[4];
            sum += word[5];
            sum += word[6];
            sum += word[7];
        }
        finish_pass();
        if (sum != expected) {
            print("memory: FAILED sum of the words is 0x%x, not 0x%x\n",
                  (unsigned)sum, (unsigned)expected);
            return false;
        }
    }
    return true;
}

static bool load(uint32_t blocks[2][WORDS], uint32_t seed)
{
    return load_from(blocks[0], PASSES, seed);
}

static bool copy(uint32_t blocks[2][WORDS], uint32_t seed)
{
    (void)seed;
    for (uint32_t pass = 0; pass < PASSES; pass++) {
        const uint32_t *from = blocks[0];

        for (uint32_t *to = blocks[1]; to < blocks[1] + WORDS; to += 8) {
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
            to[3] = from[3];
            to[4] = from[4];
            to[5] = from[5];
            to[6] = from[6];
            to[7] = from[7];
            from += 8;
        }
        finish_pass();
    }
    return true;
}

static const struct {
    const char *name;
    bool (*run)(uint32_t blocks[2][WORDS], uint32_t seed);
} kinds[] = { { "store", store }, { "load", load }, { "copy", copy } };

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Adds to *ticks what a kind of access takes. */
static bool measure(unsigned kind, uint32_t blocks[2][WORDS], uint32_t seed,
                    uint32_t *ticks)
{
    uint32_t start = board_ticks();
    bool ok = kinds[kind].run(blocks, seed);

    *ticks = board_ticks() - start;
    return ok;
}

int main(void)
{
    static uint32_t ram_ticks[TURNS][KINDS], window_ticks[TURNS][KINDS];

    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            if (!measure(kind, own, turn, &ram_ticks[turn][kind]) ||
                !measure(kind, window, turn, &window_ticks[turn][kind])) {
                return 1;
            }
        }
        /* What was copied is read in no turn. */
        if (!load_from(own[1], 1, turn) || !load_from(window[1], 1, turn)) {
            return 1;
        }
    }

    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            print("memory: %s bytes=%u ram=%u window=%u\n", kinds[kind].name,
                  BYTES * PASSES, (unsigned)ram_ticks[turn][kind],
                  (unsigned)window_ticks[turn][kind]);
        }
    }
    print("memory: done\n");
    return 0;
}
