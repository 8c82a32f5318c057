/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds to a register of the device atomically, with LDREX and STREX.
 *
 * A register is not memory, but nothing forbids this, and a compiler or an RTOS may
 * do it if a program asks for an atomic access.
 *
 * Says "atomic-register: ok intrmask=N" when done.
 */

#include "board.h"
#include "console.h"

#define INCREMENTS 1000u

int main(void)
{
    volatile uint32_t *intrmask = (volatile uint32_t *)BOARD_SHM_REGISTERS;

    for (unsigned i = 0; i < INCREMENTS; i++) {
        __atomic_fetch_add(intrmask, 1, __ATOMIC_RELAXED);
    }
    print("atomic-register: ok intrmask=%u\n", (unsigned)*intrmask);
    return 0;
}
