/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offsets that users type, and whether they are within the shared memory. */
#include <string.h>

#include "error.h"
#include "range.h"
#include "size.h"

#define WORD_BYTES 4

static bool is_zero(const char *text)
{
    if (g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X")) {
        text += 2;
    }
    return *text && !text[strspn(text, "0")];
}

bool range_parse_offset(const char *text, uint64_t *offset, GError **error)
{
    if (is_zero(text)) {
        *offset = 0;
        return true;
    }
    return size_parse(text, offset, NULL) ||
           fail(error, "'%s' is not an offset: use a number of bytes, such as 0, "
                "4096, 0x1000, 4K or 1M", text);
}

bool range_check(const Range *range, uint64_t total, GError **error)
{
    g_autofree char *text = size_format(total);

    if (range->offset < total && range->size <= total - range->offset) {
        return true;
    }
    if (range->offset >= total) {
        return fail(error, "offset 0x%" G_GINT64_MODIFIER "x is beyond the shared memory, "
                    "which has %s (0x%" G_GINT64_MODIFIER "x bytes)",
                    (guint64)range->offset, text, (guint64)total);
    }
    return fail(error, "offset 0x%" G_GINT64_MODIFIER "x and size %" G_GUINT64_FORMAT
                " reach beyond the shared memory, which has %s (0x%" G_GINT64_MODIFIER
                "x bytes)", (guint64)range->offset, (guint64)range->size, text,
                (guint64)total);
}

bool range_check_words(const Range *range, GError **error)
{
    if (range->offset % WORD_BYTES) {
        return fail(error, "words start at multiples of %d, not at offset 0x%"
                    G_GINT64_MODIFIER "x", WORD_BYTES, (guint64)range->offset);
    }
    if (range->size % WORD_BYTES) {
        return fail(error, "words have %d bytes, and %" G_GUINT64_FORMAT
                    " is not a multiple of that", WORD_BYTES, (guint64)range->size);
    }
    return true;
}
