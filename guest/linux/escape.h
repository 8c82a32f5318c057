/* SPDX-License-Identifier: Apache-2.0 */
/* Printing untrusted bytes on a terminal. */

#ifndef ESCAPE_H
#define ESCAPE_H

#include <ctype.h>
#include <stdio.h>

/*
 * Prints bytes to stdout, with those that a terminal might interpret as \xNN.
 */
static inline void print_escaped(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        int c = bytes[i];

        printf(isprint(c) || c == '\n' ? "%c" : "\\x%02x", c);
    }
}

#endif /* ESCAPE_H */
