/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_PEER_H
#define IVSHMEMD_PEER_H

#include <glib.h>
#include <stdbool.h>

#include "events.h"
#include "ledger.h"
#include "watch.h"

typedef struct Channel Channel;

/* One client: its socket, its vectors and its position among the events */
struct Peer {
    Ledger *ledger;
    unsigned slot;          /* in the ledger */
    Entry *entry;           /* the ledger's */
    int memory;             /* borrowed */
    int socket;             /* owned, as are the vectors */
    int *vectors;           /* entry->vectors eventfds */
    Event joined;           /* in Events.list while it is connected */
    Events *events;
    GList *next;            /* the first event not fully sent */
    Watch watch;
    Channel *channel;       /* used by the watch */
    bool later;             /* the kernel had no room for more messages */
    bool lost;              /* is sent nothing more; its hang-up will follow */
};

typedef enum PeerState {
    PEER_UP_TO_DATE,        /* has been sent everything */
    PEER_BUSY,              /* continues when its socket is writable */
    PEER_LATER,             /* continues after a while: kernel limit */
} PeerState;

/*
 * A client in @slot, whose ledger entry is or will be filled in. Takes ownership of
 * @socket, which must be non-blocking, and of @vectors, an array of eventfds from
 * g_malloc().
 */
Peer *peer_new(Ledger *ledger, unsigned slot, Events *events, int memory, int socket,
               int *vectors);

/*
 * Closes everything. Call peer_give_up() first, or another holder of the socket keeps
 * the connection open.
 */
void peer_free(Peer *peer);

/*
 * Send without blocking, up to a few hundred messages. Departures that everybody has
 * been told are moved to Events.heard.
 */
PeerState peer_send(Peer *peer);

/* Has @peer been told, at least in part, of the client that joined in event @joined? */
bool peer_knows(const Peer *peer, uint64_t joined);

/* End the connection. @peer is sent nothing more, and nothing waits for it. */
void peer_give_up(Peer *peer);

/*
 * Why a client's socket is readable; @events are those of its watch, or 0. True if the
 * client has hung up or sent something, which also ends it; @reason is then a phrase for
 * the log.
 */
bool peer_is_gone(const Peer *peer, uint32_t events, const char **reason);

/* Number of messages still to be sent */
uint64_t peer_queued(const Peer *peer);

#endif
