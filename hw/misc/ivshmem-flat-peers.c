/*
 * Peers of an ivshmem-flat and the eventfds that ring them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/misc/ivshmem-flat-peers.h"

#define DEPARTURE_MS 1000

typedef struct Peer {
    GArray *eventfds;
    int64_t departed_at;            /* ms, 0 while it is connected */
} Peer;

static void peer_free(void *opaque)
{
    Peer *peer = opaque;

    for (unsigned i = 0; i < peer->eventfds->len; i++) {
        int eventfd = g_array_index(peer->eventfds, int, i);

        if (eventfd >= 0) {
            close(eventfd);
        }
    }
    g_array_unref(peer->eventfds);
    g_free(peer);
}

static Peer *find_peer(IvshmemFlatPeers *p, uint16_t id)
{
    return g_hash_table_lookup(p->table, GUINT_TO_POINTER(id));
}

/*
 * Forgets peers that departed at @then or before, and sets the timer for the
 * next
 */
static void forget_departed(IvshmemFlatPeers *p, int64_t then)
{
    int64_t next = INT64_MAX;
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, p->table);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Peer *peer = value;

        if (peer->departed_at && peer->departed_at <= then) {
            g_hash_table_iter_remove(&iter);
        } else if (peer->departed_at) {
            next = MIN(next, peer->departed_at + DEPARTURE_MS);
        }
    }
    if (next == INT64_MAX) {
        timer_del(&p->departure_timer);
    } else {
        timer_mod(&p->departure_timer, next);
    }
}

static void departure_is_final(void *opaque)
{
    forget_departed(opaque,
                    qemu_clock_get_ms(QEMU_CLOCK_REALTIME) - DEPARTURE_MS);
}

void ivshmem_flat_peers_init(IvshmemFlatPeers *p)
{
    p->table = g_hash_table_new_full(NULL, NULL, NULL, peer_free);
    timer_init_ms(&p->departure_timer, QEMU_CLOCK_REALTIME, departure_is_final,
                  p);
}

void ivshmem_flat_peers_free(IvshmemFlatPeers *p)
{
    if (p->table) {
        timer_del(&p->departure_timer);
        g_clear_pointer(&p->table, g_hash_table_unref);
    }
}

unsigned ivshmem_flat_peers_count_vectors(IvshmemFlatPeers *p, uint16_t id)
{
    Peer *peer = find_peer(p, id);

    return peer && !peer->departed_at ? peer->eventfds->len : 0;
}

void ivshmem_flat_peers_add_vector(IvshmemFlatPeers *p, uint16_t id,
                                   int eventfd)
{
    Peer *peer = find_peer(p, id);

    if (!peer || peer->departed_at) {
        peer = g_new0(Peer, 1);
        peer->eventfds = g_array_new(false, false, sizeof(int));
        g_hash_table_insert(p->table, GUINT_TO_POINTER(id), peer);
    }
    g_array_append_val(peer->eventfds, eventfd);
}

void ivshmem_flat_peers_depart(IvshmemFlatPeers *p, uint16_t id)
{
    find_peer(p, id)->departed_at = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    departure_is_final(p);
}

bool ivshmem_flat_peers_has_departures(IvshmemFlatPeers *p)
{
    return timer_pending(&p->departure_timer);
}

void ivshmem_flat_peers_undo_departures(IvshmemFlatPeers *p)
{
    GHashTableIter iter;
    void *peer;

    departure_is_final(p);
    g_hash_table_iter_init(&iter, p->table);
    while (g_hash_table_iter_next(&iter, NULL, &peer)) {
        ((Peer *)peer)->departed_at = 0;
    }
    timer_del(&p->departure_timer);
}

void ivshmem_flat_peers_forget_departed(IvshmemFlatPeers *p)
{
    forget_departed(p, INT64_MAX);
}

void ivshmem_flat_peers_clear(IvshmemFlatPeers *p)
{
    g_hash_table_remove_all(p->table);
    timer_del(&p->departure_timer);
}

unsigned ivshmem_flat_peers_count(IvshmemFlatPeers *p)
{
    unsigned count = 0;
    GHashTableIter iter;
    void *peer;

    if (!p->table) {
        return 0;
    }
    g_hash_table_iter_init(&iter, p->table);
    while (g_hash_table_iter_next(&iter, NULL, &peer)) {
        count += !((Peer *)peer)->departed_at;
    }
    return count;
}

int ivshmem_flat_peers_find_vector(IvshmemFlatPeers *p, uint16_t id,
                                   uint16_t vector)
{
    Peer *peer = find_peer(p, id);

    return peer && vector < peer->eventfds->len ?
           g_array_index(peer->eventfds, int, vector) : -1;
}
