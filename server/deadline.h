/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_DEADLINE_H
#define IVSHMEMD_DEADLINE_H

#include <glib.h>
#include <stdbool.h>

/* Deadlines are g_get_monotonic_time() values. One in the past, such as 0: no waiting. */
#define DEADLINE_NEVER G_MAXINT64

static inline gint64 deadline_in_ms(gint64 ms)
{
    return g_get_monotonic_time() + ms * 1000;
}

/* Far deadlines become DEADLINE_NEVER. */
gint64 deadline_in_seconds(double seconds);

/* A timeout for poll(): the ms left, rounded up; -1: no limit */
int deadline_left_ms(gint64 deadline);

/* Wait until @fd has one of @events, or an error. False at @deadline. */
bool deadline_poll(int fd, short events, gint64 deadline);

#endif
