/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted text on the board's UART. */

#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdarg.h>

/*
 * Like printf, but only with %s, %u, %x and %%, without a width.  \n becomes
 * carriage return and line feed.  Returns when the UART has taken the last
 * character.  Do not call it in an interrupt handler that returns.
 */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_list(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));

#endif /* CONSOLE_H */
