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
#include "device.h"

#define RINGS_MAX 15u

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

    count_doorbells();
    print("first-ring: listening id=%u\n", ivshmem_flat_own_id(&shm));

    for (;;) {
        while (told != doorbells) {
            told++;
            print("first-ring: doorbell %u\n", told);
        }
        sleep_while(&doorbells, told);
    }
}
