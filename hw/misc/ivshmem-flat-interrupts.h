/*
 * Interrupts of an ivshmem-flat: from the device's vectors to its lines
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * An IOThread waits for the vectors, so a busy main loop does not delay
 * interrupts.  The device's own IOThread takes the big lock to pulse a line.  A
 * shared IOThread must not wait for that lock, because the main loop may hold
 * it while waiting for the IOThread.  In that case the main loop pulses the
 * line.
 *
 * While the VM is stopped, interrupts stay due.  This matters before the VM
 * first runs: the reset that ends machine creation would clear a pending
 * interrupt.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_INTERRUPTS_H
#define HW_MISC_IVSHMEM_FLAT_INTERRUPTS_H

#include "hw/sysbus.h"
#include "system/iothread.h"
#include "system/runstate.h"

/* The most vectors that QEMU's own server gives */
#define IVSHMEM_FLAT_MAX_LINES 64

typedef struct IvshmemFlatVector IvshmemFlatVector;

typedef struct IvshmemFlatLine {
    qemu_irq irq;                   /* may be unconnected */
    IvshmemFlatVector *vector;      /* of this session, or NULL */
    bool due;                       /* any thread: atomic */
} IvshmemFlatLine;

typedef struct IvshmemFlatInterrupts {
    SysBusDevice *device;
    const char *name;               /* the device's, for traces */
    IvshmemFlatLine lines[IVSHMEM_FLAT_MAX_LINES];
    unsigned irq_count;             /* sysbus IRQs of the device */
    unsigned line_count;            /* lines in use */
    bool had_vector;
    IOThread *own_iothread;         /* NULL if the user gave one */
    AioContext *context;            /* of the IOThread in use */
    bool running;
    bool pulse_asked_for;           /* any thread: atomic */
    uint64_t pulses;                /* of all lines */
    VMChangeStateEntry *vm_change;
} IvshmemFlatInterrupts;

/**
 * ivshmem_flat_interrupts_start:
 * @interrupts: zeroed or stopped
 * @device: its sysbus IRQ n becomes the line of vector n
 * @name: for traces; valid until ivshmem_flat_interrupts_stop()
 * @line_count: 0 to IVSHMEM_FLAT_MAX_LINES
 * @iothread: the user's, or NULL to create one
 *
 * Returns: false with @errp set if no thread can be created
 */
bool ivshmem_flat_interrupts_start(IvshmemFlatInterrupts *interrupts,
                                   SysBusDevice *device, const char *name,
                                   unsigned line_count, IOThread *iothread,
                                   Error **errp);

/* Stops pulsing lines. Does nothing if not started. */
void ivshmem_flat_interrupts_stop(IvshmemFlatInterrupts *interrupts);

/* Adds a vector of this session. Takes ownership of @eventfd. */
void ivshmem_flat_interrupts_add_vector(IvshmemFlatInterrupts *interrupts,
                                        unsigned vector, int eventfd);

/* Drops the vectors of a session that has ended */
void ivshmem_flat_interrupts_forget_vectors(IvshmemFlatInterrupts *interrupts);

/* Pulses the line of @vector, if there is one, as soon as the VM runs */
void ivshmem_flat_interrupts_raise(IvshmemFlatInterrupts *interrupts,
                                   unsigned vector);

/*
 * Whether interrupts are possible: a line is connected and the server has given
 * the device a vector.  If not, they are off in both directions, as in the
 * spec.
 */
bool ivshmem_flat_interrupts_are_possible(IvshmemFlatInterrupts *interrupts);

#endif /* HW_MISC_IVSHMEM_FLAT_INTERRUPTS_H */
