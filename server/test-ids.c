/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ID a new client gets. */
#include "ids.h"

static void test_lowest_never_used(void)
{
    g_autoptr(Ids) ids = ids_new();

    g_assert_cmpint(ids_take(ids), ==, 0);
    g_assert_cmpint(ids_take(ids), ==, 1);
    ids_give(ids, 0);
    g_assert_cmpint(ids_take(ids), ==, 2);
}

static void test_reserved_is_skipped(void)
{
    g_autoptr(Ids) ids = ids_new();

    ids_reserve(ids, 0);
    ids_reserve(ids, 2);
    g_assert_cmpint(ids_take(ids), ==, 1);
    ids_use(ids, 2);
    ids_give(ids, 2);
    g_assert_cmpint(ids_take(ids), ==, 3);
}

static void test_least_recently_used(void)
{
    g_autoptr(Ids) ids = ids_new();
    unsigned i;

    for (i = 0; i < IDS_NUMBER; i++) {
        g_assert_cmpint(ids_take(ids), ==, i);
    }
    g_assert_cmpint(ids_take(ids), ==, -1);
    ids_give(ids, 7);
    ids_give(ids, 3);
    ids_give(ids, 65535);
    ids_reserve(ids, 3);
    g_assert_cmpint(ids_take(ids), ==, 7);
    g_assert_cmpint(ids_take(ids), ==, 65535);
    g_assert_cmpint(ids_take(ids), ==, -1);
}

static void test_restored(void)
{
    g_autoptr(Ids) ids = ids_new();

    ids_use(ids, 0);
    ids_use(ids, 1);
    ids_give(ids, 1);
    g_assert_cmpint(ids_take(ids), ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ids/lowest-never-used", test_lowest_never_used);
    g_test_add_func("/ids/reserved-is-skipped", test_reserved_is_skipped);
    g_test_add_func("/ids/least-recently-used", test_least_recently_used);
    g_test_add_func("/ids/restored", test_restored);
    return g_test_run();
}
