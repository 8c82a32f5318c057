/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offsets, and the end of the memory. */
#include <string.h>

#include "range.h"

static void test_offsets(void)
{
    static const struct {
        const char *text;
        uint64_t offset;
    } cases[] = {
        { "0", 0 }, { "00", 0 }, { "0x0", 0 }, { "4096", 4096 }, { "0x1000", 4096 },
        { "4K", 4096 }, { "1.5M", 3 << 19 }, { "3G", UINT64_C(3) << 30 },
    };
    static const char *const wrong[] = { "", "-1", "x", "0x", "1.5", "K", "9E", "0 " };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t offset = 1;

        g_assert_true(range_parse_offset(cases[i].text, &offset, NULL));
        g_assert_cmpuint(offset, ==, cases[i].offset);
    }
    for (i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        uint64_t offset;

        g_assert_false(range_parse_offset(wrong[i], &offset, &error));
        g_assert_nonnull(strstr(error->message, "is not an offset"));
    }
}

static void test_check(void)
{
    static const struct {
        Range range;
        bool fits;
    } cases[] = {
        { { 0, 4096 }, true }, { { 4095, 1 }, true }, { { 4095, 0 }, true },
        { { 0, 4097 }, false }, { { 4096, 1 }, false }, { { 4096, 0 }, false },
        { { 1, UINT64_MAX }, false }, { { UINT64_MAX, 1 }, false },
    };
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(range_check(&cases[i].range, 4096, &error), ==, cases[i].fits);
        if (!cases[i].fits) {
            g_assert_nonnull(strstr(error->message, "has 4K (0x1000 bytes)"));
        }
    }
}

static void test_words(void)
{
    const Range good = { 4, 8 }, crooked = { 6, 8 }, broken = { 4, 6 };

    g_assert_true(range_check_words(&good, NULL));
    g_assert_false(range_check_words(&crooked, NULL));
    g_assert_false(range_check_words(&broken, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/range/offsets", test_offsets);
    g_test_add_func("/range/check", test_check);
    g_test_add_func("/range/words", test_words);
    return g_test_run();
}
