/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client for any ivshmem server, by protocol version 0 of QEMU's
 * docs/specs/ivshmem-spec.rst: the server sends messages, each a number and possibly an
 * fd. A message may arrive in pieces, with its fd in the first one. Everything received
 * is checked before use, and every wait has a deadline.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"
#include "deadline.h"
#include "error.h"
#include "fd.h"

#define VERSION_NUMBER 0
#define MEMORY_NUMBER (-1)
#define MAX_IDS 65536

struct Client {
    int socket;
    int memory;
    unsigned id;
    GArray *doorbells[MAX_IDS];     /* eventfds by vector; NULL: not there */
    unsigned n_peers;               /* without the client itself */
    uint8_t piece[sizeof(int64_t)]; /* of an incomplete message */
    size_t length;                  /* of the piece */
    int fd;                         /* received with the piece, or -1 */
};

/* Take the fds that came with @message. False if there is more than one per number. */
static bool take_fds(Client *client, struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    size_t i, n;

    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
        return true;
    }
    n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (i = 0; i < n; i++) {
        AUTO_FD fd = -1;

        memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
        if (client->fd >= 0) {
            return false;
        }
        client->fd = fd_steal(&fd);
    }
    return true;
}

/* Receive more of a message. CLIENT_MESSAGE: it may be complete now. */
static ClientResult receive_piece(Client *client, gint64 deadline, GError **error)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { client->piece + client->length,
                         sizeof(client->piece) - client->length };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg(client->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return deadline_poll(client->socket, POLLIN, deadline) ? CLIENT_MESSAGE
                                                               : CLIENT_TIME_LIMIT;
    }
    if (got <= 0) {
        fail(error, "the server hung up%s", client->memory < 0 ? ": see its log" : "");
        return CLIENT_LOST;
    }
    client->length += got;
    if (!take_fds(client, &message)) {
        fail(error, "the server sent several fds with one number: is it an ivshmem "
             "server?");
        return CLIENT_LOST;
    }
    if (message.msg_flags & MSG_CTRUNC) {
        fail(error, "cannot receive an fd from the server: too many are open. Raise the "
             "limit, ulimit -Hn");
        return CLIENT_LOST;
    }
    return CLIENT_MESSAGE;
}

/* The next number. *@fd is the fd that came with it, or -1; the caller owns it. */
static ClientResult receive(Client *client, gint64 deadline, int64_t *number, int *fd,
                            GError **error)
{
    while (client->length < sizeof(client->piece)) {
        ClientResult result = receive_piece(client, deadline, error);

        if (result != CLIENT_MESSAGE) {
            return result;
        }
    }
    memcpy(number, client->piece, sizeof(*number));
    *number = GINT64_FROM_LE(*number);
    *fd = fd_steal(&client->fd);
    client->length = 0;
    return CLIENT_MESSAGE;
}

static bool greet(Client *client, gint64 deadline, const char *what, int64_t *number,
                  int *fd, GError **error)
{
    switch (receive(client, deadline, number, fd, error)) {
    case CLIENT_MESSAGE:
        return true;
    case CLIENT_TIME_LIMIT:
        return fail(error, "the server sent no %s in time: is it an ivshmem server?",
                    what);
    default:
        g_prefix_error(error, "waiting for the %s: ", what);
        return false;
    }
}

static bool shake_hands(Client *client, gint64 deadline, GError **error)
{
    AUTO_FD none = -1, nor_here = -1;
    int64_t version, id, number;

    if (!greet(client, deadline, "protocol version", &version, &none, error)) {
        return false;
    }
    if (version != VERSION_NUMBER) {
        return fail(error, "the server's protocol version is %" G_GINT64_FORMAT
                    ", not %d", (gint64)version, VERSION_NUMBER);
    }
    if (!greet(client, deadline, "ID", &id, &nor_here, error)) {
        return false;
    }
    if (id < 0 || id >= MAX_IDS) {
        return fail(error, "the server gave the ID %" G_GINT64_FORMAT
                    ", which is not from 0 to %d", (gint64)id, MAX_IDS - 1);
    }
    client->id = id;
    if (!greet(client, deadline, "shared memory", &number, &client->memory, error)) {
        return false;
    }
    if (number != MEMORY_NUMBER || client->memory < 0) {
        return fail(error, "the server sent %" G_GINT64_FORMAT " instead of the shared "
                    "memory", (gint64)number);
    }
    return true;
}

Client *client_new(const char *path, gint64 deadline, GError **error)
{
    g_autoptr(Client) client = g_new0(Client, 1);

    client->memory = client->fd = -1;
    client->socket = fd_connect(
        path, "Is a server running? Pass its socket with -S", error);
    if (client->socket < 0) {
        return NULL;
    }
    if (!shake_hands(client, deadline, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return g_steal_pointer(&client);
}

static void forget(Client *client, unsigned id)
{
    GArray *fds = client->doorbells[id];
    guint i;

    for (i = 0; i < fds->len; i++) {
        fd_close(&g_array_index(fds, int, i));
    }
    g_array_unref(fds);
    client->doorbells[id] = NULL;
}

void client_free(Client *client)
{
    unsigned id;

    for (id = 0; id < MAX_IDS; id++) {
        if (client->doorbells[id]) {
            forget(client, id);
        }
    }
    fd_close(&client->socket);
    fd_close(&client->memory);
    fd_close(&client->fd);
    g_free(client);
}

static void take_vector(Client *client, unsigned id, int fd, ClientMessage *message)
{
    message->first = !client->doorbells[id];
    if (message->first) {
        client->doorbells[id] = g_array_new(FALSE, FALSE, sizeof(int));
        client->n_peers += id != client->id;
    }
    g_array_append_val(client->doorbells[id], fd);
}

ClientResult client_next(Client *client, gint64 deadline, ClientMessage *message,
                         GError **error)
{
    AUTO_FD fd = -1;
    int64_t number;
    ClientResult result = receive(client, deadline, &number, &fd, error);

    if (result != CLIENT_MESSAGE) {
        return result;
    }
    if (number < 0 || number >= MAX_IDS) {
        fail(error, "the server sent %" G_GINT64_FORMAT ", which is not a peer ID",
             (gint64)number);
        return CLIENT_LOST;
    }
    *message = (ClientMessage) { .id = number, .left = fd < 0 };
    if (!message->left) {
        take_vector(client, message->id, fd_steal(&fd), message);
    } else if (message->id == client->id) {
        fail(error, "the server said that this client, %u, has left", client->id);
        return CLIENT_LOST;
    } else if (client->doorbells[message->id]) {
        forget(client, message->id);
        client->n_peers--;
    }
    return CLIENT_MESSAGE;
}

bool client_settle(Client *client, gint64 deadline, GError **error)
{
    ClientResult result;

    do {
        bool own = client->doorbells[client->id];
        gint64 quiet = deadline_in_ms(own ? CLIENT_SETTLE_MS : CLIENT_NO_VECTORS_MS);
        ClientMessage message;

        result = client_next(client, MIN(quiet, deadline), &message, error);
    } while (result == CLIENT_MESSAGE && deadline_left_ms(deadline));
    return result != CLIENT_LOST;
}

unsigned client_id(const Client *client)
{
    return client->id;
}

int client_socket(const Client *client)
{
    return client->socket;
}

int client_memory(const Client *client)
{
    return client->memory;
}

unsigned client_vectors(const Client *client, unsigned id)
{
    return id < MAX_IDS && client->doorbells[id] ? client->doorbells[id]->len : 0;
}

int client_doorbell(const Client *client, unsigned id, unsigned vector)
{
    if (vector >= client_vectors(client, id)) {
        return -1;
    }
    return g_array_index(client->doorbells[id], int, vector);
}

int client_next_peer(const Client *client, unsigned from)
{
    unsigned id;

    for (id = from; id < MAX_IDS; id++) {
        if (client->doorbells[id] && id != client->id) {
            return id;
        }
    }
    return -1;
}

unsigned client_count_peers(const Client *client)
{
    return client->n_peers;
}

/* "there are no peers", or "the peers are 0 2 5"; at most a line */
static char *describe_peers(const Client *client)
{
    g_autoptr(GString) text = g_string_new(NULL);
    int id;

    if (!client->n_peers) {
        return g_strdup("there are no peers");
    }
    g_string_append(text, client->n_peers == 1 ? "the only peer is" : "the peers are");
    for (id = client_next_peer(client, 0); id >= 0 && text->len < 50;
         id = client_next_peer(client, id + 1)) {
        g_string_append_printf(text, " %d", id);
    }
    if (id >= 0) {
        g_string_append(text, " ...");
    }
    return g_strdup(text->str);
}

bool client_ring(const Client *client, unsigned id, unsigned vector, GError **error)
{
    const uint64_t one = 1;
    int fd = client_doorbell(client, id, vector);
    unsigned vectors = client_vectors(client, id);

    if (fd < 0 && vectors) {
        return fail(error, "peer %u has no vector %u: use one from 0 to %u", id, vector,
                    vectors - 1);
    }
    if (fd < 0) {
        g_autofree char *peers = describe_peers(client);

        return fail(error, "peer %u is not connected: %s", id, peers);
    }
    return !deadline_poll(fd, POLLOUT, 0) ||
           write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN ||
           fail(error, "cannot ring peer %u: %s", id, g_strerror(errno));
}

uint64_t client_take(const Client *client, unsigned vector)
{
    int fd = client_doorbell(client, client->id, vector);
    uint64_t count = 0;

    if (fd < 0 || !deadline_poll(fd, POLLIN, 0) ||
        read(fd, &count, sizeof(count)) != sizeof(count)) {
        return 0;
    }
    return count;
}
