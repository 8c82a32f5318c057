/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CHANNEL_H
#define IVSHMEMD_CHANNEL_H

#include <glib.h>
#include <stdbool.h>

#include "handover.h"
#include "ids.h"
#include "ledger.h"
#include "memory.h"
#include "notify.h"
#include "peer.h"
#include "watch.h"

/* A shared memory and the clients that share it */
typedef struct Channel {
    char *name;
    Watches *watches;       /* borrowed */
    Notify *notify;         /* borrowed; NULL if there is no service manager */
    Memory *memory;         /* owned */
    Ledger *ledger;
    Ids *ids;
    Events events;
    GPtrArray *peers;       /* of Peer */
    guint retry;            /* timer for clients that are PEER_LATER */
} Channel;

/* How clients of a socket are treated */
typedef struct Door {
    char *path;
    int id;                 /* of the client that connects here; -1: any */
    unsigned vectors;       /* 0 to LEDGER_VECTORS */
} Door;

/* A channel without clients. Takes ownership of @memory, even on failure. */
Channel *channel_new(const char *name, Memory *memory, uint32_t tag, Watches *watches,
                     Notify *notify, GError **error);

/*
 * A channel as recorded in @ledger, with the clients whose fds are in @handover; the
 * others have left. Takes ownership of @ledger and @memory.
 */
Channel *channel_restore(Ledger *ledger, Memory *memory, Handover *handover,
                         Watches *watches, Notify *notify);

/* Closes all connections without a message. */
void channel_free(Channel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Channel, channel_free)

/*
 * A client has connected at @door. Takes ownership of @socket. If the client is
 * refused, its socket is closed and the reason logged.
 */
void channel_join(Channel *channel, int socket, const Door *door);

/* Add everything that the next process needs. */
void channel_hand_over(Channel *channel, Handover *handover);

#endif
