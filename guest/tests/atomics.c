/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Increments a shared word atomically, against another VM doing the same.
 *
 * Shared memory, little-endian 32-bit words from its start, all zero at first:
 *
 *     0     counter  the word incremented
 *     1, 2  round    that the VM with ID 0, 1 has reached
 *
 * Says "atomics: ok added=N" when done.  The sum is for the host to check.
 */

#include <stdbool.h>

#include "board.h"
#include "console.h"
#include "device.h"

#define VMS 2u
#define ROUNDS 100u
#define INCREMENTS 1000u /* in each round */

/* What an atomic addition is where the CPU has it in another byte order. */
static void increment(volatile uint32_t *word)
{
    uint32_t before = *word, after;

    do {
        after = ivshmem_flat_le32(ivshmem_flat_le32(before) + 1);
    } while (!__atomic_compare_exchange_n(word, &before, after, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

int main(void)
{
    uint32_t *counter, *rounds;
    uint16_t id;

    find_device();
    counter = (uint32_t *)ivshmem_flat_at(&shm, 0, 4);
    rounds = (uint32_t *)ivshmem_flat_at(&shm, 4, VMS * 4);
    id = ivshmem_flat_own_id(&shm);
    if (id >= VMS) {
        print("atomics: FAILED own ID is %u, must be 0 to %u\n", id,
              VMS - 1);
        return 1;
    }

    for (unsigned round = 1; round <= ROUNDS; round++) {
        /*
         * Meet again and again, so that the two really work side by side;
         * spinning, as waking up would part them.  Words with one writer each
         * do it without the atomicity that is being tested.
         */
        ivshmem_flat_store32(&rounds[id], round);
        while (ivshmem_flat_load32(&rounds[1 - id]) < round) {
        }
        for (unsigned i = 0; i < INCREMENTS; i++) {
            increment(counter);
        }
    }
    ivshmem_flat_barrier();
    print("atomics: ok added=%u\n", ROUNDS * INCREMENTS);
    return 0;
}
