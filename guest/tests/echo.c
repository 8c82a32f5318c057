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
#include "device.h"

int main(void)
{
    uint32_t *words = (uint32_t *)BOARD_SHM_MEMORY;
    uint32_t answered = 0;

    find_device();
    count_doorbells();
    print("echo: listening id=%u\n", ivshmem_flat_own_id(&shm));

    for (;;) {
        while (answered != doorbells) {
            uint32_t answer = ivshmem_flat_load32(&words[0]);

            ivshmem_flat_store32(&words[1], ++answered);
            ivshmem_flat_ring(&shm, (uint16_t)(answer >> 16),
                              (uint16_t)answer);
        }
        sleep_while(&doorbells, answered);
    }
}
