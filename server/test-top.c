/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "top.h"

static const TopRow *row(const TopSample *sample, guint i)
{
    g_assert_cmpuint(i, <, sample->rows->len);
    return sample->rows->pdata[i];
}

static TopSample *two_peers(gint64 time)
{
    TopSample *sample = top_sample_new();

    sample->time = time;
    top_sample_add(sample, "default", 0, 100, "one");
    top_sample_add(sample, "default", 1, 200, "two");
    return sample;
}

static void test_nothing_is_known(void)
{
    g_autoptr(TopSample) sample = two_peers(0);

    top_sample_finish(sample, NULL);
    g_assert_false(row(sample, 0)->counted);
    g_assert_cmpfloat(row(sample, 0)->doorbell_rate, ==, 0);
}

/* Rates need two samples; the busiest peer is first. */
static void test_rates(void)
{
    g_autoptr(TopSample) before = two_peers(1000), sample = two_peers(2001000);

    top_sample_count(before, 100, 0, 5, 0);
    top_sample_count(before, 200, 1, 1000, 2000);
    top_sample_finish(before, NULL);
    g_assert_cmpfloat(row(before, 1)->doorbell_rate, ==, 0);
    top_sample_count(sample, 100, 0, 5, 1);
    top_sample_count(sample, 200, 1, 1200, 2100);
    top_sample_finish(sample, before);
    g_assert_cmpstr(row(sample, 0)->command, ==, "two");
    g_assert_cmpfloat(row(sample, 0)->doorbell_rate, ==, 100);
    g_assert_cmpfloat(row(sample, 0)->interrupt_rate, ==, 50);
    g_assert_cmpfloat(row(sample, 1)->interrupt_rate, ==, 0.5);
    g_assert_cmpuint(row(sample, 1)->interrupts, ==, 1);
}

static void test_begun_anew(void)
{
    g_autoptr(TopSample) before = two_peers(0), sample = two_peers(1000000);

    top_sample_count(before, 100, 0, 50, 70);
    top_sample_count(sample, 100, 0, 60, 3);
    top_sample_finish(sample, before);
    g_assert_cmpfloat(row(sample, 0)->doorbell_rate, ==, 0);
    g_assert_cmpfloat(row(sample, 0)->interrupt_rate, ==, 0);
}

/* The same ID in another process is another peer. */
static void test_another_process(void)
{
    g_autoptr(TopSample) before = two_peers(0), sample = top_sample_new();

    top_sample_count(before, 100, 0, 50, 70);
    sample->time = 1000000;
    top_sample_add(sample, "default", 0, 101, "one");
    top_sample_count(sample, 100, 0, 60, 80);
    g_assert_false(row(sample, 0)->counted);
    top_sample_count(sample, 101, 0, 60, 80);
    top_sample_finish(sample, before);
    g_assert_true(row(sample, 0)->counted);
    g_assert_cmpfloat(row(sample, 0)->doorbell_rate, ==, 0);
}

static void test_process_is_not_known(void)
{
    g_autoptr(TopSample) sample = top_sample_new();

    top_sample_add(sample, "default", 3, 0, "");
    top_sample_count(sample, 100, 3, 1, 2);
    g_assert_true(row(sample, 0)->counted);
}

static void test_two_fit(void)
{
    g_autoptr(TopSample) sample = two_peers(0);

    top_sample_add(sample, "other", 0, 100, "one");
    top_sample_count(sample, 100, 0, 1, 2);
    top_sample_finish(sample, NULL);
    g_assert_false(row(sample, 0)->counted);
    g_assert_false(row(sample, 2)->counted);
    g_assert_cmpstr(row(sample, 2)->channel, ==, "other");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/top/nothing-is-known", test_nothing_is_known);
    g_test_add_func("/top/rates", test_rates);
    g_test_add_func("/top/begun-anew", test_begun_anew);
    g_test_add_func("/top/another-process", test_another_process);
    g_test_add_func("/top/process-is-not-known", test_process_is_not_known);
    g_test_add_func("/top/two-fit", test_two_fit);
    return g_test_run();
}
