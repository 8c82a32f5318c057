/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of the commands in this folder. */

#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Returns a numeric argument in C's notation.  If it is not a number from least
 * to most, prints that and exits with status 2.
 */
static inline uint64_t parse_number_from(const char *program, const char *what,
                                         const char *argument, uint64_t least,
                                         uint64_t most)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(argument, &end, 0);
    if (errno != 0 || end == argument || *end != '\0' || argument[0] == '-' ||
        value < least || value > most) {
        fprintf(stderr, "%s: %s '%s' must be a number from %" PRIu64
                " to %" PRIu64 "\n", program, what, argument, least, most);
        exit(2);
    }
    return value;
}

static inline uint64_t parse_number(const char *program, const char *what,
                                    const char *argument, uint64_t most)
{
    return parse_number_from(program, what, argument, 0, most);
}

#endif /* ARGUMENTS_H */
