/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings another VM as fast as it can.  The VM with ID 1 rings the one with ID 0.
 *
 * Shared memory, little-endian 32-bit words:
 *
 *     0x00  rings       how many times to ring in a row; this and the next two are
 *                       written by the host before the VMs start
 *     0x04  rows        how many rows
 *     0x08  busy        1: the VM that is rung never sleeps
 *     0x40  listens     1: the VM that is rung may be
 *     0x80  rung        number of the newest doorbell, written before it rings
 *     0xC0  seen        what rung was when an interrupt was last handled
 *     0xC4  interrupts  how many there were so far
 *
 * After each row the ringing VM waits until the last doorbell has been seen.
 * After all rows it says "coalescing: rang ticks=TICKS".  TICKS are those of
 * board_ticks(), without the time that it waited.
 */

#include "board.h"
#include "console.h"
#include "device.h"

#define LINE __attribute__((aligned(64)))

struct shared {
    uint32_t rings;
    uint32_t rows;
    uint32_t busy;
    LINE uint32_t listens;
    LINE uint32_t rung;
    LINE uint32_t seen;
    uint32_t interrupts;
};

static struct shared *const shared = (struct shared *)BOARD_SHM_MEMORY;

static void on_doorbell(void *context, uint16_t vector)
{
    (void)context;
    (void)vector;
    doorbells++;
    ivshmem_flat_store32(&shared->interrupts, doorbells);
    ivshmem_flat_store32(&shared->seen, ivshmem_flat_load32(&shared->rung));
}

static void shm_vector(void)
{
    ivshmem_flat_isr(&shm, 0);
}

static void be_rung(void)
{
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(BOARD_SHM_IRQ, shm_vector);
    ivshmem_flat_store32(&shared->listens, 1);
    while (ivshmem_flat_load32(&shared->busy)) {
    }
    halt();
}

/* Rings so often, and returns how many ticks that took. */
static uint32_t ring_row(uint32_t rings)
{
    uint32_t rung = ivshmem_flat_load32(&shared->rung);
    uint32_t start = board_ticks();

    for (uint32_t n = 1; n <= rings; n++) {
        ivshmem_flat_store32(&shared->rung, rung + n);
        ivshmem_flat_ring(&shm, 0, 0);
    }
    return board_ticks() - start;
}

static void ring(void)
{
    uint32_t rows = ivshmem_flat_load32(&shared->rows), ticks = 0;

    while (!ivshmem_flat_load32(&shared->listens)) {
    }
    while (rows-- > 0) {
        ticks += ring_row(ivshmem_flat_load32(&shared->rings));
        while (ivshmem_flat_load32(&shared->seen) !=
               ivshmem_flat_load32(&shared->rung)) {
        }
    }
    print("coalescing: rang ticks=%u\n", (unsigned)ticks);
}

int main(void)
{
    uint16_t id;

    find_device();
    id = ivshmem_flat_own_id(&shm);
    if (id == 0) {
        be_rung();
    } else if (id == 1) {
        ring();
    } else {
        print("coalescing: FAILED own ID is %u, must be 0 or 1\n", id);
    }
    return 0;
}
