/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes as on QEMU's command line: a number and a unit that is a power of 1024, in
 * upper or lower case. A decimal fraction is allowed before a unit. The arithmetic is
 * 64 bits; sizes that do not fit are refused, never truncated.
 */
#include <string.h>

#include "error.h"
#include "size.h"

static const char units[] = "BKMGTPE";

static bool refuse(const char *text, GError **error)
{
    return fail(error, "'%s' is not a size: use a number of bytes from 1 to 4E, "
                "or a number with K, M, G or T, such as 4M", text);
}

bool size_parse(const char *text, uint64_t *bytes, GError **error)
{
    bool hex = g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X");
    const char *digits = hex ? text + 2 : text;
    double fraction = 0, scale = 1;
    unsigned shift = 0;
    uint64_t whole;
    char *end;

    if (hex ? !g_ascii_isxdigit(*digits) : !g_ascii_isdigit(*digits)) {
        return refuse(text, error);
    }
    whole = g_ascii_strtoull(digits, &end, hex ? 16 : 10);
    if (!hex && *end == '.') {
        for (end++; g_ascii_isdigit(*end); end++) {
            scale /= 10;
            fraction += (*end - '0') * scale;
        }
        if (end[-1] == '.' || !*end) {
            return refuse(text, error);
        }
    }
    if (*end) {
        const char *unit = strchr(units, g_ascii_toupper(*end));

        if (!unit || end[1]) {
            return refuse(text, error);
        }
        shift = 10 * (unit - units);
    }
    if (whole > SIZE_LARGEST >> shift) {
        return refuse(text, error);
    }
    *bytes = (whole << shift) + (uint64_t)(fraction * (UINT64_C(1) << shift));
    return (*bytes && *bytes <= SIZE_LARGEST) || refuse(text, error);
}

uint64_t size_round_up(uint64_t bytes, uint64_t page)
{
    uint64_t size = page;

    while (size < bytes) {
        size *= 2;
    }
    return size;
}

char *size_format(uint64_t bytes)
{
    unsigned unit = 0;

    while (bytes && bytes % 1024 == 0 && units[unit + 1]) {
        bytes /= 1024;
        unit++;
    }
    if (!unit) {
        return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT "%c", bytes, units[unit]);
}
