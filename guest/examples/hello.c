/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest program: two virtual machines ring each other three times.  The
 * one that starts first has the even ID and waits for the other.
 */

#include "board.h"
#include "console.h"
#include "ivshmem-flat.h"

static struct ivshmem_flat shm;
static volatile uint32_t doorbells;

static void on_doorbell(void *context, uint16_t vector)
{
    (void)context, (void)vector;
    doorbells++;
}

static void irq_handler(void)
{
    ivshmem_flat_isr(&shm, 0);
}

int main(void)
{
    uint16_t id, peer;

    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(BOARD_SHM_IRQ, irq_handler);

    id = ivshmem_flat_own_id(&shm);
    peer = id ^ 1;
    print("hello: id %u, peer %u\n", id, peer);
    for (uint32_t heard = 0; heard < 3; heard++) {
        if (id > peer) {
            ivshmem_flat_ring(&shm, peer, 0);
        }
        while (doorbells == heard) {
            sleep_while(&doorbells, heard);
        }
        print("hello: peer %u rang\n", peer);
        if (id < peer) {
            ivshmem_flat_ring(&shm, peer, 0);
        }
    }
    return 0;
}
