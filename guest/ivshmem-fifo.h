/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring buffer in the memory that two VMs share: one of them writes bytes, the other
 * reads them in the same order.  Neither waits for a lock, and doorbells are rung only
 * when the other side sleeps.  It is called FIFO here because "ring" means a doorbell.
 *
 *     static struct ivshmem_fifo fifo;
 *
 *     ivshmem_fifo_open(&fifo, ivshmem_flat_at(&shm, OFFSET, IVSHMEM_FIFO_BYTES(1024)),
 *                       1024, IVSHMEM_FIFO_WRITER);
 *     if (ivshmem_fifo_put(&fifo, text, length)) {        // the reader: _get()
 *         if (ivshmem_fifo_must_ring(&fifo)) {
 *             ivshmem_flat_ring(&shm, peer, 0);
 *         }
 *     } else {
 *         ...                                             // no room now
 *     }
 *
 * Both sides sleep in the same way: the writer until there is room, the reader until
 * there are bytes.  The doorbell handler counts.
 *
 *     for (;;) {
 *         uint32_t heard = doorbells;
 *
 *         if (!ivshmem_fifo_must_wait(&fifo, length)) {
 *             break;
 *         }
 *         sleep_until(doorbells != heard);                // your platform's own
 *     }
 *
 * Zeros, as a server hands out its memory, are an empty FIFO.  A VM that is started
 * anew opens it again and goes on where its last advance left off.  When the server has
 * replaced the memory, or something else has overwritten it, ivshmem_fifo_is_broken()
 * is true: then both sides open it anew (ivshmem-flat.h, NEW SESSIONS).
 *
 * In the shared memory, all numbers little-endian:
 *
 *     0x00  position of the writer: bytes written so far, modulo 2^32
 *     0x04  1: the writer waits for a doorbell
 *     0x40  position of the reader: bytes read so far, modulo 2^32
 *     0x44  1: the reader waits for a doorbell
 *     0x80  the buffer; byte n is in place n % size
 *
 * Each side belongs to one thread, or to one interrupt handler: functions may be called
 * in either, but not in several at the same time.  No function waits.
 */

#ifndef IVSHMEM_FIFO_H
#define IVSHMEM_FIFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ivshmem-flat.h"

/* In the shared memory: what one side tells the other, in a cache line of its own */
struct ivshmem_fifo_side {
    uint32_t position;
    uint32_t waits;
    uint32_t unused[14];
};

/* How much shared memory a FIFO takes whose buffer has this size */
#define IVSHMEM_FIFO_BYTES(size) (2 * sizeof(struct ivshmem_fifo_side) + (size))

enum ivshmem_fifo_role {
    IVSHMEM_FIFO_WRITER,
    IVSHMEM_FIFO_READER,
};

struct ivshmem_fifo {
    struct ivshmem_fifo_side *own, *other;
    uint8_t *buffer;
    uint32_t size;
    uint32_t position; /* own */
    enum ivshmem_fifo_role role;
};

/*
 * Opens one side of the FIFO at memory, which is aligned to 4 bytes.  size is that of
 * its buffer: a power of two, from 1 to 2^31, the same on both sides.
 */
static inline void ivshmem_fifo_open(struct ivshmem_fifo *fifo, void *memory,
                                     uint32_t size, enum ivshmem_fifo_role role)
{
    struct ivshmem_fifo_side *sides = (struct ivshmem_fifo_side *)memory;

    fifo->own = &sides[role];
    fifo->other = &sides[1 - role];
    fifo->buffer = (uint8_t *)&sides[2];
    fifo->size = size;
    fifo->role = role;
    fifo->position = ivshmem_flat_load32(&fifo->own->position);
}

/* Bytes that were written and not read; more than size if the FIFO is broken */
static inline uint32_t ivshmem_fifo_filled(const struct ivshmem_fifo *fifo)
{
    uint32_t other = ivshmem_flat_load32(&fifo->other->position);

    return fifo->role == IVSHMEM_FIFO_WRITER ? fifo->position - other
                                             : other - fifo->position;
}

/* Whether the positions contradict each other: no bytes can be written or read. */
static inline bool ivshmem_fifo_is_broken(const struct ivshmem_fifo *fifo)
{
    return ivshmem_fifo_filled(fifo) > fifo->size;
}

/* How many bytes the writer has room for, or the reader can read; 0 if it is broken */
static inline uint32_t ivshmem_fifo_available(const struct ivshmem_fifo *fifo)
{
    uint32_t filled = ivshmem_fifo_filled(fifo);

    if (filled > fifo->size) {
        return 0;
    }
    return fifo->role == IVSHMEM_FIFO_WRITER ? fifo->size - filled : filled;
}

/*
 * To write or read in place: where the next byte is, and in *bytes how many follow it
 * without a gap.  More can be available: they go on at the start of the buffer.
 */
static inline uint8_t *ivshmem_fifo_at(const struct ivshmem_fifo *fifo, uint32_t *bytes)
{
    uint32_t offset = fifo->position & (fifo->size - 1);
    uint32_t available = ivshmem_fifo_available(fifo), left = fifo->size - offset;

    *bytes = available < left ? available : left;
    return fifo->buffer + offset;
}

/* Tells the other side that this many of the available bytes were written or read. */
static inline void ivshmem_fifo_advance(struct ivshmem_fifo *fifo, uint32_t bytes)
{
    fifo->position += bytes;
    ivshmem_flat_store32(&fifo->own->position, fifo->position);
}

/* Writes all of these bytes, or, if there is no room for all, none and returns false. */
static inline bool ivshmem_fifo_put(struct ivshmem_fifo *fifo, const void *data,
                                    uint32_t bytes)
{
    const uint8_t *from = (const uint8_t *)data;

    if (ivshmem_fifo_available(fifo) < bytes) {
        return false;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        fifo->buffer[(fifo->position + i) & (fifo->size - 1)] = from[i];
    }
    ivshmem_fifo_advance(fifo, bytes);
    return true;
}

/* Reads exactly this many bytes, or, if there are fewer, none and returns false. */
static inline bool ivshmem_fifo_get(struct ivshmem_fifo *fifo, void *data, uint32_t bytes)
{
    uint8_t *to = (uint8_t *)data;

    if (ivshmem_fifo_available(fifo) < bytes) {
        return false;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        to[i] = fifo->buffer[(fifo->position + i) & (fifo->size - 1)];
    }
    ivshmem_fifo_advance(fifo, bytes);
    return true;
}

/* After an advance: whether the other side sleeps, and has to be rung */
static inline bool ivshmem_fifo_must_ring(const struct ivshmem_fifo *fifo)
{
    ivshmem_flat_barrier();
    return ivshmem_flat_load32(&fifo->other->waits) != 0;
}

/*
 * Whether fewer than least bytes are available, from 1 to size.  Then the other side
 * rings after its next advance: sleep until the doorbell, and ask again.  A FIFO that
 * is broken is not worth waiting for: false.
 */
static inline bool ivshmem_fifo_must_wait(const struct ivshmem_fifo *fifo, uint32_t least)
{
    bool waits;

    ivshmem_flat_store32(&fifo->own->waits, 1);
    ivshmem_flat_barrier();
    waits = ivshmem_fifo_available(fifo) < least && !ivshmem_fifo_is_broken(fifo);
    if (!waits) {
        ivshmem_flat_store32(&fifo->own->waits, 0);
    }
    return waits;
}

#endif /* IVSHMEM_FIFO_H */
