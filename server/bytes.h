/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_BYTES_H
#define IVSHMEMD_BYTES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * As text of printable ASCII that a terminal can be given: all else is \n, \r, \t, \\,
 * \0 or \xHH. To be freed.
 */
char *bytes_to_text(const uint8_t *bytes, size_t size);

/* The inverse. Other characters stand for themselves, in UTF-8. NULL: no such escape. */
GBytes *bytes_from_text(const char *text, GError **error);

/* As lower-case hex digits without anything between them. To be freed. */
char *bytes_to_hex(const uint8_t *bytes, size_t size);

/* From pairs of hex digits, with any white space between pairs. NULL: it is no such. */
GBytes *bytes_from_hex(const char *text, GError **error);

/*
 * 16 bytes a line: offset, hex, ASCII. Lines that repeat the one before them become a
 * single '*'. The last line is the offset of the end. @offset is that of the first byte.
 */
void bytes_dump(FILE *file, const uint8_t *bytes, size_t size, uint64_t offset);

#endif
