/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The demo: boards that were told nothing about each other meet in shared
 * memory, talk, and check a megabyte from each other, woken by doorbells only.
 * protocol.h says what they agree on, member.c does it; here is what
 * it takes on bare metal.
 */

#include "board.h"
#include "console.h"
#include "member.h"
#include "ivshmem-flat.h"

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
    ivshmem_flat_map(&shm, BOARD_SHM_REGISTERS, BOARD_SHM_MEMORY,
                     BOARD_SHM_BYTES);
    if (!ivshmem_flat_present(&shm)) {
        print("demo: FAILED no ivshmem-flat at 0x%x: give QEMU one there\n",
              BOARD_SHM_REGISTERS);
        return 1;
    }
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(BOARD_SHM_IRQ, shm_vector);

    demo_run(board_name,
             ivshmem_flat_at(&shm, 0, sizeof(struct demo_memory)));
    return 0;
}
