/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The demo: boards that were told nothing about each other meet in shared
 * memory, talk, and check a megabyte from each other, woken by doorbells only.
 * protocol.h says what they agree on, and member.c does it.  This file is the
 * part for bare metal.
 */

#include "board.h"
#include "console.h"
#include "device.h"
#include "member.h"

uint16_t demo_own_id(void)
{
    return ivshmem_flat_own_id(&shm);
}

void demo_ring(uint16_t id)
{
    ivshmem_flat_ring(&shm, id, 0);
}

unsigned demo_wait(void)
{
    static uint32_t seen;
    uint32_t before = seen;

    while (doorbells == before) {
        sleep_while(&doorbells, before);
    }
    seen = doorbells;
    return seen - before;
}

void demo_print(const char *format, va_list arguments)
{
    print_list(format, arguments);
}

void demo_give_up(void)
{
    halt();
}

int main(void)
{
    find_device();
    count_doorbells();
    demo_run(board_name,
             ivshmem_flat_at(&shm, 0, sizeof(struct demo_memory)));
    return 0;
}
