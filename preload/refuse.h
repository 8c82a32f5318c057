/*
 * Refusing to load ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PRELOAD_REFUSE_H
#define PRELOAD_REFUSE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Ends the process before the program itself has started */
__attribute__((format(printf, 1, 2), noreturn))
static inline void refuse(const char *format, ...)
{
    va_list arguments;

    fputs("ivshmem-flat.so: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(EXIT_FAILURE);
}

#endif /* PRELOAD_REFUSE_H */
