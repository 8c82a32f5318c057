/*
 * Client of an ivshmem server
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/misc/ivshmem.h"
#include "hw/misc/ivshmem-flat-client.h"
#include "hw/misc/ivshmem-flat-eventfd.h"
#include "trace.h"

#define HANDSHAKE_TIMEOUT_MS 5000

static const char *server_name(IvshmemFlatClient *c)
{
    return ivshmem_flat_connection_name(&c->server);
}

/*
 * Messages
 */

static bool is_fd_left(void)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        return errno != EMFILE && errno != ENFILE;
    }
    close(fd);
    return true;
}

static bool process_msg_version(IvshmemFlatClient *c, int64_t version,
                                bool has_fd, Error **errp)
{
    if (version != IVSHMEM_PROTOCOL_VERSION || has_fd) {
        error_setg(errp, "server sent protocol version %" PRId64 "%s, "
                   "expected version %d", version,
                   has_fd ? " with a file descriptor" : "",
                   IVSHMEM_PROTOCOL_VERSION);
        return false;
    }
    trace_ivshmem_flat_connected(server_name(c));
    c->expect = IVSHMEM_FLAT_EXPECT_ID;
    return true;
}

static bool process_msg_id(IvshmemFlatClient *c, int64_t id, bool has_fd,
                           Error **errp)
{
    if (id < 0 || id > UINT16_MAX || has_fd) {
        error_setg(errp, "server sent own ID %" PRId64 "%s, "
                   "must be 0 to %u", id,
                   has_fd ? " with a file descriptor" : "", UINT16_MAX);
        return false;
    }
    ivshmem_flat_peers_clear(&c->peers);
    c->id = id;
    c->sessions++;
    c->has_memory = false;
    c->own_vectors = 0;
    c->expect = IVSHMEM_FLAT_EXPECT_ANY;
    trace_ivshmem_flat_own_id(server_name(c), c->id);
    c->ops->session_begins(c);
    return true;
}

/* Takes ownership of @fd, as does process_msg_connect() */
static bool process_msg_shmem(IvshmemFlatClient *c, int fd, Error **errp)
{
    if (fd < 0) {
        error_setg(errp, "server sent shared memory without a file descriptor");
        return false;
    }
    if (c->has_memory) {
        error_setg(errp, "server sent shared memory a second time");
        close(fd);
        return false;
    }
    c->has_memory = true;
    return c->ops->shared_memory(c, fd, errp);
}

/* Each message with an fd adds the next vector of its ID */
static bool process_msg_connect(IvshmemFlatClient *c, uint16_t id, int fd,
                                Error **errp)
{
    bool own = id == c->id;
    unsigned vector = own ? c->own_vectors :
                      ivshmem_flat_peers_count_vectors(&c->peers, id);

    if (!ivshmem_flat_is_eventfd(fd)) {
        error_setg(errp, "server sent a vector of ID %u that is not an eventfd",
                   id);
        close(fd);
        return false;
    }
    if (vector == IVSHMEM_FLAT_MAX_VECTORS) {
        error_setg(errp, "server gave ID %u more than %u vectors",
                   id, IVSHMEM_FLAT_MAX_VECTORS);
        close(fd);
        return false;
    }

    trace_ivshmem_flat_vector(server_name(c), c->id, id, vector, fd);
    /* Another QEMU may have made it blocking, for all who share it */
    g_unix_set_fd_nonblocking(fd, true, NULL);
    if (own) {
        c->own_vectors++;
        c->ops->own_vector(c, vector, fd);
    } else {
        ivshmem_flat_peers_add_vector(&c->peers, id, fd);
    }
    return true;
}

static bool process_msg_disconnect(IvshmemFlatClient *c, uint16_t id,
                                   Error **errp)
{
    if (id == c->id) {
        error_setg(errp, "server said that this device, ID %u, left", id);
        return false;
    }
    if (ivshmem_flat_peers_count_vectors(&c->peers, id) == 0) {
        error_setg(errp, "server said that peer %u left, "
                   "but it was not connected", id);
        return false;
    }
    trace_ivshmem_flat_peer_left(server_name(c), c->id, id);
    ivshmem_flat_peers_depart(&c->peers, id);
    return true;
}

/* Those that follow keep their numbers */
static void skip_vector(IvshmemFlatClient *c, uint16_t id)
{
    if (id == c->id) {
        c->own_vectors += c->own_vectors < IVSHMEM_FLAT_MAX_VECTORS;
    } else if (ivshmem_flat_peers_count_vectors(&c->peers, id) <
               IVSHMEM_FLAT_MAX_VECTORS) {
        ivshmem_flat_peers_add_vector(&c->peers, id, -1);
    }
}

/* Takes ownership of @fd, which may be -1 or IVSHMEM_FLAT_LOST_FD */
static bool process_msg(IvshmemFlatClient *c, int64_t msg, int fd,
                        Error **errp)
{
    ERRP_GUARD();
    bool known = msg >= -1 && msg <= UINT16_MAX;
    bool has_fd = fd >= 0;

    if (fd == IVSHMEM_FLAT_LOST_FD) {
        error_setg_errno(errp, EMFILE,
                         "cannot take a file descriptor from the server");
        error_append_hint(errp, "QEMU needs one for each vector of each peer: "
                          "raise its limit ('ulimit -n').\n");
        if (c->expect == IVSHMEM_FLAT_EXPECT_ANY && known && msg >= 0) {
            skip_vector(c, msg);
        }
        return false;
    }
    if (has_fd && (c->expect != IVSHMEM_FLAT_EXPECT_ANY || !known)) {
        close(fd);
    }
    switch (c->expect) {
    case IVSHMEM_FLAT_EXPECT_VERSION:
        return process_msg_version(c, msg, has_fd, errp);
    case IVSHMEM_FLAT_EXPECT_ID:
        return process_msg_id(c, msg, has_fd, errp);
    case IVSHMEM_FLAT_EXPECT_ANY:
        break;
    }
    if (!known) {
        error_setg(errp, "server sent %" PRId64 ", which is not a peer ID",
                   msg);
        return false;
    }
    if (msg == -1) {
        return process_msg_shmem(c, fd, errp);
    }
    return has_fd ? process_msg_connect(c, msg, fd, errp) :
                    process_msg_disconnect(c, msg, errp);
}

/*
 * Sessions
 */

static const char *find_missing(IvshmemFlatClient *c)
{
    return c->expect == IVSHMEM_FLAT_EXPECT_VERSION ? "protocol version" :
           c->expect == IVSHMEM_FLAT_EXPECT_ID ? "own ID" :
           !c->has_memory ? "shared memory" :
           c->own_vectors < c->want_vectors ? "interrupt vector" : NULL;
}

static void handshake_begins(IvshmemFlatClient *c)
{
    timer_del(&c->handshake_timer);
    c->expect = IVSHMEM_FLAT_EXPECT_VERSION;
    c->messages = 0;
}

static void end_session(IvshmemFlatClient *c)
{
    Error *err = NULL;

    ivshmem_flat_peers_undo_departures(&c->peers);
    if (c->expect == IVSHMEM_FLAT_EXPECT_ANY && c->has_memory) {
        error_setg(&err, "server has gone: known peers can still be rung, "
                   "but none can join or leave");
    } else {
        error_setg(&err, "server closed the connection during the handshake");
    }
    handshake_begins(c);
    c->ops->error(c, err);
}

/* Sets *@errp for a bad message, which is skipped */
static IvshmemFlatRead take_message(IvshmemFlatClient *c, Error **errp)
{
    int64_t msg;
    int fd;
    IvshmemFlatRead read = ivshmem_flat_connection_read(&c->server, &msg, &fd);

    if (read == IVSHMEM_FLAT_MESSAGE) {
        c->messages++;
        process_msg(c, msg, fd, errp);
        if (ivshmem_flat_peers_has_departures(&c->peers) && !is_fd_left()) {
            /* New peers need the fds of those that have departed */
            ivshmem_flat_peers_forget_departed(&c->peers);
        }
    }
    return read;
}

/* Returns true if there may be more to read */
static bool take_message_or_end(IvshmemFlatClient *c)
{
    Error *err = NULL;
    IvshmemFlatRead read = take_message(c, &err);

    if (err) {
        c->ops->error(c, err);
        if (c->expect != IVSHMEM_FLAT_EXPECT_ANY) {
            /* A handshake that starts with an error cannot succeed */
            ivshmem_flat_connection_hang_up(&c->server);
            handshake_begins(c);
            return false;
        }
    } else if (read == IVSHMEM_FLAT_HANG_UP) {
        end_session(c);
    }
    return read == IVSHMEM_FLAT_MESSAGE;
}

static void server_readable(void *opaque)
{
    take_message_or_end(opaque);
}

static void server_reconnected(void *opaque)
{
    IvshmemFlatClient *c = opaque;
    Error *err = NULL;

    if (ivshmem_flat_connection_is_open(&c->server)) {
        while (take_message_or_end(c)) {
            /* read the old session to its end */
        }
    }
    if (ivshmem_flat_connection_reopen(&c->server, &err)) {
        timer_mod(&c->handshake_timer, HANDSHAKE_TIMEOUT_MS +
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
    } else {
        c->ops->error(c, err);
    }
}

static void handshake_timeout(void *opaque)
{
    IvshmemFlatClient *c = opaque;
    const char *missing = find_missing(c);
    Error *err = NULL;

    if (!missing) {
        return;
    }
    if (c->has_memory && c->own_vectors) {
        error_setg(&err, "server is back, but sent only %u of %u interrupt "
                   "vectors", c->own_vectors, c->want_vectors);
    } else {
        error_setg(&err, "server is back, but sent no %s within %d s", missing,
                   HANDSHAKE_TIMEOUT_MS / 1000);
    }
    c->ops->error(c, err);
}

/*
 * The server announces existing peers before it sends the device's own vectors.
 * Once those have arrived, the guest can ring every peer from its first
 * instruction.
 */
static bool shake_hands(IvshmemFlatClient *c, Error **errp)
{
    ERRP_GUARD();
    int64_t deadline = g_get_monotonic_time() + HANDSHAKE_TIMEOUT_MS * 1000;
    int64_t left_us = HANDSHAKE_TIMEOUT_MS * 1000;
    const char *missing;

    handshake_begins(c);
    while ((missing = find_missing(c)) && left_us > 0 && !*errp) {
        switch (take_message(c, errp)) {
        case IVSHMEM_FLAT_MESSAGE:
            break;
        case IVSHMEM_FLAT_NO_MESSAGE:
            ivshmem_flat_connection_wait(&c->server,
                                         MAX(0, DIV_ROUND_UP(left_us, 1000)));
            break;
        case IVSHMEM_FLAT_HANG_UP:
            error_setg(errp,
                       "server closed the connection during the handshake");
            break;
        }
        /* Peers that keep coming and going do not extend the limit */
        left_us = deadline - g_get_monotonic_time();
    }
    if (!*errp && missing && !c->has_memory) {
        error_setg(errp, "server sent no %s within %d s", missing,
                   HANDSHAKE_TIMEOUT_MS / 1000);
    }
    if (*errp) {
        error_prepend(errp, "chardev '%s': ", server_name(c));
    }
    return !*errp;
}

bool ivshmem_flat_client_start(IvshmemFlatClient *c,
                               const IvshmemFlatClientOps *ops,
                               unsigned want_vectors, Error **errp)
{
    if (!ivshmem_flat_connection_open(&c->server, HANDSHAKE_TIMEOUT_MS, errp)) {
        return false;
    }
    c->ops = ops;
    c->want_vectors = want_vectors;
    c->sessions = 0;
    ivshmem_flat_peers_init(&c->peers);
    timer_init_ms(&c->handshake_timer, QEMU_CLOCK_REALTIME, handshake_timeout,
                  c);
    if (!shake_hands(c, errp)) {
        ivshmem_flat_client_stop(c);
        return false;
    }
    ivshmem_flat_connection_listen(&c->server, server_readable,
                                   server_reconnected, c);
    return true;
}

void ivshmem_flat_client_stop(IvshmemFlatClient *c)
{
    if (c->peers.table) {
        ivshmem_flat_connection_close(&c->server);
        handshake_begins(c);
        ivshmem_flat_peers_free(&c->peers);
    }
}

bool ivshmem_flat_client_is_connected(IvshmemFlatClient *c)
{
    return c->expect == IVSHMEM_FLAT_EXPECT_ANY;
}

void ivshmem_flat_client_catch_up(IvshmemFlatClient *c)
{
    unsigned unread = ivshmem_flat_connection_count_unread(&c->server);

    /* No more than these: the guest's store has to complete */
    while (unread-- > 0 && take_message_or_end(c)) {
        /* read the next one */
    }
}
