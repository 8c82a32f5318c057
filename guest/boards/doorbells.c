/* SPDX-License-Identifier: Apache-2.0 */
/* The board's device, with its doorbells counted. */

#include "board.h"
#include "doorbells.h"

struct ivshmem_flat shm;
volatile uint32_t doorbells;

static void on_doorbell(void *context)
{
    (void)context;
    doorbells++;
}

static void shm_vector(void)
{
    ivshmem_flat_isr(&shm);
}

void count_doorbells(void)
{
    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(BOARD_SHM_IRQ, shm_vector);
}
