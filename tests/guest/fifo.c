/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ring buffer, both sides of it in one process. */

#include <string.h>

#include "byte-order.h"
#include "ivshmem-fifo.h"
#include "check.h"

#define SIZE 16u

static struct ivshmem_fifo_side memory[2 + 1];
static struct ivshmem_fifo writer, reader;

/* A FIFO that this many bytes have gone through already */
static void begin(uint32_t position)
{
    memset(memory, 0, sizeof(memory));
    memory[0].position = memory[1].position = ivshmem_flat_le32(position);
    ivshmem_fifo_open(&writer, memory, SIZE, IVSHMEM_FIFO_WRITER);
    ivshmem_fifo_open(&reader, memory, SIZE, IVSHMEM_FIFO_READER);
}

static void test_layout(void)
{
    const uint8_t *bytes = (const uint8_t *)memory;

    begin(0);
    CHECK(IVSHMEM_FIFO_BYTES(SIZE) == 0x80 + SIZE);
    CHECK(ivshmem_fifo_put(&writer, "ab", 2));
    CHECK(number_at(memory, 0x00) == 2 && number_at(memory, 0x40) == 0);
    CHECK(bytes[0x80] == 'a' && bytes[0x81] == 'b');
    CHECK(ivshmem_fifo_must_wait(&writer, SIZE));
    CHECK(number_at(memory, 0x04) == 1 && number_at(memory, 0x44) == 0);
}

/* Also where the position ends, and within a buffer whose end is near */
static void test_order(uint32_t position)
{
    char text[SIZE];

    begin(position);
    CHECK(ivshmem_fifo_available(&writer) == SIZE);
    CHECK(ivshmem_fifo_available(&reader) == 0);
    CHECK(!ivshmem_fifo_get(&reader, text, 1));
    CHECK(ivshmem_fifo_put(&writer, "one", 3) && ivshmem_fifo_put(&writer, "two", 3));
    CHECK(ivshmem_fifo_available(&writer) == SIZE - 6);
    CHECK(ivshmem_fifo_get(&reader, text, 4) && !memcmp(text, "onet", 4));
    CHECK(!ivshmem_fifo_get(&reader, text, 3));
    CHECK(ivshmem_fifo_get(&reader, text, 2) && !memcmp(text, "wo", 2));
}

static void test_full(void)
{
    static const char text[SIZE + 1] = "0123456789abcdef";
    char copy[SIZE];

    begin(5);
    CHECK(!ivshmem_fifo_put(&writer, text, SIZE + 1));
    CHECK(ivshmem_fifo_put(&writer, text, SIZE));
    CHECK(!ivshmem_fifo_put(&writer, text, 1));
    CHECK(!ivshmem_fifo_is_broken(&writer) && !ivshmem_fifo_is_broken(&reader));
    CHECK(ivshmem_fifo_get(&reader, copy, SIZE) && !memcmp(text, copy, SIZE));
}

static void test_in_place(void)
{
    uint32_t bytes;

    begin(SIZE - 3);
    CHECK(ivshmem_fifo_at(&writer, &bytes) == writer.buffer + SIZE - 3 && bytes == 3);
    ivshmem_fifo_advance(&writer, 3);
    CHECK(ivshmem_fifo_at(&writer, &bytes) == writer.buffer && bytes == SIZE - 3);
    CHECK(ivshmem_fifo_at(&reader, &bytes) == writer.buffer + SIZE - 3 && bytes == 3);
    ivshmem_fifo_advance(&reader, 3);
    ivshmem_fifo_at(&reader, &bytes);
    CHECK(bytes == 0);
}

static void test_who_waits_is_rung(void)
{
    char byte;

    begin(0);
    CHECK(!ivshmem_fifo_must_ring(&writer));
    CHECK(ivshmem_fifo_must_wait(&reader, 1));
    CHECK(ivshmem_fifo_put(&writer, "x", 1) && ivshmem_fifo_must_ring(&writer));
    CHECK(!ivshmem_fifo_must_wait(&reader, 1));
    CHECK(!ivshmem_fifo_must_ring(&writer));
    CHECK(ivshmem_fifo_must_wait(&writer, SIZE));
    CHECK(ivshmem_fifo_get(&reader, &byte, 1) && ivshmem_fifo_must_ring(&reader));
    CHECK(!ivshmem_fifo_must_wait(&writer, SIZE));
    CHECK(!ivshmem_fifo_must_ring(&reader));
}

static void test_goes_on(void)
{
    char text[2];

    begin(0);
    CHECK(ivshmem_fifo_put(&writer, "ab", 2) && ivshmem_fifo_get(&reader, text, 1));
    ivshmem_fifo_open(&reader, memory, SIZE, IVSHMEM_FIFO_READER);
    ivshmem_fifo_open(&writer, memory, SIZE, IVSHMEM_FIFO_WRITER);
    CHECK(ivshmem_fifo_put(&writer, "c", 1));
    CHECK(ivshmem_fifo_get(&reader, text, 2) && !memcmp(text, "bc", 2));
}

/* Nothing is read or written outside of it, and nobody waits for it. */
static void test_broken(void)
{
    char byte;
    uint32_t bytes;

    begin(0);
    CHECK(ivshmem_fifo_put(&writer, "abc", 3) && ivshmem_fifo_get(&reader, &byte, 1));
    memset(memory, 0, sizeof(memory));
    CHECK(ivshmem_fifo_is_broken(&reader));
    CHECK(ivshmem_fifo_available(&reader) == 0);
    CHECK(!ivshmem_fifo_get(&reader, &byte, 1));
    CHECK(!ivshmem_fifo_must_wait(&reader, 1));
    ivshmem_fifo_at(&reader, &bytes);
    CHECK(bytes == 0);
    CHECK(ivshmem_fifo_is_broken(&writer));
    CHECK(!ivshmem_fifo_put(&writer, "x", 1));
    CHECK(!ivshmem_fifo_must_wait(&writer, 1));
    begin(0);
    memory[1].position = ivshmem_flat_le32(77);
    CHECK(ivshmem_fifo_is_broken(&writer));
    CHECK(!ivshmem_fifo_put(&writer, "x", 1));
    CHECK(!ivshmem_fifo_must_wait(&writer, 1));
}

/* The reader does not take the zeros of new memory for what was unread. */
static void test_new_memory(void)
{
    char text[4];

    begin(0);
    CHECK(ivshmem_fifo_put(&writer, "abc", 3) && ivshmem_fifo_get(&reader, text, 1));
    memset(memory, 0, sizeof(memory));
    ivshmem_fifo_put(&writer, "d", 1);
    CHECK(!ivshmem_fifo_get(&reader, text, 3));
    ivshmem_fifo_open(&writer, memory, SIZE, IVSHMEM_FIFO_WRITER);
    CHECK(ivshmem_fifo_put(&writer, "e", 1) && ivshmem_fifo_is_broken(&reader));
    ivshmem_fifo_open(&reader, memory, SIZE, IVSHMEM_FIFO_READER);
    CHECK(ivshmem_fifo_get(&reader, text, 1) && text[0] == 'e');
}

int main(void)
{
    test_layout();
    test_order(0);
    test_order(SIZE - 2);
    test_order(UINT32_MAX - 1);
    test_full();
    test_in_place();
    test_who_waits_is_rung();
    test_goes_on();
    test_broken();
    test_new_memory();
    return failures;
}
