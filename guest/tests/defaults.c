/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the device at its default addresses, with interrupt line 0.
 *
 * Shared memory, little-endian 32-bit words from its start:
 *
 *     0  question   any number, from the host
 *     1  answer     its complement, from this program
 *
 * and the same at its last two words.  Says "defaults: id=ID" after answering,
 * then "defaults: doorbell" for each interrupt.
 */

#include "board.h"
#include "console.h"
#include "device.h"

#define REGISTERS 0x400FF000u
#define MEMORY 0x40100000u
#define BYTES (4u * 1024 * 1024)
#define IRQ 0

static void answer(uint32_t *words)
{
    ivshmem_flat_store32(&words[1], ~ivshmem_flat_load32(&words[0]));
}

int main(void)
{
    unsigned told = 0;

    ivshmem_flat_map(&shm, REGISTERS, MEMORY, BYTES);
    count_doorbells_on(IRQ);
    answer(ivshmem_flat_at(&shm, 0, 8));
    answer(ivshmem_flat_at(&shm, BYTES - 8, 8));
    print("defaults: id=%u\n", ivshmem_flat_own_id(&shm));

    for (;;) {
        while (told != doorbells) {
            told++;
            print("defaults: doorbell\n");
        }
        sleep_while(&doorbells, told);
    }
}
