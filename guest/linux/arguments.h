/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of the commands in this folder. */

#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem-flat.h"

__attribute__((noreturn)) static inline void misused(const char *program)
{
    fprintf(stderr, "Try '%s --help'.\n", program);
    exit(2);
}

static inline void print_version(const char *program)
{
    printf("%s %d.%d\n", program, IVSHMEM_FLAT_DRIVER_VERSION / 100,
           IVSHMEM_FLAT_DRIVER_VERSION % 100);
}

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

struct command {
    const char *name;
    const char *synopsis;          /* name and arguments, as in --help */
    int least, most;               /* number of arguments */
    void (*run)(char **arguments); /* which end with NULL */
};

/*
 * Returns the command in argv[0], which ends with NULL.  If it is not one of
 * commands, or has the wrong number of arguments, prints that and exits with
 * status 2.
 */
static inline const struct command *
parse_command(const char *program, const struct command *commands,
              size_t count, char **argv)
{
    const char *name = argv[0];
    int arguments = -1;

    if (name == NULL) {
        fprintf(stderr, "%s: a command is missing\n", program);
        misused(program);
    }
    while (argv[arguments + 1] != NULL) {
        arguments++;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].name, name) != 0) {
            continue;
        }
        if (arguments < commands[i].least || arguments > commands[i].most) {
            fprintf(stderr, "%s: wrong number of arguments: use '%s'\n",
                    program, commands[i].synopsis);
            misused(program);
        }
        return &commands[i];
    }
    fprintf(stderr, "%s: there is no command '%s'\n", program, name);
    misused(program);
}

#endif /* ARGUMENTS_H */
