/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_RANGE_H
#define IVSHMEMD_RANGE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Part of the shared memory, in bytes */
typedef struct Range {
    uint64_t offset;
    uint64_t size;
} Range;

/* Parse an offset: 0, or anything that is valid as a size. */
bool range_parse_offset(const char *text, uint64_t *offset, GError **error);

/* Check that @range is within a memory of @total bytes. */
bool range_check(const Range *range, uint64_t total, GError **error);

/* Check that @range consists of aligned 4-byte words. */
bool range_check_words(const Range *range, GError **error);

#endif
