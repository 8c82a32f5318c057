/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Contents of shared memory in forms that people can type and terminals can show. */
#include <string.h>

#include "bytes.h"
#include "error.h"

#define LINE_BYTES 16

static const struct {
    char letter;
    char byte;
} escapes[] = {
    { 'n', '\n' }, { 'r', '\r' }, { 't', '\t' }, { '\\', '\\' }, { '0', 0 },
};

static void append_escaped(GString *text, uint8_t byte)
{
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(escapes); i++) {
        if (byte == (uint8_t)escapes[i].byte) {
            g_string_append_printf(text, "\\%c", escapes[i].letter);
            return;
        }
    }
    if (g_ascii_isprint(byte)) {
        g_string_append_c(text, byte);
    } else {
        g_string_append_printf(text, "\\x%02x", byte);
    }
}

char *bytes_to_text(const uint8_t *bytes, size_t size)
{
    GString *text = g_string_new(NULL);
    size_t i;

    for (i = 0; i < size; i++) {
        append_escaped(text, bytes[i]);
    }
    return g_string_free(text, FALSE);
}

static bool is_hex_pair(const char *text)
{
    return g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1]);
}

static uint8_t hex_pair(const char *text)
{
    return g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]);
}

/*
 * The byte that the escape at @text, after its backslash, stands for. Returns its
 * length, 0 if there is no such escape.
 */
static unsigned unescape(const char *text, uint8_t *byte)
{
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(escapes); i++) {
        if (*text == escapes[i].letter) {
            *byte = escapes[i].byte;
            return 1;
        }
    }
    if (*text == 'x' && is_hex_pair(text + 1)) {
        *byte = hex_pair(text + 1);
        return 3;
    }
    return 0;
}

GBytes *bytes_from_text(const char *text, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    while (*text) {
        uint8_t byte = *text++;

        if (byte == '\\') {
            unsigned length = unescape(text, &byte);

            if (!length) {
                fail(error, "'\\%.3s' is not an escape: use \\n \\r \\t \\0 \\xHH, and "
                     "\\\\ for a backslash", text);
                return NULL;
            }
            text += length;
        }
        g_byte_array_append(bytes, &byte, 1);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

char *bytes_to_hex(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *text = g_malloc(2 * size + 1);
    size_t i;

    for (i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 0xf];
    }
    text[2 * size] = 0;
    return text;
}

GBytes *bytes_from_hex(const char *text, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    while (*text) {
        uint8_t byte;

        if (g_ascii_isspace(*text)) {
            text++;
            continue;
        }
        if (!is_hex_pair(text)) {
            fail(error, "'%.8s' does not begin with two hex digits: use two for each "
                 "byte, like 48 69 or 4869", text);
            return NULL;
        }
        byte = hex_pair(text);
        g_byte_array_append(bytes, &byte, 1);
        text += 2;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static void dump_line(FILE *file, const uint8_t *bytes, size_t size, uint64_t offset)
{
    size_t i;

    fprintf(file, "%08" G_GINT64_MODIFIER "x ", (guint64)offset);
    for (i = 0; i < LINE_BYTES; i++) {
        if (i == LINE_BYTES / 2) {
            fputc(' ', file);
        }
        if (i < size) {
            fprintf(file, " %02x", bytes[i]);
        } else {
            fputs("   ", file);
        }
    }
    fputs("  |", file);
    for (i = 0; i < size; i++) {
        fputc(g_ascii_isprint(bytes[i]) ? bytes[i] : '.', file);
    }
    fputs("|\n", file);
}

void bytes_dump(FILE *file, const uint8_t *bytes, size_t size, uint64_t offset)
{
    bool starred = false;
    size_t i;

    for (i = 0; i < size; i += LINE_BYTES) {
        size_t length = MIN(size - i, LINE_BYTES);

        if (i && length == LINE_BYTES &&
            !memcmp(bytes + i, bytes + i - LINE_BYTES, LINE_BYTES)) {
            if (!starred) {
                fputs("*\n", file);
            }
            starred = true;
            continue;
        }
        starred = false;
        dump_line(file, bytes + i, length, offset + i);
    }
    fprintf(file, "%08" G_GINT64_MODIFIER "x\n", (guint64)(offset + size));
}
