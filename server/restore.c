/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restores a channel in a new process. The ledger records who was connected and what
 * each client has been told; the fds come by name. From these, rebuild the list of
 * events, with every client at its position, and continue as before. A client with a
 * missing fd has left in the meantime.
 */
#include <errno.h>
#include <sys/socket.h>

#include "channel-internal.h"
#include "fd.h"

/* The client in @slot with its fds, or NULL if any are missing */
static Peer *restore_peer(Channel *channel, unsigned slot, Handover *handover)
{
    const Entry *entry = ledger_entry(channel->ledger, slot);
    uint32_t tag = ledger_tag(channel->ledger);
    AUTO_FD socket = handover_take(handover, FD_CLIENT, tag, entry->joined, 0);
    g_autofree int *vectors = g_new(int, entry->vectors + 1);
    bool complete = socket >= 0 && fd_is_socket(socket);
    unsigned i;

    for (i = 0; i < entry->vectors; i++) {
        vectors[i] = handover_take(handover, FD_VECTOR, tag, entry->joined, i);
        complete = complete && vectors[i] >= 0;
    }
    if (!complete) {
        shutdown(socket, SHUT_RDWR);
        forget_fds(channel->ledger, entry, channel->notify);
        for (i = 0; i < entry->vectors; i++) {
            fd_close(&vectors[i]);
        }
        return NULL;
    }
    return peer_new(channel->ledger, slot, &channel->events, channel->memory->fd,
                    fd_steal(&socket), g_steal_pointer(&vectors));
}

static void restore_peers(Channel *channel, Handover *handover)
{
    g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(unsigned));
    unsigned slot, hearers;
    guint i;

    for (slot = 0; slot < ledger_slots(channel->ledger); slot++) {
        const Entry *entry = ledger_entry(channel->ledger, slot);
        Peer *peer;

        if (!entry->joined) {
            continue;
        }
        peer = restore_peer(channel, slot, handover);
        if (peer) {
            g_ptr_array_add(channel->peers, peer);
        } else {
            g_array_append_val(gone, slot);
        }
    }
    for (i = 0; i < gone->len; i++) {
        slot = g_array_index(gone, unsigned, i);
        g_info("%s: peer %u left while no server ran", channel->name,
               ledger_entry(channel->ledger, slot)->id);
        channel_record_leave(channel, slot, &hearers);
    }
}

static unsigned count_hearers(const Channel *channel, unsigned index)
{
    uint64_t left = ledger_departure(channel->ledger, index)->left;
    unsigned hearers = 0;
    guint i;

    for (i = 0; i < channel->peers->len; i++) {
        const Peer *peer = g_ptr_array_index(channel->peers, i);

        hearers += peer->entry->progress.told < left &&
                   ledger_is_hearer(channel->ledger, index, peer->slot);
    }
    return hearers;
}

static gint compare_events(gconstpointer a, gconstpointer b)
{
    const Event *const *first = a, *const *second = b;

    return (*first)->number < (*second)->number ? -1 : 1;
}

static GPtrArray *restore_events(Channel *channel)
{
    GPtrArray *events = g_ptr_array_new();
    unsigned index;
    guint i;

    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        peer->joined.number = peer->entry->joined;
        g_ptr_array_add(events, &peer->joined);
    }
    for (index = 0; index < ledger_departures(channel->ledger); index++) {
        uint64_t left = ledger_departure(channel->ledger, index)->left;
        unsigned hearers = left ? count_hearers(channel, index) : 0;

        if (hearers) {
            Event *event = g_new0(Event, 1);

            event->number = left;
            event->departure = index;
            event->hearers = hearers;
            g_ptr_array_add(events, event);
        } else if (left) {
            ledger_drop_departure(channel->ledger, index);
        }
    }
    g_ptr_array_sort(events, compare_events);
    return events;
}

static void restore_order(Channel *channel)
{
    g_autoptr(GPtrArray) events = restore_events(channel);
    guint i;

    for (i = 0; i < events->len; i++) {
        Event *event = g_ptr_array_index(events, i);

        event->link.data = event;
        g_queue_push_tail_link(&channel->events.list, &event->link);
    }
    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        peer->next = channel->events.list.head;
        while (peer->next && ((const Event *)peer->next->data)->number <=
                             peer->entry->progress.told) {
            peer->next = peer->next->next;
        }
    }
}

typedef struct Use {
    unsigned id;
    uint64_t last;
} Use;

static gint compare_uses(gconstpointer a, gconstpointer b)
{
    const Use *first = a, *second = b;

    return first->last < second->last ? -1 : first->last > second->last;
}

static void restore_ids(Channel *channel)
{
    g_autoptr(GArray) uses = g_array_new(FALSE, FALSE, sizeof(Use));
    g_autofree bool *busy = g_new0(bool, IDS_NUMBER);
    unsigned id;
    guint i;

    for (i = 0; i < channel->peers->len; i++) {
        const Peer *peer = g_ptr_array_index(channel->peers, i);

        busy[peer->entry->id] = true;
        ids_use(channel->ids, peer->entry->id);
    }
    for (id = 0; id < IDS_NUMBER; id++) {
        Use use = { id, ledger_last_used(channel->ledger, id) };

        if (use.last) {
            g_array_append_val(uses, use);
        }
    }
    g_array_sort(uses, compare_uses);
    for (i = 0; i < uses->len; i++) {
        const Use *use = &g_array_index(uses, Use, i);

        ids_use(channel->ids, use->id);
        if (!busy[use->id]) {
            ids_give(channel->ids, use->id);
        }
    }
}

Channel *channel_restore(Ledger *ledger, Memory *memory, Handover *handover,
                         Watches *watches, Notify *notify)
{
    Channel *channel = channel_alloc(ledger, memory, watches, notify);
    guint i;

    restore_peers(channel, handover);
    restore_order(channel);
    restore_ids(channel);
    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        if (!channel_watch(channel, peer)) {
            g_warning("%s: cannot watch peer %u: %s", channel->name,
                      peer->entry->id, g_strerror(errno));
        }
    }
    channel_send_all(channel, NULL);
    return channel;
}

void forget_fds(const Ledger *ledger, const Entry *entry, Notify *notify)
{
    uint32_t tag = ledger_tag(ledger);
    g_autofree char *name = fd_name_format(FD_CLIENT, tag, entry->joined, 0);
    unsigned i;

    notify_forget(notify, name);
    for (i = 0; i < entry->vectors; i++) {
        g_autofree char *vector = fd_name_format(FD_VECTOR, tag, entry->joined, i);

        notify_forget(notify, vector);
    }
}

static void hand_over(Channel *channel, Handover *handover, FdKind kind,
                      const Entry *entry, unsigned vector, int fd)
{
    g_autofree char *name = fd_name_format(kind, ledger_tag(channel->ledger),
                                           entry ? entry->joined : 0, vector);

    if (fd >= 0) {
        handover_add(handover, name, fd);
    }
}

void channel_hand_over(Channel *channel, Handover *handover)
{
    unsigned vector;
    guint i;

    hand_over(channel, handover, FD_LEDGER, NULL, 0, channel->ledger->fd);
    hand_over(channel, handover, FD_MEMORY, NULL, 0, channel->memory->fd);
    hand_over(channel, handover, FD_LOCK, NULL, 0, channel->memory->lock);
    for (i = 0; i < channel->peers->len; i++) {
        const Peer *peer = g_ptr_array_index(channel->peers, i);

        hand_over(channel, handover, FD_CLIENT, peer->entry, 0, peer->socket);
        for (vector = 0; vector < peer->entry->vectors; vector++) {
            hand_over(channel, handover, FD_VECTOR, peer->entry, vector,
                      peer->vectors[vector]);
        }
    }
}
