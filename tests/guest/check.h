/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks that go on after a failure: main() returns failures. */

#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(condition) check(condition, #condition, __LINE__)

static inline void check(int holds, const char *condition, int line)
{
    if (!holds) {
        printf("line %d: check failed: %s\n", line, condition);
        failures++;
    }
}

#endif /* CHECK_H */
