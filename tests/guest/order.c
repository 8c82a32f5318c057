/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the driver's functions do before their fence, and what after it. */

#include <stddef.h>

static void (*at_fence)(void);

#define IVSHMEM_FLAT_FENCE() at_fence()

#include "ivshmem-flat.h"
#include "check.h"

static volatile struct ivshmem_flat_registers window;
static struct ivshmem_flat dev;
static uint32_t word;
static unsigned fences;

static void change_word(void)
{
    word = ivshmem_flat_le32(2);
    fences++;
}

static void test_load(void)
{
    at_fence = change_word;
    word = ivshmem_flat_le32(1);
    CHECK(ivshmem_flat_load32(&word) == 1);
    CHECK(fences == 1);
}

static void test_store(void)
{
    at_fence = change_word;
    ivshmem_flat_store32(&word, 3);
    CHECK(ivshmem_flat_le32(word) == 3);
    CHECK(fences == 1);
}

static void see_no_doorbell(void)
{
    CHECK(window.doorbell == 0);
    fences++;
}

static void test_ring(void)
{
    at_fence = see_no_doorbell;
    ivshmem_flat_ring(&dev, 1, 0);
    CHECK(window.doorbell != 0);
    CHECK(fences == 1);
}

static void on_doorbell(void *context, uint16_t vector)
{
    (void)vector;
    ++*(unsigned *)context;
}

/* The first fence stands before the change, the second after it. */
static void see_handler(void)
{
    CHECK((dev.handler == on_doorbell) == (fences == 1));
    CHECK((dev.context == &fences) == (fences == 1));
    fences++;
}

static void test_set_handler(void)
{
    at_fence = see_handler;
    ivshmem_flat_set_handler(&dev, on_doorbell, &fences);
    CHECK(fences == 2);
}

static void set_late_handler(void)
{
    dev.handler = on_doorbell;
    dev.context = &fences;
}

static void test_isr(void)
{
    at_fence = set_late_handler;
    ivshmem_flat_isr(&dev, 0);
    CHECK(fences == 1);
}

static void test_barrier(void)
{
    at_fence = change_word;
    ivshmem_flat_barrier();
    CHECK(fences == 1);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_load, test_store, test_ring, test_set_handler, test_isr,
        test_barrier,
    };

    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        fences = 0;
        word = 0;
        window.doorbell = 0;
        ivshmem_flat_map(&dev, (uintptr_t)&window, 0, 0);
        tests[i]();
    }
    return failures;
}
