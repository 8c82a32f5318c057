/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a client joins a channel. Everything it needs is prepared before other clients
 * hear of it, so a client that is refused leaves only a line in the log. The service
 * manager gets the client's fds before the ledger has its entry. After a crash in
 * between, fds without an entry belong to a client that can join again; an entry
 * without fds would be a client that must be disconnected.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "channel-internal.h"
#include "error.h"
#include "fd.h"

/* File descriptors that clients leave free for the control socket and a reload */
#define FDS_IN_RESERVE 8

/* How many clients can stop reading before the others are affected */
#define CLIENTS_AT_LIMIT 32

/* Unread messages that every client is allowed, however low the limit is */
#define LEAST_IN_FLIGHT 16

/* What one message costs in a socket's send buffer */
#define BYTES_OF_A_MESSAGE 768

static void identify(Entry *entry, int socket)
{
    struct ucred cred = { 0 };
    socklen_t length = sizeof(cred);
    g_autofree char *command = NULL;
    char path[32];

    getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &length);
    entry->pid = cred.pid;
    entry->uid = cred.uid;
    entry->since = g_get_real_time();
    g_snprintf(path, sizeof(path), "/proc/%d/comm", cred.pid);
    if (g_file_get_contents(path, &command, NULL, NULL)) {
        g_autofree char *valid = g_utf8_make_valid(g_strchomp(command), -1);

        g_strlcpy(entry->command, valid, sizeof(entry->command));
    }
}

static int channel_take_id(Channel *channel, const Door *door, GError **error)
{
    int id = door->id;

    if (id < 0) {
        id = ids_take(channel->ids);
        if (id < 0) {
            fail(error, "all 65536 IDs are in use");
        }
        return id;
    }
    if (channel_find(channel, id)) {
        fail(error, "peer %d is already connected", id);
        return -1;
    }
    ids_use(channel->ids, id);
    return id;
}

static bool channel_has_room(int fd)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
           (rlim_t)fd + FDS_IN_RESERVE < limit.rlim_cur;
}

/*
 * fds that we have sent and clients have not read count against our RLIMIT_NOFILE. If
 * that is low, each client gets a small share, so that one that never reads does not
 * affect the others.
 */
static void limit_in_flight(int socket)
{
    int bytes, before;
    socklen_t length = sizeof(before);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &before, &length) < 0) {
        return;
    }
    bytes = CLAMP(limit.rlim_cur / CLIENTS_AT_LIMIT, LEAST_IN_FLIGHT, INT16_MAX) *
            BYTES_OF_A_MESSAGE;
    if (bytes < before) {
        bytes /= 2;         /* the kernel doubles it */
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
}

/* @number eventfds, or NULL if this process is out of fds */
static int *vectors_new(unsigned number)
{
    int *vectors = g_new(int, number + 1);     /* not NULL if @number is 0 */
    unsigned i;

    for (i = 0; i < number; i++) {
        vectors[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (vectors[i] < 0 || !channel_has_room(vectors[i])) {
            do {
                fd_close(&vectors[i]);
            } while (i-- > 0);
            g_free(vectors);
            return NULL;
        }
    }
    return vectors;
}

static void channel_keep_fds(Channel *channel, const Peer *peer, uint64_t joined)
{
    uint32_t tag = ledger_tag(channel->ledger);
    g_autofree char *name = fd_name_format(FD_CLIENT, tag, joined, 0);
    unsigned i;

    notify_keep(channel->notify, name, peer->socket);
    for (i = 0; i < peer->entry->vectors; i++) {
        g_autofree char *vector = fd_name_format(FD_VECTOR, tag, joined, i);

        notify_keep(channel->notify, vector, peer->vectors[i]);
    }
}

static Peer *channel_admit(Channel *channel, int socket, const Door *door,
                           GError **error)
{
    AUTO_FD client = socket;
    int slot = ledger_free_slot(channel->ledger);
    g_autofree int *vectors = NULL;
    Entry *entry;
    Peer *peer;
    int id;

    if (slot < 0) {
        fail(error, "%d clients are connected, which is the maximum", LEDGER_CLIENTS);
        return NULL;
    }
    if (channel_has_room(client)) {
        vectors = vectors_new(door->vectors);
    }
    if (!vectors) {
        fail(error, "this process is out of file descriptors: raise 'ulimit "
             "-Hn', or LimitNOFILE= of the service");
        return NULL;
    }
    id = channel_take_id(channel, door, error);
    if (id < 0) {
        unsigned i;

        for (i = 0; i < door->vectors; i++) {
            fd_close(&vectors[i]);
        }
        return NULL;
    }
    entry = ledger_entry(channel->ledger, slot);
    memset(entry, 0, sizeof(*entry));
    entry->id = id;
    entry->own_socket = door->id >= 0;
    entry->vectors = door->vectors;
    g_strlcpy(entry->socket, door->path, sizeof(entry->socket));
    identify(entry, client);
    limit_in_flight(client);
    peer = peer_new(channel->ledger, slot, &channel->events, channel->memory->fd,
                    fd_steal(&client), g_steal_pointer(&vectors));
    if (!channel_watch(channel, peer)) {
        fail(error, "cannot watch its socket: %s", g_strerror(errno));
        ids_give(channel->ids, id);
        peer_free(peer);
        return NULL;
    }
    return peer;
}

void channel_join(Channel *channel, int socket, const Door *door)
{
    g_autoptr(GError) error = NULL;
    Peer *peer = channel_admit(channel, socket, door, &error);
    uint64_t number;

    if (!peer) {
        g_message("%s: refused a client at %s: %s", channel->name, door->path,
                  error->message);
        return;
    }
    number = ledger_new_event(channel->ledger);
    channel_keep_fds(channel, peer, number);
    ledger_join(channel->ledger, peer->slot, number);
    g_ptr_array_add(channel->peers, peer);
    channel_append_event(channel, &peer->joined, number);
    peer->next = channel->events.list.head;
    g_info("%s: peer %u joined at %s (PID %d, %s)", channel->name, peer->entry->id,
           door->path, peer->entry->pid, peer->entry->command);
    channel_send_all(channel, peer);
}
