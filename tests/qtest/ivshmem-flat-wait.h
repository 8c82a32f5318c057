/*
 * Waiting for a condition, with a limit
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_IVSHMEM_FLAT_WAIT_H
#define TESTS_QTEST_IVSHMEM_FLAT_WAIT_H

/* Longer than anything takes on a busy machine, in seconds */
#define TIMEOUT_S   30

/* Fails the test if @condition is not true within TIMEOUT_S */
#define WAIT_FOR(condition)                                             \
    do {                                                                \
        gint64 end_ = g_get_monotonic_time() +                          \
                      TIMEOUT_S * G_TIME_SPAN_SECOND;                   \
        while (!(condition)) {                                          \
            if (g_get_monotonic_time() > end_) {                        \
                g_error("%s: timed out after %d s: %s", __func__,       \
                        TIMEOUT_S, #condition);                         \
            }                                                           \
            g_usleep(200);                                              \
        }                                                               \
    } while (0)

#endif
