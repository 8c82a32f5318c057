/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_BYTES_H
#define IVSHMEMD_BYTES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * As printable ASCII, safe for a terminal. Other bytes become \n, \r, \t, \\, \0 or
 * \xHH. The caller frees it.
 */
char *bytes_to_text(const uint8_t *bytes, size_t size);

/*
 * The inverse. Other characters stand for themselves, in UTF-8. NULL: invalid escape.
 */
GBytes *bytes_from_text(const char *text, GError **error);

/* As lower-case hex digits without separators. The caller frees it. */
char *bytes_to_hex(const uint8_t *bytes, size_t size);

/* From pairs of hex digits, with optional white space between pairs. NULL: invalid. */
GBytes *bytes_from_hex(const char *text, GError **error);

/*
 * 16 bytes per line: offset, hex, ASCII. Repeated lines become a single '*'. The last
 * line is the end offset. @offset is that of the first byte.
 */
void bytes_dump(FILE *file, const uint8_t *bytes, size_t size, uint64_t offset);

#endif
