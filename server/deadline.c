/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupted wait must not start over. So a wait is given the time when it ends,
 * and computes how much is left.
 */
#include <limits.h>
#include <poll.h>

#include "deadline.h"

/* A hundred years */
#define FAR_SECONDS 3e9

gint64 deadline_in_seconds(double seconds)
{
    if (seconds > FAR_SECONDS) {
        return DEADLINE_NEVER;
    }
    return g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
}

int deadline_left_ms(gint64 deadline)
{
    gint64 left;

    if (deadline == DEADLINE_NEVER) {
        return -1;
    }
    left = deadline - g_get_monotonic_time();
    return left <= 0 ? 0 : (int)MIN((left + 999) / 1000, INT_MAX);
}

bool deadline_poll(int fd, short events, gint64 deadline)
{
    struct pollfd poll_fd = { .fd = fd, .events = events };
    int ready;

    do {
        ready = poll(&poll_fd, 1, deadline_left_ms(deadline));
    } while (ready <= 0 && deadline_left_ms(deadline));
    return ready > 0;
}
