/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_SERVER_H
#define IVSHMEMD_SERVER_H

#include "channel.h"
#include "handover.h"
#include "listener.h"
#include "notify.h"
#include "settings.h"
#include "watch.h"

typedef struct Server Server;

/* One socket of a channel */
typedef struct ServerSocket {
    Channel *channel;
    Door door;
    Listener *listener;
} ServerSocket;

/* All channels, with their sockets */
struct Server {
    Watches *watches;       /* borrowed */
    Notify *notify;         /* borrowed; may be NULL */
    GPtrArray *channels;    /* of Channel */
    GPtrArray *sockets;     /* of ServerSocket */
    uint32_t next_tag;      /* of the next new channel */
    int spare;              /* see listener_new() */
    bool restored;          /* a previous process had channels */
};

/*
 * Everything in @settings, taken from @handover if it is there. If a previous process
 * had clients, a channel that cannot be opened is logged and left out, so that the
 * others can continue; otherwise it is an error.
 */
Server *server_new(const Settings *settings, Handover *handover, Watches *watches,
                   Notify *notify, GError **error);

/*
 * Call before server_free() if the start fails, so that the next one is a first start,
 * too: remove new memory, and make the service manager forget the channels. Does nothing
 * if there were channels of a previous process.
 */
void server_undo(const Server *server);

/* Closes everything without a message; @remove also removes our socket files. */
void server_free(Server *server, bool remove);

/* Add everything that the next process needs. */
void server_hand_over(const Server *server, Handover *handover);

/* One line: the sockets, size, vectors and kind of memory. The caller frees it. */
char *server_describe(const Server *server);

#endif
