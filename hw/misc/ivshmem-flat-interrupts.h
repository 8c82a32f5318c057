/*
 * Interrupts of an ivshmem-flat: from its own vectors to its lines
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * An IOThread waits for the vectors, so that a busy main loop delays nobody.
 * Where it is the device's own it takes the big lock to pulse a line.  One that
 * others may use must not wait for that lock, which the main loop holds when it
 * waits for them: there the main loop pulses.
 *
 * While the VM does not run, what is due waits.  Until it first runs that is
 * vital: the reset that ends machine creation would take a pending interrupt
 * away again.
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
    const char *name;               /* of the device, in traces */
    IvshmemFlatLine lines[IVSHMEM_FLAT_MAX_LINES];
    unsigned irq_count;             /* lines that the device has shown */
    unsigned line_count;            /* lines in use */
    bool had_vector;
    IOThread *own_iothread;         /* where the user gives none */
    AioContext *context;            /* of the one or the other */
    bool running;
    bool pulse_asked_for;           /* any thread: atomic */
    uint64_t pulses;                /* of all lines */
    VMChangeStateEntry *vm_change;
} IvshmemFlatInterrupts;

/**
 * ivshmem_flat_interrupts_start:
 * @interrupts: zeroed, or stopped
 * @device: whose sysbus IRQ n becomes the line of vector n
 * @name: the device's in traces; valid until ivshmem_flat_interrupts_stop()
 * @line_count: 0 to IVSHMEM_FLAT_MAX_LINES
 * @iothread: the user's, or NULL to make one
 *
 * Returns: false, and sets @errp, where no thread could be made
 */
bool ivshmem_flat_interrupts_start(IvshmemFlatInterrupts *interrupts,
                                   SysBusDevice *device, const char *name,
                                   unsigned line_count, IOThread *iothread,
                                   Error **errp);

/* No line is pulsed any more.  Does nothing where nothing was started. */
void ivshmem_flat_interrupts_stop(IvshmemFlatInterrupts *interrupts);

/* A vector of this session.  The eventfd is its own from here on. */
void ivshmem_flat_interrupts_add_vector(IvshmemFlatInterrupts *interrupts,
                                        unsigned vector, int eventfd);

/* Vectors of a session that has ended */
void ivshmem_flat_interrupts_forget_vectors(IvshmemFlatInterrupts *interrupts);

/* Pulses the line of @vector, if there is one, as soon as the VM runs */
void ivshmem_flat_interrupts_raise(IvshmemFlatInterrupts *interrupts,
                                   unsigned vector);

/*
 * Whether interrupts are possible: a line is connected and the server has given
 * the device a vector.  If not, they are off both ways, as the spec has it.
 */
bool ivshmem_flat_interrupts_are_possible(IvshmemFlatInterrupts *interrupts);

#endif /* HW_MISC_IVSHMEM_FLAT_INTERRUPTS_H */
