/* SPDX-License-Identifier: Apache-2.0 */
/* The board's device, with its doorbells counted. */

#include "board.h"
#include "console.h"
#include "device.h"

struct ivshmem_flat shm;
volatile uint32_t doorbells;

static void on_doorbell(void *context, uint16_t vector)
{
    (void)context;
    (void)vector;
    doorbells++;
}

static void shm_vector(void)
{
    ivshmem_flat_isr(&shm, 0);
}

void map_device(void)
{
    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
}

void find_device(void)
{
    map_device();
    if (!ivshmem_flat_present(&shm)) {
        print("FAILED no ivshmem-flat at 0x%x: add one to QEMU\n",
              BOARD_SHM_REGISTERS);
        halt();
    }
}

void count_doorbells_on(unsigned line)
{
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(line, shm_vector);
}

void count_doorbells(void)
{
    count_doorbells_on(BOARD_SHM_IRQ);
}
