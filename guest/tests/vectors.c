/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has an interrupt line for each of three vectors. Counts the interrupts of
 * each, and answers each with a doorbell of the same vector.
 *
 * Vectors 0, 1 and 2 have lines 29, 27 and 26:
 *
 *     x-irq-qompath=nvic/unnamed-gpio-in[29];nvic/unnamed-gpio-in[27];
 *                   nvic/unnamed-gpio-in[26]
 *
 * Shared memory, little-endian 32-bit words. The board's are 16 from word
 * 16 * ID on:
 *
 *     0       other     whose doorbell to ring, from the host
 *     1       limit     a vector is not answered once this many were counted
 *     2...4   counts    interrupts on the lines of vectors 0, 1 and 2
 *
 * Says "vectors: listening id=ID" once it is up.
 */

#include "board.h"
#include "console.h"
#include "device.h"

#define VECTORS 3

struct words {
    uint32_t other;
    uint32_t limit;
    uint32_t counts[VECTORS];
    uint32_t unused[16 - 2 - VECTORS];
};

static struct words *words;

static void on_doorbell(void *context, uint16_t vector)
{
    uint32_t count = ivshmem_flat_load32(&words->counts[vector]) + 1;

    (void)context;
    ivshmem_flat_store32(&words->counts[vector], count);
    if (count < ivshmem_flat_load32(&words->limit)) {
        ivshmem_flat_ring(&shm, (uint16_t)ivshmem_flat_load32(&words->other),
                          vector);
    }
}

static void line_of_vector_0(void)
{
    ivshmem_flat_isr(&shm, 0);
}

static void line_of_vector_1(void)
{
    ivshmem_flat_isr(&shm, 1);
}

static void line_of_vector_2(void)
{
    ivshmem_flat_isr(&shm, 2);
}

int main(void)
{
    uint16_t id;

    find_device();
    id = ivshmem_flat_own_id(&shm);
    words = ivshmem_flat_at(&shm, id * sizeof(*words), sizeof(*words));
    if (words == NULL) {
        print("vectors: FAILED words of ID %u are beyond the memory\n", id);
        halt();
    }
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(29, line_of_vector_0);
    irq_enable(27, line_of_vector_1);
    irq_enable(26, line_of_vector_2);
    print("vectors: listening id=%u\n", id);
    halt();
}
