/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring buffer in the memory that two VMs share: one VM writes bytes, and the other reads
 * them in the same order.  It needs no lock, and needs a doorbell only if the other side
 * is asleep.  It is called FIFO here because "ring" means a doorbell.  It is a convention
 * between the two VMs: the device does not know about it.
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
 * there are bytes.  The doorbell handler counts doorbells.
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
 * All-zero memory, as provided by a new server, is an empty FIFO.  A VM
 * that restarts opens the FIFO again and continues where its last advance left off.  If
 * the server has replaced the memory, or something else has overwritten it,
 * ivshmem_fifo_is_broken() returns true.  Both sides then have to open the FIFO again
 * (ivshmem-flat.h, NEW SESSIONS).
 *
 * Layout in the shared memory, with all numbers little-endian:
 *
 *     0x00  position of the writer: bytes written so far, modulo 2^32
 *     0x04  1: the writer waits for a doorbell
 *     0x40  position of the reader: bytes read so far, modulo 2^32
 *     0x44  1: the reader waits for a doorbell
 *     0x80  the buffer; byte n is in place n % size
 *
 * Call the functions of one side in one thread or one interrupt handler at a time.  The
 * two sides may work at the same time.  No function waits.
 */

#ifndef IVSHMEM_FIFO_H
#define IVSHMEM_FIFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ivshmem-flat.h"

/* In the shared memory: what one side tells the other, in its own cache line */
struct ivshmem_fifo_side {
    uint32_t position;
    uint32_t waits;
    uint32_t unused[14];
};

/* Bytes of shared memory for a FIFO with a buffer of this size */
#define IVSHMEM_FIFO_BYTES(size) (2 * sizeof(struct ivshmem_fifo_side) + (size))

enum ivshmem_fifo_role {
    IVSHMEM_FIFO_WRITER,
    IVSHMEM_FIFO_READER,
};

/* One side.  The caller owns it and may read it; only the functions here change it. */
struct ivshmem_fifo {
    struct ivshmem_fifo_side *own, *other;
    uint8_t *buffer;
    uint32_t size;
    uint32_t position; /* own */
    enum ivshmem_fifo_role role;
};

/*
 * Opens one side of the FIFO at memory: IVSHMEM_FIFO_BYTES(size) bytes of the shared
 * memory, aligned to 4 bytes, which stay mapped as long as *fifo is in use.  size is the
 * size of the buffer in bytes: a power of two, from 1 to 2^31, the same on both sides.
 * The arguments are not checked.  The two sides may open the FIFO in any order.
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

/*
 * Returns how many bytes have been written but not read yet: 0 to size, or more if the
 * FIFO is broken.
 */
static inline uint32_t ivshmem_fifo_filled(const struct ivshmem_fifo *fifo)
{
    uint32_t other = ivshmem_flat_load32(&fifo->other->position);

    /* Only this side writes its own: the memory is not the one it has written to. */
    if (ivshmem_flat_load32(&fifo->own->position) != fifo->position) {
        return UINT32_MAX;
    }
    return fifo->role == IVSHMEM_FIFO_WRITER ? fifo->position - other
                                             : other - fifo->position;
}

/*
 * Returns whether the positions contradict each other, or what this side wrote is no
 * longer in the memory.  If so, no bytes can be written or read until both sides have
 * opened the FIFO again, in memory that is all zeros.
 */
static inline bool ivshmem_fifo_is_broken(const struct ivshmem_fifo *fifo)
{
    return ivshmem_fifo_filled(fifo) > fifo->size;
}

/*
 * Returns how many bytes the writer has room for, or the reader can read: 0 to size, and
 * 0 if the FIFO is broken.
 */
static inline uint32_t ivshmem_fifo_available(const struct ivshmem_fifo *fifo)
{
    uint32_t filled = ivshmem_fifo_filled(fifo);

    if (filled > fifo->size) {
        return 0;
    }
    return fifo->role == IVSHMEM_FIFO_WRITER ? fifo->size - filled : filled;
}

/*
 * For writing or reading in place: returns the address of the next byte, and sets *bytes
 * to how many of the available bytes follow without a gap, or 0 if none is available.
 * More bytes can be available at the start of the buffer.  The address is in the shared
 * memory and valid until the next advance.  The writer may write to it, and the reader may
 * read from it.  The data can change while the reader reads it: copy it before you check
 * it.
 */
static inline uint8_t *ivshmem_fifo_at(const struct ivshmem_fifo *fifo, uint32_t *bytes)
{
    uint32_t offset = fifo->position & (fifo->size - 1);
    uint32_t available = ivshmem_fifo_available(fifo), left = fifo->size - offset;

    *bytes = available < left ? available : left;
    return fifo->buffer + offset;
}

/*
 * Tells the other side that this many bytes were written or read.  Do not pass more than
 * ivshmem_fifo_available() returned: this is not checked.  The other side sees everything
 * that was written before the call.  Call ivshmem_fifo_must_ring() next.
 */
static inline void ivshmem_fifo_advance(struct ivshmem_fifo *fifo, uint32_t bytes)
{
    fifo->position += bytes;
    ivshmem_flat_store32(&fifo->own->position, fifo->position);
}

/*
 * Copies these bytes into the FIFO.  Returns false, and writes nothing, if there is no
 * room for all of them now.  For more than size bytes, there never is.  After success,
 * call ivshmem_fifo_must_ring().
 */
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

/*
 * Copies this many bytes out of the FIFO.  Returns false, and reads nothing, if fewer are
 * available now.  After success, call ivshmem_fifo_must_ring().
 */
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

/*
 * After an advance, put or get: returns whether the other side sleeps.  If so, ring it:
 * this function does not.
 */
static inline bool ivshmem_fifo_must_ring(const struct ivshmem_fifo *fifo)
{
    ivshmem_flat_barrier();
    return ivshmem_flat_load32(&fifo->other->waits) != 0;
}

/*
 * Returns whether fewer than least bytes (1 to size) are available.  If so, this also asks
 * the other side to ring after its next advance: sleep until a doorbell arrives, and call
 * this again.  Returns false if the FIFO is broken.
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
