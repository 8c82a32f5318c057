/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * To include before the header under test.  With OTHER_ORDER defined, numbers in the
 * memory are the other way round than this CPU has them without: what converts each of
 * them here does so on a CPU of the other byte order, too.
 */

#ifndef BYTE_ORDER_H
#define BYTE_ORDER_H

#include "ivshmem-flat.h"

#ifdef OTHER_ORDER

static inline uint32_t swapped_le32(uint32_t number)
{
    return __builtin_bswap32(ivshmem_flat_le32(number));
}

static inline uint32_t swapped_load32(const volatile uint32_t *word)
{
    return __builtin_bswap32(ivshmem_flat_load32(word));
}

static inline void swapped_store32(volatile uint32_t *word, uint32_t number)
{
    ivshmem_flat_store32(word, __builtin_bswap32(number));
}

#define ivshmem_flat_le32 swapped_le32
#define ivshmem_flat_load32 swapped_load32
#define ivshmem_flat_store32 swapped_store32

#define BYTE_OF_WORD(n) (3 - (n))
#else
#define BYTE_OF_WORD(n) (n)
#endif

/* The number in the bytes at an offset, from the least significant one up */
static inline uint32_t number_at(const void *memory, size_t offset)
{
    const unsigned char *bytes = (const unsigned char *)memory + offset;
    uint32_t number = 0;

    for (unsigned i = 0; i < 4; i++) {
        number |= (uint32_t)bytes[BYTE_OF_WORD(i)] << 8 * i;
    }
    return number;
}

#endif /* BYTE_ORDER_H */
