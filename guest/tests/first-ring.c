/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings before it does anything else, then reports every doorbell it hears.
 *
 * Shared memory, little-endian 32-bit words from its start, written by the host
 * beforehand:
 *
 *     0       how many doorbells to ring at start, 0 to 15
 *     1...    the values to write to DOORBELL (peer << 16 | vector)
 *
 * Says "first-ring: listening id=ID" once it is up, and then "first-ring:
 * doorbell N" for the N-th interrupt.
 */

#include "board.h"
#include "console.h"
#include "ivshmem-flat.h"

#define RINGS_MAX 15u

static struct ivshmem_flat shm;
static volatile uint32_t doorbells; /* heard */

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

/*
 * On a Cortex-M this is a store that the compiler sees and may move.  If a
 * doorbell was rung before, it interrupts there and then.
 */
static inline void enable_line(void)
{
#ifdef __arm__
    volatile uint32_t *iser = (volatile uint32_t *)0xE000E100; /* NVIC */

    iser[BOARD_SHM_IRQ / 32] = 1u << BOARD_SHM_IRQ % 32;
#else
    irq_enable(BOARD_SHM_IRQ, shm_vector);
#endif
}

/* The CPU's first instructions: no data, no UART, nothing but the doorbells. */
void reset_handler(void)
{
    const uint32_t *orders = (const uint32_t *)BOARD_SHM_MEMORY;
    struct ivshmem_flat early;
    uint32_t rings = ivshmem_flat_load32(&orders[0]);

    ivshmem_flat_map(&early, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    for (uint32_t i = 1; i <= rings && i <= RINGS_MAX; i++) {
        uint32_t order = ivshmem_flat_load32(&orders[i]);

        ivshmem_flat_ring(&early, (uint16_t)(order >> 16), (uint16_t)order);
    }
    board_start();
}

int main(void)
{
    unsigned told = 0;

    irq_set_handler(BOARD_SHM_IRQ, shm_vector);
    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    enable_line();
    print("first-ring: listening id=%u\n", ivshmem_flat_own_id(&shm));

    for (;;) {
        while (told != doorbells) {
            told++;
            print("first-ring: doorbell %u\n", told);
        }
        sleep_while(&doorbells, told);
    }
}
