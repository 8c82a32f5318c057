/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each function of the driver does, with plain memory for the device's two
 * windows.  That ivshmem_flat_present() finds a device, firmware shows on real
 * ones: its register forgets, memory does not.
 */

#include "ivshmem-flat.h"
#include "check.h"

#if IVSHMEM_FLAT_DRIVER_VERSION < 100
#error "ivshmem-flat.h is older than this test"
#endif

#define WORDS 16u
#define BYTES (WORDS * 4)

static volatile struct ivshmem_flat_registers window;
static uint32_t memory[WORDS];
static struct ivshmem_flat dev;

static void note_vector(void *context, uint16_t vector)
{
    *(uint16_t *)context = vector;
}

static void set_up(void)
{
    dev.handler = note_vector;
    dev.context = &dev;
    window.intrmask = 0;
    window.intrstatus = 0;
    window.ivposition = 0;
    window.doorbell = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        memory[i] = 0;
    }
    ivshmem_flat_map(&dev, (uintptr_t)&window, (uintptr_t)memory, BYTES);
}

static void test_map(void)
{
    CHECK(dev.registers == &window);
    CHECK(dev.memory == (unsigned char *)memory);
    CHECK(dev.size == BYTES);
    CHECK(dev.handler == NULL && dev.context == NULL);
}

static void test_absent(void)
{
    CHECK(!ivshmem_flat_present(&dev));
    window.intrstatus = 0xFFFFFFFFu;
    CHECK(!ivshmem_flat_present(&dev));
}

static void test_own_id(void)
{
    window.ivposition = ivshmem_flat_le32(0xFFFF);
    CHECK(ivshmem_flat_own_id(&dev) == 0xFFFF);
    window.ivposition = ivshmem_flat_le32(0x0102);
    CHECK(ivshmem_flat_own_id(&dev) == 0x0102);
}

static void test_at(void)
{
    unsigned char *first = (unsigned char *)memory;

    CHECK(ivshmem_flat_at(&dev, 0, BYTES) == first);
    CHECK(ivshmem_flat_at(&dev, BYTES - 4, 4) == first + BYTES - 4);
    CHECK(ivshmem_flat_at(&dev, BYTES, 0) == first + BYTES);
    CHECK(ivshmem_flat_at(&dev, BYTES - 3, 4) == NULL);
    CHECK(ivshmem_flat_at(&dev, BYTES + 1, 0) == NULL);
    CHECK(ivshmem_flat_at(&dev, SIZE_MAX, 4) == NULL);
    CHECK(ivshmem_flat_at(&dev, 4, SIZE_MAX) == NULL);
}

static void test_words(void)
{
    static const unsigned char little_endian[4] = { 0x04, 0x03, 0x02, 0x01 };
    const unsigned char *bytes = (const unsigned char *)&memory[1];
    const volatile uint32_t *unchanged = &memory[1];

    ivshmem_flat_store32(&memory[1], 0x01020304);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(bytes[i] == little_endian[i]);
    }
    CHECK(ivshmem_flat_load32(unchanged) == 0x01020304);
    CHECK(ivshmem_flat_le32(memory[1]) == 0x01020304);
    CHECK(memory[0] == 0 && memory[2] == 0);
}

static void test_ring(void)
{
    ivshmem_flat_ring(&dev, 0x0102, 0x0304);
    CHECK(ivshmem_flat_le32(window.doorbell) == 0x01020304);
    ivshmem_flat_ring(&dev, 0xFFFF, 0);
    CHECK(ivshmem_flat_le32(window.doorbell) == 0xFFFF0000u);
    ivshmem_flat_ring(&dev, 0, 0xFFFF);
    CHECK(ivshmem_flat_le32(window.doorbell) == 0x0000FFFF);
}

static void test_handler(void)
{
    uint16_t rung = 0xFFFF;

    ivshmem_flat_isr(&dev, 0); /* nobody to call */
    ivshmem_flat_set_handler(&dev, note_vector, &rung);
    CHECK(rung == 0xFFFF);
    ivshmem_flat_isr(&dev, 0);
    CHECK(rung == 0);
    ivshmem_flat_isr(&dev, 63);
    CHECK(rung == 63);
    ivshmem_flat_set_handler(&dev, NULL, NULL);
    ivshmem_flat_isr(&dev, 1);
    CHECK(rung == 63);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_map, test_absent, test_own_id, test_at,
        test_words, test_ring, test_handler,
    };

    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        set_up();
        tests[i]();
    }
    return failures;
}
