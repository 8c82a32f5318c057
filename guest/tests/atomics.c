/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Increments a shared word atomically, against another VM doing the same.
 *
 * Shared memory, 32-bit words from its start, all zero at first:
 *
 *     0     counter  the word incremented
 *     1, 2  round    that the VM with ID 0, 1 has reached
 *
 * Says "atomics: ok added=N" when done.  The sum is for the host to check.
 */

#include "board.h"
#include "console.h"
#include "ivshmem-flat.h"

#define VMS 2u
#define ROUNDS 100u
#define INCREMENTS 1000u /* in each round */

int main(void)
{
    volatile uint32_t *counter = (volatile uint32_t *)BOARD_SHM_MEMORY;
    volatile uint32_t *rounds = counter + 1;
    struct ivshmem_flat shm;
    unsigned id;

    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    id = ivshmem_flat_own_id(&shm);
    if (id >= VMS) {
        print("atomics: FAILED own ID is %u, possible are 0 to %u\n", id,
              VMS - 1);
        return 1;
    }

    for (unsigned round = 1; round <= ROUNDS; round++) {
        /*
         * Meet again and again, so that the two really work side by side;
         * spinning, as waking up would part them.  Words with one writer each
         * do it without the atomicity that is being tested.
         */
        rounds[id] = round;
        while (rounds[1 - id] < round) {
        }
        for (unsigned i = 0; i < INCREMENTS; i++) {
            __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
        }
    }
    ivshmem_flat_barrier();
    print("atomics: ok added=%u\n", ROUNDS * INCREMENTS);
    return 0;
}
