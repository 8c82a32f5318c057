/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clients of one shared memory. When one joins or leaves, the ledger records it and
 * it becomes an event. Every client that is not busy is then sent what is new to it:
 * first the others, then the newcomer, which gets its own vectors last.
 *
 * A departure is recorded with the clients that must be told: those that know of the
 * client that left. For all others, its arrival and departure cancel out. The record is
 * removed once the last of them has been told.
 */
#include "channel-internal.h"

#define RETRY_MS 20

static void channel_drop_event(Channel *channel, Event *event)
{
    guint i;

    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        if (peer->next == &event->link) {
            peer->next = event->link.next;
        }
    }
    g_queue_unlink(&channel->events.list, &event->link);
}

void channel_append_event(Channel *channel, Event *event, uint64_t number)
{
    guint i;

    event->link.data = event;
    event->number = number;
    g_queue_push_tail_link(&channel->events.list, &event->link);
    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        if (!peer->next) {
            peer->next = &event->link;
        }
    }
}

/* Forget the departures that everybody has been told. */
static void channel_tidy(Channel *channel)
{
    while (channel->events.heard) {
        Event *event = channel->events.heard->data;

        channel->events.heard = g_slist_delete_link(channel->events.heard,
                                                    channel->events.heard);
        channel_drop_event(channel, event);
        ledger_drop_departure(channel->ledger, event->departure);
        g_free(event);
    }
}

static gboolean channel_retry(gpointer opaque);

static void channel_send(Channel *channel, Peer *peer)
{
    PeerState state = peer_send(peer);

    peer->later = state == PEER_LATER;
    watch_change(&peer->watch, EPOLLIN | EPOLLRDHUP | EPOLLPRI |
                 (state == PEER_BUSY ? EPOLLOUT : 0));
    if (peer->later && !channel->retry) {
        channel->retry = g_timeout_add(RETRY_MS, channel_retry, channel);
    }
}

/*
 * The limit on fds in flight is shared by all clients. If the first waiting client
 * still hits it, the others need not be tried.
 */
static gboolean channel_retry(gpointer opaque)
{
    Channel *channel = opaque;
    bool again = false;
    guint i;

    for (i = 0; i < channel->peers->len && !again; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        if (peer->later) {
            channel_send(channel, peer);
            again = peer->later;
        }
    }
    channel_tidy(channel);
    if (!again) {
        channel->retry = 0;
    }
    return again ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void channel_send_all(Channel *channel, Peer *last)
{
    guint i;

    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);

        if (peer != last && !peer->later && !(peer->watch.events & EPOLLOUT)) {
            channel_send(channel, peer);
        }
    }
    if (last) {
        channel_send(channel, last);
    }
    channel_tidy(channel);
}

/*
 * Find room for a departure in the ledger. It has more room than there can be clients,
 * so it is full only if many have not read for very long: disconnect those.
 */
static int channel_new_departure(Channel *channel)
{
    int index = ledger_free_departure(channel->ledger);
    guint i;

    if (index < 0) {
        g_warning("%s: too many departures are unread: disconnecting all clients "
                  "that do not read", channel->name);
        for (i = 0; i < channel->peers->len; i++) {
            Peer *peer = g_ptr_array_index(channel->peers, i);

            if (peer->next) {
                peer_give_up(peer);
            }
        }
        channel_tidy(channel);
        index = ledger_free_departure(channel->ledger);
    }
    return index;
}

int channel_record_leave(Channel *channel, unsigned slot, unsigned *hearers)
{
    Ledger *ledger = channel->ledger;
    const Entry *entry = ledger_entry(ledger, slot);
    int index = channel_new_departure(channel);
    guint i;

    *hearers = 0;
    for (i = 0; i < channel->peers->len && entry->vectors && index >= 0; i++) {
        const Peer *peer = g_ptr_array_index(channel->peers, i);

        if (!peer->lost && peer_knows(peer, entry->joined)) {
            ledger_add_hearer(ledger, index, peer->slot);
            ++*hearers;
        }
    }
    ledger_leave(ledger, slot, *hearers ? index : -1, ledger_new_event(ledger));
    return *hearers ? index : -1;
}

static void channel_leave(Channel *channel, Peer *peer, const char *reason)
{
    unsigned hearers;
    int index;

    g_info("%s: peer %u (PID %d, %s) %s", channel->name, peer->entry->id,
           peer->entry->pid, peer->entry->command, reason);
    peer_give_up(peer);
    g_ptr_array_remove_fast(channel->peers, peer);
    channel_drop_event(channel, &peer->joined);
    channel_tidy(channel);
    forget_fds(channel->ledger, peer->entry, channel->notify);
    ids_give(channel->ids, peer->entry->id);
    index = channel_record_leave(channel, peer->slot, &hearers);
    if (index >= 0) {
        Event *event = g_new0(Event, 1);

        event->departure = index;
        event->hearers = hearers;
        channel_append_event(channel, event,
                             ledger_departure(channel->ledger, index)->left);
    }
    peer_free(peer);
    channel_send_all(channel, NULL);
}

static void channel_peer_event(Watch *watch, uint32_t events)
{
    Peer *peer = watch->data;
    Channel *channel = peer->channel;
    const char *reason;

    if (events & ~EPOLLOUT && peer_is_gone(peer, events, &reason)) {
        channel_leave(channel, peer, reason);
        return;
    }
    channel_send(channel, peer);
    channel_tidy(channel);
}

bool channel_watch(Channel *channel, Peer *peer)
{
    peer->channel = channel;
    return watch_add(channel->watches, &peer->watch, peer->socket,
                     EPOLLIN | EPOLLRDHUP | EPOLLPRI, channel_peer_event, peer);
}

Peer *channel_find(Channel *channel, unsigned id)
{
    guint i;

    for (i = 0; i < channel->peers->len; i++) {
        Peer *peer = g_ptr_array_index(channel->peers, i);
        const char *reason;

        if (peer->entry->id != id) {
            continue;
        }
        if (!peer_is_gone(peer, 0, &reason)) {
            return peer;
        }
        channel_leave(channel, peer, reason);
        return NULL;
    }
    return NULL;
}

Channel *channel_alloc(Ledger *ledger, Memory *memory, Watches *watches,
                       Notify *notify)
{
    Channel *channel = g_new0(Channel, 1);

    channel->name = g_strdup(ledger_name(ledger));
    channel->watches = watches;
    channel->notify = notify;
    channel->memory = memory;
    channel->ledger = ledger;
    channel->ids = ids_new();
    g_queue_init(&channel->events.list);
    channel->peers = g_ptr_array_new();
    return channel;
}

static void channel_keep(Channel *channel, FdKind kind, int fd)
{
    g_autofree char *name = fd_name_format(kind, ledger_tag(channel->ledger), 0, 0);

    if (fd >= 0) {
        notify_keep(channel->notify, name, fd);
    }
}

Channel *channel_new(const char *name, Memory *memory, uint32_t tag, Watches *watches,
                     Notify *notify, GError **error)
{
    Ledger *ledger = ledger_new(name, tag, error);
    Channel *channel;

    if (!ledger) {
        memory_free(memory);
        return NULL;
    }
    channel = channel_alloc(ledger, memory, watches, notify);
    channel_keep(channel, FD_LEDGER, ledger->fd);
    channel_keep(channel, FD_MEMORY, memory->fd);
    channel_keep(channel, FD_LOCK, memory->lock);
    return channel;
}

void channel_free(Channel *channel)
{
    GList *link;
    guint i;

    if (channel->retry) {
        g_source_remove(channel->retry);
    }
    while ((link = g_queue_pop_head_link(&channel->events.list))) {
        Event *event = link->data;

        if (!event->joined) {
            g_free(event);
        }
    }
    for (i = 0; i < channel->peers->len; i++) {
        peer_free(g_ptr_array_index(channel->peers, i));
    }
    g_ptr_array_free(channel->peers, TRUE);
    ids_free(channel->ids);
    ledger_free(channel->ledger);
    memory_free(channel->memory);
    g_free(channel->name);
    g_free(channel);
}
