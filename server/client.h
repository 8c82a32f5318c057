/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CLIENT_H
#define IVSHMEMD_CLIENT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Client Client;

typedef enum {
    CLIENT_MESSAGE,         /* there was one */
    CLIENT_TIME_LIMIT,      /* none until the deadline; no error is set */
    CLIENT_LOST,            /* the server hung up or made no sense; an error is set */
} ClientResult;

typedef struct ClientMessage {
    unsigned id;            /* of a peer, or the client's own */
    bool left;              /* else: it has one vector more than before */
    bool first;             /* it was not known before */
} ClientMessage;

/*
 * Join the server at @path: protocol version, own ID and shared memory have been
 * read when this returns. NULL if there is no server, it is none of ivshmem, or it
 * has not said all that by @deadline, of g_get_monotonic_time().
 */
Client *client_new(const char *path, gint64 deadline, GError **error);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* What the server says next. A deadline that has passed asks only what is there. */
ClientResult client_next(Client *client, gint64 deadline, ClientMessage *message,
                         GError **error);

/*
 * Read on until all that the server tells a newcomer has arrived: the peers, then the
 * client's own vectors. No message says that this was the last one: once there are own
 * vectors it is when CLIENT_SETTLE_MS pass without another, and before, as a server may
 * give none, CLIENT_NO_VECTORS_MS; in any case at @deadline. False if the server hung
 * up.
 */
bool client_settle(Client *client, gint64 deadline, GError **error);

#define CLIENT_SETTLE_MS 100
#define CLIENT_NO_VECTORS_MS 500

/* The client's own, from 0 to 65535 as that of all peers */
unsigned client_id(const Client *client);

/* Both stay the client's. */
int client_socket(const Client *client);
int client_memory(const Client *client);

/* How many vectors have been announced of @id, which may be the client's own */
unsigned client_vectors(const Client *client, unsigned id);

/* The eventfd, which stays the client's; -1 if there is no such peer or vector */
int client_doorbell(const Client *client, unsigned id, unsigned vector);

/* The lowest ID of a peer that is at least @from, or -1 */
int client_next_peer(const Client *client, unsigned from);
unsigned client_count_peers(const Client *client);

/*
 * Ring, without ever waiting: a doorbell that has been rung as often as an eventfd
 * counts is rung already. False if there is no such peer or vector, which the error
 * says, with the vectors or peers that there are.
 */
bool client_ring(const Client *client, unsigned id, unsigned vector, GError **error);

/* How often the client's own @vector was rung since last asked, without waiting */
uint64_t client_take(const Client *client, unsigned vector);

#endif
