/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_PEER_H
#define IVSHMEMD_PEER_H

#include <glib.h>
#include <stdbool.h>

#include "events.h"
#include "ledger.h"
#include "watch.h"

typedef struct Channel Channel;

/* One client: its socket, its vectors, and its place in the order of events. */
struct Peer {
    Ledger *ledger;
    unsigned slot;          /* in the ledger */
    Entry *entry;           /* there */
    int memory;             /* borrowed */
    int socket;             /* owned, as are the vectors */
    int *vectors;           /* entry->vectors eventfds */
    Event joined;           /* in Events.list while it is connected */
    Events *events;
    GList *next;            /* the first event it has not been told in full */
    Watch watch;
    Channel *channel;       /* for whom the watch is */
    bool later;             /* the kernel had no room for more messages */
    bool lost;              /* is told nothing any more; its hang-up will follow */
};

typedef enum PeerState {
    PEER_UP_TO_DATE,        /* has been sent everything */
    PEER_BUSY,              /* goes on when its socket can be written */
    PEER_LATER,             /* goes on after a while: a limit of the kernel's */
} PeerState;

/*
 * A client in @slot, whose ledger entry is filled in or about to be. Takes @socket,
 * which must not block, and @vectors, an array from g_malloc() of eventfds.
 */
Peer *peer_new(Ledger *ledger, unsigned slot, Events *events, int memory, int socket,
               int *vectors);

/* Closes all. Without peer_give_up() before, another holder keeps it connected. */
void peer_free(Peer *peer);

/*
 * Send what can be sent without waiting, up to a few hundred messages. Departures
 * that everybody has heard by now go to Events.heard.
 */
PeerState peer_send(Peer *peer);

/* Does @peer know of the client whose event of joining is @joined, or of a part? */
bool peer_knows(const Peer *peer, uint64_t joined);

/* End the connection. @peer hears nothing more, and nobody waits for it to hear. */
void peer_give_up(Peer *peer);

/*
 * Why a client's socket is readable. True if it has gone or sent something, which
 * ends it as well; @reason is then a phrase for the log.
 */
bool peer_is_gone(const Peer *peer, const char **reason);

/* Messages that are still to be sent */
uint64_t peer_queued(const Peer *peer);

#endif
