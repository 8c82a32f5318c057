/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest may remember an ID long after its peer has left. So reuse IDs as late as
 * possible: first those never used, then those free for longest.
 */
#include "ids.h"

struct Ids {
    bool used[IDS_NUMBER];      /* now or before */
    bool reserved[IDS_NUMBER];
    unsigned never_used;        /* all lower ones were used or are reserved */
    GQueue free;                /* used before, longest free first */
};

Ids *ids_new(void)
{
    Ids *ids = g_new0(Ids, 1);

    g_queue_init(&ids->free);
    return ids;
}

void ids_free(Ids *ids)
{
    g_queue_clear(&ids->free);
    g_free(ids);
}

void ids_reserve(Ids *ids, unsigned id)
{
    g_assert(id < IDS_NUMBER);
    ids->reserved[id] = true;
    g_queue_remove(&ids->free, GUINT_TO_POINTER(id));
}

int ids_take(Ids *ids)
{
    while (ids->never_used < IDS_NUMBER &&
           (ids->used[ids->never_used] || ids->reserved[ids->never_used])) {
        ids->never_used++;
    }
    if (ids->never_used < IDS_NUMBER) {
        ids->used[ids->never_used] = true;
        return ids->never_used;
    }
    if (g_queue_is_empty(&ids->free)) {
        return -1;
    }
    return GPOINTER_TO_UINT(g_queue_pop_head(&ids->free));
}

void ids_give(Ids *ids, unsigned id)
{
    g_assert(id < IDS_NUMBER && ids->used[id]);
    if (!ids->reserved[id]) {
        g_queue_push_tail(&ids->free, GUINT_TO_POINTER(id));
    }
}

void ids_use(Ids *ids, unsigned id)
{
    g_assert(id < IDS_NUMBER);
    ids->used[id] = true;
}
