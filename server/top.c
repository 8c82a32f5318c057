/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sample is complete in itself; rates come from the difference of two. */
#include "top.h"

static void row_free(gpointer data)
{
    TopRow *row = data;

    g_free(row->channel);
    g_free(row->command);
    g_free(row);
}

TopSample *top_sample_new(void)
{
    TopSample *sample = g_new0(TopSample, 1);

    sample->time = g_get_monotonic_time();
    sample->rows = g_ptr_array_new_with_free_func(row_free);
    return sample;
}

void top_sample_free(TopSample *sample)
{
    g_ptr_array_unref(sample->rows);
    g_free(sample);
}

TopRow *top_sample_add(TopSample *sample, const char *channel, unsigned id, int pid,
                       const char *command)
{
    TopRow *row = g_new0(TopRow, 1);

    row->channel = g_strdup(channel);
    row->id = id;
    row->pid = pid;
    row->command = g_strdup(command);
    g_ptr_array_add(sample->rows, row);
    return row;
}

void top_sample_count(TopSample *sample, int pid, unsigned id, uint64_t doorbells,
                      uint64_t interrupts)
{
    TopRow *found = NULL;
    guint i;

    for (i = 0; i < sample->rows->len; i++) {
        TopRow *row = sample->rows->pdata[i];

        if (row->id == id && (row->pid == pid || !row->pid || !pid)) {
            if (found) {
                return;
            }
            found = row;
        }
    }
    if (found) {
        found->counted = true;
        found->doorbells = doorbells;
        found->interrupts = interrupts;
    }
}

static const TopRow *same_peer(const TopSample *sample, const TopRow *row)
{
    guint i;

    for (i = 0; sample && i < sample->rows->len; i++) {
        const TopRow *other = sample->rows->pdata[i];

        if (other->id == row->id && other->pid == row->pid && other->counted &&
            g_str_equal(other->channel, row->channel)) {
            return other;
        }
    }
    return NULL;
}

static int by_rate(gconstpointer a, gconstpointer b)
{
    const TopRow *one = *(TopRow *const *)a, *two = *(TopRow *const *)b;
    double rate_one = one->doorbell_rate + one->interrupt_rate;
    double rate_two = two->doorbell_rate + two->interrupt_rate;
    int order;

    if (rate_one != rate_two) {
        return rate_one > rate_two ? -1 : 1;
    }
    order = g_strcmp0(one->channel, two->channel);
    return order ? order : (int)one->id - (int)two->id;
}

void top_sample_finish(TopSample *sample, const TopSample *before)
{
    double seconds = before ? (sample->time - before->time) / (double)G_USEC_PER_SEC : 0;
    guint i;

    for (i = 0; seconds > 0 && i < sample->rows->len; i++) {
        TopRow *row = sample->rows->pdata[i];
        const TopRow *old = row->counted ? same_peer(before, row) : NULL;

        if (old && old->doorbells <= row->doorbells && old->interrupts <= row->interrupts) {
            row->doorbell_rate = (row->doorbells - old->doorbells) / seconds;
            row->interrupt_rate = (row->interrupts - old->interrupts) / seconds;
        }
    }
    g_ptr_array_sort(sample->rows, by_rate);
}
