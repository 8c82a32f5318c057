/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The demo in a Linux guest with QEMU's ivshmem-doorbell.  This is the part for
 * Linux; the rest is in ../demo/member.c.  ivshmem-pci.h says what the guest
 * needs.
 */

#include <stdio.h>
#include <stdlib.h>

#include "demo/member.h"
#include "ivshmem-pci.h"

/* No member of the demo is silent for longer, even while it starts. */
#define SILENCE_MILLISECONDS 30000

static struct ivshmem_pci dev;

__attribute__((noreturn)) static void failed(void)
{
    printf("demo: FAILED %s\n", dev.error);
    exit(1);
}

uint16_t demo_own_id(void)
{
    return ivshmem_flat_own_id(&dev.shm);
}

void demo_ring(uint16_t id)
{
    ivshmem_flat_ring(&dev.shm, id, 0);
}

unsigned demo_wait(void)
{
    int vector;

    do {
        vector = ivshmem_pci_wait(&dev, SILENCE_MILLISECONDS);
        if (vector < 0) {
            failed();
        }
    } while (vector != 0);
    return 1;
}

void demo_print(const char *format, va_list arguments)
{
    vprintf(format, arguments);
}

void demo_give_up(void)
{
    exit(1);
}

int main(void)
{
    volatile struct demo_memory *memory;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (ivshmem_pci_open(&dev, NULL) < 0 ||
        ivshmem_pci_enable_interrupts(&dev) < 0) {
        failed();
    }
    memory = ivshmem_flat_at(&dev.shm, 0, sizeof(*memory));
    if (memory == NULL) {
        printf("demo: FAILED the shared memory has %zu bytes, the demo needs "
               "%zu: start the server with -l 4M\n", dev.shm.size, sizeof(*memory));
        return 1;
    }
    demo_run("linux", memory);
    ivshmem_pci_close(&dev);
    return 0;
}
