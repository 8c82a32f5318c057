/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_TOP_H
#define IVSHMEMD_TOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The peers at one moment, and how many doorbells each has sent and received a second */
typedef struct TopRow {
    char *channel;
    unsigned id;
    int pid;                        /* 0: not known */
    char *command;
    bool counted;                   /* what follows is known */
    uint64_t doorbells, interrupts; /* rung and got, so far */
    double doorbell_rate, interrupt_rate;   /* a second, since the last sample */
} TopRow;

typedef struct TopSample {
    gint64 time;            /* of g_get_monotonic_time() */
    unsigned channels;
    GPtrArray *rows;        /* of TopRow */
} TopSample;

TopSample *top_sample_new(void);
void top_sample_free(TopSample *sample);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TopSample, top_sample_free)

/* A row that knows of no counts yet; it stays the sample's. The strings are copied. */
TopRow *top_sample_add(TopSample *sample, const char *channel, unsigned id, int pid,
                       const char *command);

/*
 * What a device with ID @id in the process @pid has counted; 0 is any process. Nothing
 * changes if no row fits, or if several do: one QEMU can have the same ID in two channels.
 */
void top_sample_count(TopSample *sample, int pid, unsigned id, uint64_t doorbells,
                      uint64_t interrupts);

/*
 * Compute the rates, by the sample @before, which may be NULL, and put the rows in order:
 * the busiest first, then by channel and ID. A peer that has begun anew starts at 0.
 */
void top_sample_finish(TopSample *sample, const TopSample *before);

#endif
