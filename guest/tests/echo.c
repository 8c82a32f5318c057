/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers every doorbell with one.
 *
 * Shared memory, little-endian 32-bit words from its start:
 *
 *     0       the value to write to DOORBELL (peer << 16 | vector), from the
 *             host
 *     1       how many doorbells were heard, each one answered
 *
 * Says "echo: listening id=ID" once it is up.
 */

#include "board.h"
#include "console.h"
#include "doorbells.h"
#include "ivshmem-flat.h"

int main(void)
{
    volatile uint32_t *words = (volatile uint32_t *)BOARD_SHM_MEMORY;
    uint32_t answered = 0;

    count_doorbells();
    print("echo: listening id=%u\n", (unsigned)ivshmem_flat_own_id(&shm));

    for (;;) {
        while (answered != doorbells) {
            uint32_t answer = ivshmem_flat_le32(words[0]);

            words[1] = ivshmem_flat_le32(++answered);
            ivshmem_flat_ring(&shm, answer >> 16, answer & 0xFFFF);
        }
        sleep_while(&doorbells, answered);
    }
}
