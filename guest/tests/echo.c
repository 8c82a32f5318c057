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
#include "ivshmem-flat.h"

static struct ivshmem_flat shm;
static volatile uint32_t doorbells;

static void on_doorbell(void *context)
{
    (void)context;
    doorbells++;
}

static void shm_vector(void)
{
    ivshmem_flat_isr(&shm);
}

int main(void)
{
    volatile uint32_t *words = (volatile uint32_t *)BOARD_SHM_MEMORY;
    uint32_t answered = 0;

    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(BOARD_SHM_IRQ, shm_vector);
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
