/*
 * Interrupts of an ivshmem-flat: from the device's vectors to its lines
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "hw/irq.h"
#include "hw/misc/ivshmem-flat-compat.h"
#include "hw/misc/ivshmem-flat-eventfd.h"
#include "hw/misc/ivshmem-flat-interrupts.h"
#include "trace.h"

struct IvshmemFlatVector {
    IvshmemFlatInterrupts *interrupts;
    unsigned number;
    int eventfd;
};

/* Called with the big lock held */
static void pulse_what_is_due(IvshmemFlatInterrupts *s)
{
    for (unsigned i = 0; s->running && i < s->line_count; i++) {
        if (qatomic_xchg(&s->lines[i].due, false)) {
            s->pulses++;
            trace_ivshmem_flat_interrupt(s->name, i);
            qemu_irq_pulse(s->lines[i].irq);
        }
    }
}

void ivshmem_flat_interrupts_raise(IvshmemFlatInterrupts *s, unsigned vector)
{
    if (vector < s->line_count) {
        qatomic_set(&s->lines[vector].due, true);
        pulse_what_is_due(s);
    }
}

/*
 * Vectors
 */

static void pulse_in_main_loop(void *opaque)
{
    IvshmemFlatInterrupts *s = opaque;

    /* Clear this first: later vectors then ask for another pulse */
    qatomic_xchg(&s->pulse_asked_for, false);
    pulse_what_is_due(s);
    object_unref(OBJECT(s->device));
}

/* Runs in the IOThread, as do the next two functions */
static void vector_rung(void *opaque)
{
    IvshmemFlatVector *vector = opaque;
    IvshmemFlatInterrupts *s = vector->interrupts;

    if (!ivshmem_flat_take_eventfd(vector->eventfd)) {
        return;
    }
    qatomic_set(&s->lines[vector->number].due, true);
    if (s->own_iothread) {
        BQL_LOCK_GUARD();
        pulse_what_is_due(s);
    } else if (!qatomic_xchg(&s->pulse_asked_for, true)) {
        object_ref(OBJECT(s->device));
        aio_bh_schedule_oneshot(qemu_get_aio_context(), pulse_in_main_loop, s);
    }
}

static bool vector_is_rung(void *opaque)
{
    IvshmemFlatVector *vector = opaque;
    GPollFD fd = { .fd = vector->eventfd, .events = G_IO_IN };

    return g_poll(&fd, 1, 0) == 1;
}

static void vector_free(void *opaque)
{
    IvshmemFlatVector *vector = opaque;

    close(vector->eventfd);
    g_free(vector);
}

void ivshmem_flat_interrupts_add_vector(IvshmemFlatInterrupts *s,
                                        unsigned vector, int eventfd)
{
    IvshmemFlatVector *new;

    if (vector >= s->line_count) {
        close(eventfd);
        return;
    }
    new = g_new(IvshmemFlatVector, 1);
    new->interrupts = s;
    new->number = vector;
    new->eventfd = eventfd;
    s->lines[vector].vector = new;
    s->had_vector = true;
    aio_set_fd_handler(s->context, eventfd, vector_rung, NULL, vector_is_rung,
                       vector_rung, new);
}

/* The IOThread frees them, since it may be using one */
void ivshmem_flat_interrupts_forget_vectors(IvshmemFlatInterrupts *s)
{
    for (unsigned i = 0; i < s->line_count; i++) {
        IvshmemFlatVector *vector = s->lines[i].vector;

        if (vector) {
            s->lines[i].vector = NULL;
            aio_set_fd_handler(s->context, vector->eventfd, NULL, NULL, NULL,
                               NULL, NULL);
            aio_bh_schedule_oneshot(s->context, vector_free, vector);
        }
    }
}

bool ivshmem_flat_interrupts_are_possible(IvshmemFlatInterrupts *s)
{
    for (unsigned i = 0; s->had_vector && i < s->line_count; i++) {
        if (s->lines[i].irq) {
            return true;
        }
    }
    return false;
}

/*
 * Start and stop
 */

static void vm_changed(void *opaque, bool running, RunState state)
{
    IvshmemFlatInterrupts *s = opaque;

    s->running = running;
    pulse_what_is_due(s);
}

static void iothread_quiesced(void *opaque)
{
    qemu_event_set(opaque);
}

/* Waits until the IOThread runs none of the device's code */
static void quiesce_iothread(IvshmemFlatInterrupts *s)
{
    QemuEvent quiesced;

    qemu_event_init(&quiesced, false);
    aio_bh_schedule_oneshot(s->context, iothread_quiesced, &quiesced);
    /* The IOThread may be waiting for the big lock */
    bql_unlock();
    qemu_event_wait(&quiesced);
    bql_lock();
    qemu_event_destroy(&quiesced);
}

bool ivshmem_flat_interrupts_start(IvshmemFlatInterrupts *s,
                                   SysBusDevice *device, const char *name,
                                   unsigned line_count, IOThread *iothread,
                                   Error **errp)
{
    if (line_count == 0) {
        return true;
    }
    if (!iothread) {
        s->own_iothread = iothread_create("ivshmem[*]", errp);
        if (!s->own_iothread) {
            return false;
        }
        /* Polling would take CPU time from a busy guest */
        object_property_set_int(OBJECT(s->own_iothread), "poll-max-ns", 0,
                                &error_abort);
        iothread = s->own_iothread;
    }
    s->context = iothread_get_aio_context(iothread);
    s->device = device;
    s->name = name;
    s->line_count = line_count;
    while (s->irq_count < line_count) {
        sysbus_init_irq(device, &s->lines[s->irq_count++].irq);
    }
    s->vm_change = qemu_add_vm_change_state_handler(vm_changed, s);
    s->running = runstate_is_running();
    return true;
}

void ivshmem_flat_interrupts_stop(IvshmemFlatInterrupts *s)
{
    if (!s->context) {
        return;
    }
    qemu_del_vm_change_state_handler(s->vm_change);
    s->running = false;
    ivshmem_flat_interrupts_forget_vectors(s);
    s->line_count = 0;
    s->had_vector = false;
    quiesce_iothread(s);
    if (s->own_iothread) {
        iothread_destroy(s->own_iothread);
        s->own_iothread = NULL;
    }
    for (unsigned i = 0; i < s->irq_count; i++) {
        s->lines[i].due = false;
    }
    s->context = NULL;
}
