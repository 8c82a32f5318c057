/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CLIENT_H
#define IVSHMEMD_CLIENT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Client Client;

typedef enum {
    CLIENT_MESSAGE,         /* a message was read */
    CLIENT_TIME_LIMIT,      /* none before the deadline; no error is set */
    CLIENT_LOST,            /* the server hung up or sent nonsense; an error is set */
} ClientResult;

typedef struct ClientMessage {
    unsigned id;            /* of a peer, or the client's own */
    bool left;              /* otherwise it has one more vector than before */
    bool first;             /* it was not known before */
} ClientMessage;

/*
 * Join the server at @path. On return, the protocol version, own ID and shared memory
 * have been read. NULL if there is no ivshmem server, or if it does not send these by
 * @deadline, a g_get_monotonic_time() value.
 */
Client *client_new(const char *path, gint64 deadline, GError **error);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* The server's next message. With a deadline in the past, it does not wait. */
ClientResult client_next(Client *client, gint64 deadline, ClientMessage *message,
                         GError **error);

/*
 * Read what the server sends to a newcomer: the peers, then the client's own vectors.
 * No message marks the end, so stop when no message has arrived for CLIENT_SETTLE_MS.
 * Before the first own vector, wait CLIENT_NO_VECTORS_MS instead, because a server may
 * give none. Stop at @deadline in any case. False if the server hung up.
 */
bool client_settle(Client *client, gint64 deadline, GError **error);

#define CLIENT_SETTLE_MS 100
#define CLIENT_NO_VECTORS_MS 500

/* The client's own ID. All IDs are 0 to 65535. */
unsigned client_id(const Client *client);

/* The client keeps ownership of both. */
int client_socket(const Client *client);
int client_memory(const Client *client);

/* Number of vectors announced for @id, which may be the client's own */
unsigned client_vectors(const Client *client, unsigned id);

/* The eventfd, which the client still owns; -1 if there is no such peer or vector */
int client_doorbell(const Client *client, unsigned id, unsigned vector);

/* The lowest peer ID that is at least @from, or -1 */
int client_next_peer(const Client *client, unsigned from);
unsigned client_count_peers(const Client *client);

/*
 * Ring, without blocking. If the eventfd's counter is full, the doorbell is already
 * rung. False if there is no such peer or vector; the error lists those that exist.
 */
bool client_ring(const Client *client, unsigned id, unsigned vector, GError **error);

/* How many times the client's own @vector was rung since the last call. Never blocks. */
uint64_t client_take(const Client *client, unsigned vector);

#endif
