/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text and hex in both directions, errors, and the dump. */
#include <string.h>

#include "bytes.h"

static void assert_bytes(GBytes *bytes, const void *expected, size_t size)
{
    g_assert_nonnull(bytes);
    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), expected,
                    size);
}

static void test_text(void)
{
    static const struct {
        const char *text;
        const char *bytes;
        size_t size;
    } cases[] = {
        { "", "", 0 }, { "hello world", "hello world", 11 }, { "a\\0b", "a\0b", 3 },
        { "\\n\\r\\t\\\\", "\n\r\t\\", 4 }, { "\\x1b[2J", "\033[2J", 4 },
        { "\\00", "\0" "0", 2 }, { "\\xff\\x80\\x7f", "\xff\x80\x7f", 3 },
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = bytes_to_text((const uint8_t *)cases[i].bytes,
                                              cases[i].size);
        g_autoptr(GBytes) bytes = bytes_from_text(cases[i].text, NULL);

        g_assert_cmpstr(text, ==, cases[i].text);
        assert_bytes(bytes, cases[i].bytes, cases[i].size);
    }
}

/* No byte becomes anything that a terminal acts upon */
static void test_text_is_printable(void)
{
    uint8_t all[256];
    g_autofree char *text = NULL;
    g_autoptr(GBytes) back = NULL;
    unsigned i;

    for (i = 0; i < sizeof(all); i++) {
        all[i] = i;
    }
    text = bytes_to_text(all, sizeof(all));
    for (i = 0; text[i]; i++) {
        g_assert_true(text[i] >= ' ' && text[i] <= '~');
    }
    back = bytes_from_text(text, NULL);
    assert_bytes(back, all, sizeof(all));
}

static void test_text_in_utf8(void)
{
    g_autoptr(GBytes) bytes = bytes_from_text("\xc3\xa9", NULL);

    assert_bytes(bytes, "\xc3\xa9", 2);
}

static void test_text_refused(void)
{
    static const char *const cases[] = { "\\", "a\\q", "\\x", "\\x1", "\\xg0", "\\xag" };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(bytes_from_text(cases[i], &error));
        g_assert_nonnull(strstr(error->message, "is not an escape"));
    }
}

static void test_hex(void)
{
    g_autofree char *text = bytes_to_hex((const uint8_t *)"\x00\x9f\xff", 3);
    g_autoptr(GBytes) bytes = bytes_from_hex(" 00 9F\nff", NULL);
    g_autoptr(GBytes) none = bytes_from_hex("", NULL);

    g_assert_cmpstr(text, ==, "009fff");
    assert_bytes(bytes, "\x00\x9f\xff", 3);
    assert_bytes(none, "", 0);
}

static void test_hex_refused(void)
{
    static const char *const cases[] = { "0", "000", "0 0", "0x00", "gg" };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(bytes_from_hex(cases[i], &error));
        g_assert_nonnull(strstr(error->message, "two hex digits"));
    }
}

static char *dump(const void *bytes, size_t size, uint64_t offset)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);

    bytes_dump(file, bytes, size, offset);
    fclose(file);
    return text;
}

static void test_dump(void)
{
    g_autofree char *none = dump("", 0, 0x10);
    g_autofree char *odd = dump("0123456789abcdef\033", 17, 0x1000);
    uint8_t zeros[80] = { 0 };
    g_autofree char *repeated = NULL;

    g_assert_cmpstr(none, ==, "00000010\n");
    g_assert_cmpstr(odd, ==,
        "00001000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  "
        "|0123456789abcdef|\n"
        "00001010  1b                                                |.|\n"
        "00001011\n");
    zeros[48] = 1;
    repeated = dump(zeros, sizeof(zeros), 0);
    g_assert_cmpstr(repeated, ==,
        "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  "
        "|................|\n"
        "*\n"
        "00000030  01 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  "
        "|................|\n"
        "00000040  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  "
        "|................|\n"
        "00000050\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bytes/text", test_text);
    g_test_add_func("/bytes/text-is-printable", test_text_is_printable);
    g_test_add_func("/bytes/text-in-utf8", test_text_in_utf8);
    g_test_add_func("/bytes/text-refused", test_text_refused);
    g_test_add_func("/bytes/hex", test_hex);
    g_test_add_func("/bytes/hex-refused", test_hex_refused);
    g_test_add_func("/bytes/dump", test_dump);
    return g_test_run();
}
