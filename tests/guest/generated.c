/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What test_generated_code.py compiles for a Cortex-M3, to read the result. */

#include "ivshmem-flat.h"

#define NVIC_ISER (*(volatile uint32_t *)0xE000E100)
#define NVIC_ICER (*(volatile uint32_t *)0xE000E180)

static struct ivshmem_flat shm;
static volatile uint32_t doorbells;

void shm_vector(void);
uint32_t listen(void);
void stop_listening(void);
void wait_for_byte(const uint32_t *word, uint8_t number);
uint32_t receive(const uint32_t *ready, const uint32_t *data);
void send(uint32_t *ready, uint32_t *data, uint32_t number);

static void on_doorbell(void *context, uint16_t vector)
{
    (void)context;
    (void)vector;
    doorbells++;
}

void shm_vector(void)
{
    ivshmem_flat_isr(&shm, 0);
}

static inline void enable_line(unsigned line)
{
    NVIC_ISER = 1u << line;
}

static inline void disable_line(unsigned line)
{
    NVIC_ICER = 1u << line;
}

/* As a program does in main(), where GCC has much to put in order. */
uint32_t listen(void)
{
    ivshmem_flat_map(&shm, 0x400FF000, 0x60000000, 4 * 1024 * 1024);
    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    enable_line(29);
    return ivshmem_flat_own_id(&shm);
}

void stop_listening(void)
{
    disable_line(29);
    ivshmem_flat_set_handler(&shm, NULL, NULL);
}

void wait_for_byte(const uint32_t *word, uint8_t number)
{
    while ((uint8_t)ivshmem_flat_load32(word) != number) {
    }
}

uint32_t receive(const uint32_t *ready, const uint32_t *data)
{
    return ivshmem_flat_load32(ready) != 0 ? *data : 0;
}

void send(uint32_t *ready, uint32_t *data, uint32_t number)
{
    *data = number;
    ivshmem_flat_store32(ready, 1);
}
