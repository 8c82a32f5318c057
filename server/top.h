/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_TOP_H
#define IVSHMEMD_TOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The peers at one time, and how many doorbells each sends and receives per second */
typedef struct TopRow {
    char *channel;
    unsigned id;
    int pid;                        /* 0: unknown */
    char *command;
    bool counted;                   /* the following members are valid */
    uint64_t doorbells, interrupts; /* rung and received, so far */
    double doorbell_rate, interrupt_rate;   /* per second, since the last sample */
} TopRow;

typedef struct TopSample {
    gint64 time;            /* from g_get_monotonic_time() */
    unsigned channels;
    GPtrArray *rows;        /* of TopRow */
} TopSample;

TopSample *top_sample_new(void);
void top_sample_free(TopSample *sample);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TopSample, top_sample_free)

/* A row without counts yet; the sample owns it. The strings are copied. */
TopRow *top_sample_add(TopSample *sample, const char *channel, unsigned id, int pid,
                       const char *command);

/*
 * Set the counts of the device with ID @id in process @pid; 0 is any process. Does
 * nothing if no row fits, or if several do: one QEMU can have the same ID in two
 * channels.
 */
void top_sample_count(TopSample *sample, int pid, unsigned id, uint64_t doorbells,
                      uint64_t interrupts);

/*
 * Compute the rates since the sample @before, which may be NULL, and sort the rows:
 * busiest first, then by channel and ID. A peer that has restarted begins at 0.
 */
void top_sample_finish(TopSample *sample, const TopSample *before);

#endif
