/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware for an mps2-an385, without any library.  When a peer rings it, it
 * writes the square of word 0 to word 1, and rings the peer whose ID is in
 * word 2.
 */

#include "ivshmem-flat.h"

#define UART ((volatile uint32_t *)0x40004000)
#define NVIC_ENABLE (*(volatile uint32_t *)0xE000E100)

static struct ivshmem_flat shm;

static void print(const char *text)
{
    while (*text != '\0') {
        UART[0] = (uint32_t)*text++;
    }
}

static void on_doorbell(void *context, uint16_t vector)
{
    uint32_t *words = ivshmem_flat_at(&shm, 0, 12);
    uint32_t number = ivshmem_flat_load32(&words[0]);

    (void)context, (void)vector;
    ivshmem_flat_store32(&words[1], number * number);
    print("answered\n");
    ivshmem_flat_ring(&shm, (uint16_t)ivshmem_flat_load32(&words[2]), 0);
}

static void irq29(void)
{
    ivshmem_flat_isr(&shm, 0);
}

void reset(void)
{
    UART[4] = 16; /* baud rate divider */
    UART[2] = 1;  /* enable transmitter */
    ivshmem_flat_map(&shm, 0x400FF000, 0x60000000, 4 * 1024 * 1024);
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    NVIC_ENABLE = 1u << 29;
    print("ready\n");
    for (;;) {
        __asm__ volatile("wfi");
    }
}

typedef void handler(void);

static handler *const vectors[]
__attribute__((section(".vectors"), used)) = {
    (handler *)0x20010000, reset, [16 + 29] = irq29,
};
