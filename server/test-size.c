/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes: valid, invalid, and rounding. */
#include <string.h>

#include "size.h"

static void test_understood(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        { "1", 1 }, { "4096", 4096 }, { "0x400000", 4 << 20 }, { "512B", 512 },
        { "1K", 1024 }, { "4M", 4 << 20 }, { "4m", 4 << 20 }, { "1.5K", 1536 },
        { "0.5G", 512 << 20 }, { "5G", UINT64_C(5) << 30 }, { "2T", UINT64_C(2) << 40 },
        { "4E", SIZE_LARGEST },
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        uint64_t bytes = 0;

        g_assert_true(size_parse(cases[i].text, &bytes, &error));
        g_assert_cmpuint(bytes, ==, cases[i].bytes);
    }
}

static void test_refused(void)
{
    static const char *const cases[] = {
        "", "0", "-1", " 1", "M", "4X", "4MB", "4 M", "1.5", "1.", "1.M", "0x", "0xM",
        "5E", "4.5E", "18446744073709551616", "99999999999999999999", "nan", "0.1B",
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        uint64_t bytes;

        g_assert_false(size_parse(cases[i], &bytes, &error));
        g_assert_nonnull(strstr(error->message, "is not a size"));
    }
}

static void test_round_up(void)
{
    g_assert_cmpuint(size_round_up(1, 4096), ==, 4096);
    g_assert_cmpuint(size_round_up(4096, 4096), ==, 4096);
    g_assert_cmpuint(size_round_up(4097, 4096), ==, 8192);
    g_assert_cmpuint(size_round_up(5 << 20, 4096), ==, 8 << 20);
    g_assert_cmpuint(size_round_up(1, 2 << 20), ==, 2 << 20);
    g_assert_cmpuint(size_round_up(SIZE_LARGEST, 4096), ==, SIZE_LARGEST);
    g_assert_cmpuint(size_round_up(SIZE_LARGEST - 1, 4096), ==, SIZE_LARGEST);
}

static void test_format(void)
{
    static const char *const cases[] = { "1", "1000", "1K", "4M", "1536K", "5G", "4E" };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = NULL;
        uint64_t bytes;

        g_assert_true(size_parse(cases[i], &bytes, NULL));
        text = size_format(bytes);
        g_assert_cmpstr(text, ==, cases[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/size/understood", test_understood);
    g_test_add_func("/size/refused", test_refused);
    g_test_add_func("/size/round-up", test_round_up);
    g_test_add_func("/size/format", test_format);
    return g_test_run();
}
