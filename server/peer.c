/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages for one client. The whole protocol is a walk through the channel's
 * events, oldest first. Clients that joined earlier come before this client's own
 * event, so it is told of them first. Its own event stands for its own vectors, and
 * later events are news. Version, ID and memory come before all events.
 *
 * A message is 8 bytes and at most one fd. A batch of messages is built in the ledger's
 * outbox and sent with one system call. The ledger alone records how far the client has
 * come, so nothing is queued, copied or duplicated. If the socket is full, the walk
 * stops until it is writable.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

#define PROTOCOL_VERSION 0
#define MEMORY_MESSAGE (-1)

/* So that a client that reads as fast as we send does not delay the others */
#define BATCHES_AT_ONCE 4

typedef union Control {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
} Control;

/* The data that the headers in the outbox point to */
typedef struct Batch {
    unsigned count;
    int64_t value[OUTBOX_MESSAGES];
    struct iovec iov[OUTBOX_MESSAGES];
    Control control[OUTBOX_MESSAGES];
} Batch;

Peer *peer_new(Ledger *ledger, unsigned slot, Events *events, int memory, int socket,
               int *vectors)
{
    Peer *peer = g_new0(Peer, 1);

    peer->ledger = ledger;
    peer->slot = slot;
    peer->entry = ledger_entry(ledger, slot);
    peer->events = events;
    peer->memory = memory;
    peer->socket = socket;
    peer->vectors = vectors;
    peer->joined.link.data = &peer->joined;
    peer->joined.joined = peer;
    return peer;
}

void peer_free(Peer *peer)
{
    unsigned i;

    watch_remove(&peer->watch);
    close(peer->socket);
    for (i = 0; i < peer->entry->vectors; i++) {
        close(peer->vectors[i]);
    }
    g_free(peer->vectors);
    g_free(peer);
}

static void batch_add(Batch *batch, Outbox *outbox, int64_t value, int fd,
                      const Progress *after)
{
    unsigned i = batch->count++;
    struct msghdr *message = &outbox->message[i].msg_hdr;

    batch->value[i] = GINT64_TO_LE(value);
    batch->iov[i] = (struct iovec) { &batch->value[i], sizeof(batch->value[i]) };
    *message = (struct msghdr) { .msg_iov = &batch->iov[i], .msg_iovlen = 1 };
    if (fd >= 0) {
        Control *control = &batch->control[i];

        memset(control, 0, sizeof(*control));
        control->header.cmsg_level = SOL_SOCKET;
        control->header.cmsg_type = SCM_RIGHTS;
        control->header.cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(&control->header), &fd, sizeof(fd));
        message->msg_control = control;
        message->msg_controllen = sizeof(*control);
    }
    outbox->length[i] = sizeof(batch->value[i]);
    outbox->after[i] = *after;
    outbox->after[i].value = value;
}

/* The rest of a message whose first part was sent, with its fd */
static void batch_add_rest(Batch *batch, Outbox *outbox, const Progress *after)
{
    unsigned i = batch->count;
    unsigned rest = after->rest;

    batch_add(batch, outbox, after->value, -1, after);
    batch->iov[i].iov_base = (char *)&batch->value[i] + sizeof(int64_t) - rest;
    batch->iov[i].iov_len = rest;
    outbox->length[i] = rest;
}

static void batch_add_greeting(Batch *batch, Outbox *outbox, const Peer *peer,
                               Progress *progress)
{
    const int64_t value[GREETINGS] = {
        PROTOCOL_VERSION, peer->entry->id, MEMORY_MESSAGE,
    };
    const int fd[GREETINGS] = { -1, -1, peer->memory };

    while (progress->greeting < GREETINGS) {
        unsigned i = progress->greeting++;

        batch_add(batch, outbox, value[i], fd[i], progress);
    }
}

/* Number of messages about @event for @peer */
static unsigned event_messages(const Event *event, const Peer *peer)
{
    if (event->joined) {
        return event->joined->entry->vectors;
    }
    return ledger_is_hearer(peer->ledger, event->departure, peer->slot);
}

static void batch_add_event(Batch *batch, Outbox *outbox, const Peer *peer,
                            const Event *event, const Progress *after)
{
    if (event->joined) {
        const Peer *other = event->joined;

        batch_add(batch, outbox, other->entry->id, other->vectors[after->step - 1],
                  after);
    } else {
        const Departure *left = ledger_departure(peer->ledger, event->departure);

        batch_add(batch, outbox, left->id, -1, after);
    }
}

static void progress_finish(Progress *progress, const Event *event)
{
    progress->step = 0;
    progress->told = event->number;
}

/* Build the next messages. Skip events that do not concern this client. */
static void peer_fill(Peer *peer, Batch *batch, Outbox *outbox)
{
    Progress progress = peer->entry->progress;
    GList *next = peer->next;

    batch->count = 0;
    if (progress.rest) {
        batch_add_rest(batch, outbox, &progress);
        progress.rest = 0;
        outbox->after[0].rest = 0;
    }
    batch_add_greeting(batch, outbox, peer, &progress);
    while (next && batch->count < OUTBOX_MESSAGES) {
        const Event *event = next->data;
        unsigned messages = event_messages(event, peer);

        if (progress.telling != event->number) {
            progress.telling = event->number;
            progress.step = 0;      /* the previous event was cut short */
        }
        if (progress.step < messages) {
            Progress after = progress;

            after.step = ++progress.step;
            batch_add_event(batch, outbox, peer, event, &after);
        }
        if (progress.step >= messages) {
            progress_finish(&progress, event);
            if (batch->count) {
                progress_finish(&outbox->after[batch->count - 1], event);
            }
            next = next->next;
        }
    }
    if (!batch->count) {
        peer->entry->progress = progress;
    }
}

/* Move to the event that is next according to the ledger. */
static void peer_advance(Peer *peer)
{
    while (peer->next) {
        Event *event = peer->next->data;

        if (event->number > peer->entry->progress.told) {
            return;
        }
        peer->next = peer->next->next;
        if (!event->joined &&
            ledger_is_hearer(peer->ledger, event->departure, peer->slot) &&
            --event->hearers == 0) {
            peer->events->heard = g_slist_prepend(peer->events->heard, event);
        }
    }
}

PeerState peer_send(Peer *peer)
{
    Outbox *outbox = ledger_outbox(peer->ledger);
    unsigned batches;
    Batch batch;

    for (batches = 0; batches < BATCHES_AT_ONCE && !peer->lost; batches++) {
        int sent, saved;

        peer_fill(peer, &batch, outbox);
        if (!batch.count) {
            peer_advance(peer);
            return PEER_UP_TO_DATE;
        }
        ledger_sending(peer->ledger, peer->slot, batch.count);
        sent = sendmmsg(peer->socket, outbox->message, batch.count,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
        saved = errno;
        ledger_sent(peer->ledger);
        peer_advance(peer);
        if (sent >= 0) {
            continue;
        }
        if (saved == EAGAIN) {
            return PEER_BUSY;
        }
        if (saved == ETOOMANYREFS || saved == ENOBUFS || saved == ENOMEM) {
            return PEER_LATER;
        }
        if (saved != EINTR) {
            peer_give_up(peer);
        }
    }
    return peer->lost ? PEER_UP_TO_DATE : PEER_BUSY;
}

bool peer_knows(const Peer *peer, uint64_t joined)
{
    const Progress *progress = &peer->entry->progress;

    return progress->told >= joined ||
           (progress->telling == joined && progress->step > 0);
}

void peer_give_up(Peer *peer)
{
    peer->lost = true;
    peer->entry->progress.told = ledger_last_event(peer->ledger);
    peer->entry->progress.rest = 0;
    peer_advance(peer);
    shutdown(peer->socket, SHUT_RDWR);
}

bool peer_is_gone(const Peer *peer, uint32_t events, const char **reason)
{
    bool urgent = events & EPOLLPRI;    /* out of band: an ordinary read skips it */
    char byte;
    ssize_t got = recv(peer->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (!urgent && got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    *reason = got > 0 || urgent ? "sent data, which clients must not do: disconnected" :
              "left";
    return true;
}

uint64_t peer_queued(const Peer *peer)
{
    const Progress *progress = &peer->entry->progress;
    uint64_t messages = GREETINGS - progress->greeting + !!progress->rest;
    const GList *next;

    for (next = peer->next; next && !peer->lost; next = next->next) {
        const Event *event = next->data;

        messages += event_messages(event, peer);
        if (event->number == progress->telling) {
            messages -= progress->step;
        }
    }
    return messages;
}
