/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets up channels and sockets according to the settings. Handed-over fds are
 * identified by what they are, not by the settings: a channel by the name in its
 * ledger, a socket by its address. So the settings may change between two processes:
 * channels no longer wanted are closed, new ones are created, and all others continue.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"
#include "server.h"
#include "size.h"

static void server_socket_free(ServerSocket *socket, bool remove)
{
    if (socket->listener) {
        listener_free(socket->listener, remove);
    }
    g_free(socket->door.path);
    g_free(socket);
}

static void server_accept(int socket, void *data)
{
    const ServerSocket *at = data;

    channel_join(at->channel, socket, &at->door);
}

static MemoryKind memory_kind(const ChannelSettings *settings)
{
    if (settings->object) {
        return MEMORY_OBJECT;
    }
    return settings->directory ? MEMORY_FILE : MEMORY_SEALED;
}

static char *memory_path(const ChannelSettings *settings)
{
    const SocketSettings *first = g_ptr_array_index(settings->sockets, 0);

    switch (memory_kind(settings)) {
    case MEMORY_OBJECT:
        return memory_object_path(settings->object);
    case MEMORY_FILE:
        return memory_file_path(settings->directory, first->path);
    case MEMORY_SEALED:
        return NULL;
    }
    g_assert_not_reached();
}

static void forget_fd(const Server *server, FdKind kind, uint32_t tag, uint64_t joined)
{
    g_autofree char *name = fd_name_format(kind, tag, joined, 0);

    notify_forget(server->notify, name);
}

/* A channel of the previous process, or NULL after disconnecting its clients */
static Channel *restore_channel(Server *server, const ChannelSettings *settings,
                                Ledger *ledger, Handover *handover, GError **error)
{
    g_autofree char *path = memory_path(settings);
    uint32_t tag = ledger_tag(ledger);
    int fd = handover_take(handover, FD_MEMORY, tag, 0, 0);
    int lock = handover_take(handover, FD_LOCK, tag, 0, 0);
    Memory *memory = memory_restore(memory_kind(settings), path, fd, lock, error);

    if (!memory) {
        forget_fd(server, FD_LEDGER, tag, 0);
        forget_fd(server, FD_MEMORY, tag, 0);
        forget_fd(server, FD_LOCK, tag, 0);
        ledger_free(ledger);
        return NULL;
    }
    if (memory->kind != memory_kind(settings) || g_strcmp0(memory->path, path)) {
        g_autofree char *is = memory_describe(memory);

        g_warning("channel %s keeps its %s: memory that is in use cannot be replaced. "
                  "Stop the server and start it again", settings->name, is);
    }
    if (memory->size != memory_round_up(memory, settings->size)) {
        g_autofree char *is = size_format(memory->size);
        g_autofree char *want = size_format(settings->size);

        g_warning("channel %s keeps its %s: memory in use cannot be resized to %s. "
                  "Stop the server and start it again", settings->name, is, want);
    }
    return channel_restore(ledger, memory, handover, server->watches, server->notify);
}

static Channel *open_channel(Server *server, const ChannelSettings *settings,
                             GHashTable *ledgers, Handover *handover, GError **error)
{
    g_autofree char *path = memory_path(settings);
    gpointer name, ledger;
    Memory *memory;

    if (g_hash_table_steal_extended(ledgers, settings->name, &name, &ledger)) {
        g_autoptr(GError) problem = NULL;
        Channel *channel = restore_channel(server, settings, ledger, handover, &problem);

        if (channel) {
            return channel;
        }
        g_warning("channel %s is created again, and its clients are disconnected: %s",
                  settings->name, problem->message);
    }
    memory = memory_new(memory_kind(settings), path, settings->size, error);
    if (!memory) {
        return NULL;
    }
    return channel_new(settings->name, memory, server->next_tag++, server->watches,
                       server->notify, error);
}

static bool open_socket(Server *server, Channel *channel,
                        const ChannelSettings *settings, const SocketSettings *wanted,
                        Handover *handover, GError **error)
{
    const ListenerAddress address = { wanted->path, wanted->mode, wanted->group };
    ServerSocket *socket = g_new0(ServerSocket, 1);

    socket->channel = channel;
    socket->door.path = g_strdup(wanted->path);
    socket->door.id = wanted->id;
    socket->door.vectors = settings_vectors(settings, wanted);
    g_ptr_array_add(server->sockets, socket);
    if (wanted->id >= 0) {
        ids_reserve(channel->ids, wanted->id);
    }
    socket->listener = listener_new(&address, handover, server->watches, server->notify,
                                    &server->spare, server_accept, socket, error);
    return socket->listener != NULL;
}

/* Remove the memory, which nobody has used, and do not pass its fds on. */
static void undo_channel(const Server *server, const Channel *channel)
{
    uint32_t tag = ledger_tag(channel->ledger);

    memory_undo(channel->memory);
    forget_fd(server, FD_LEDGER, tag, 0);
    forget_fd(server, FD_MEMORY, tag, 0);
    forget_fd(server, FD_LOCK, tag, 0);
}

/* Undo a channel that could not be opened completely. */
static void close_channel(Server *server, Channel *channel)
{
    guint i = server->sockets->len;

    while (i-- > 0) {
        ServerSocket *socket = g_ptr_array_index(server->sockets, i);

        if (socket->channel == channel) {
            g_ptr_array_remove_index(server->sockets, i);
            server_socket_free(socket, true);
        }
    }
    g_ptr_array_remove(server->channels, channel);
    undo_channel(server, channel);
    channel_free(channel);
}

static bool add_channel(Server *server, const ChannelSettings *settings,
                        GHashTable *ledgers, Handover *handover, GError **error)
{
    bool restored = g_hash_table_contains(ledgers, settings->name);
    Channel *channel = open_channel(server, settings, ledgers, handover, error);
    guint i;

    if (!channel) {
        return false;
    }
    g_ptr_array_add(server->channels, channel);
    for (i = 0; i < settings->sockets->len; i++) {
        g_autoptr(GError) problem = NULL;

        if (open_socket(server, channel, settings,
                        g_ptr_array_index(settings->sockets, i), handover, &problem)) {
            continue;
        }
        if (!restored) {
            g_propagate_error(error, g_steal_pointer(&problem));
            close_channel(server, channel);
            return false;
        }
        g_warning("channel %s continues without a socket: %s", settings->name,
                  problem->message);
        server_socket_free(g_ptr_array_steal_index(server->sockets,
                                                   server->sockets->len - 1), false);
    }
    return true;
}

static void ledger_destroy(gpointer ledger)
{
    ledger_free(ledger);
}

static GHashTable *take_ledgers(const Server *server, Handover *handover)
{
    GHashTable *ledgers = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                                ledger_destroy);
    FdName name;
    int fd;

    while ((fd = handover_take_any(handover, FD_LEDGER, &name)) >= 0) {
        g_autoptr(GError) error = NULL;
        Ledger *ledger = ledger_restore(fd, &error);

        if (ledger) {
            g_hash_table_replace(ledgers, (gpointer)ledger_name(ledger), ledger);
        } else {
            g_warning("%s: disconnecting its clients", error->message);
            forget_fd(server, FD_LEDGER, name.tag, 0);
        }
    }
    return ledgers;
}

static const ServerSocket *find_socket(const Server *server, uint32_t tag,
                                       const char *path)
{
    guint i;

    for (i = 0; i < server->sockets->len; i++) {
        const ServerSocket *socket = g_ptr_array_index(server->sockets, i);

        if (ledger_tag(socket->channel->ledger) == tag &&
            !g_strcmp0(socket->door.path, path)) {
            return socket;
        }
    }
    return NULL;
}

/*
 * Handle clients that no ledger knows. If the previous process was killed just before
 * it recorded a client, the client has been sent nothing and joins now. The others were
 * disconnected, which shows in their sockets, or their channel is gone. The service
 * manager must forget the client's old name first. Otherwise, after another crash, the
 * client would be admitted again although it has already been sent something.
 */
static void admit_unknown(Server *server, Handover *handover)
{
    bool behind = false;
    FdName name;
    int fd;

    while ((fd = handover_take_any(handover, FD_CLIENT, &name)) >= 0) {
        g_autofree char *path = fd_socket_path(fd);
        const ServerSocket *at = find_socket(server, name.tag, path);
        char byte;

        forget_fd(server, FD_CLIENT, name.tag, name.joined);
        if (!behind) {
            notify_drain(server->notify, NOTIFY_PATIENCE_MS);
            behind = notify_is_behind(server->notify);
        }
        if (at && !behind &&
            recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) {
            channel_join(at->channel, fd, &at->door);
        } else {
            shutdown(fd, SHUT_RDWR);
            close(fd);
        }
    }
}

/* Discard channels no longer wanted, and vectors of clients that have left. */
static void discard_rest(Server *server, GHashTable *ledgers, Handover *handover)
{
    GHashTableIter iter;
    Ledger *ledger;

    g_hash_table_iter_init(&iter, ledgers);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&ledger)) {
        g_message("channel %s is no longer configured: it is closed",
                  ledger_name(ledger));
        forget_fd(server, FD_LEDGER, ledger_tag(ledger), 0);
    }
    handover_discard_rest(handover, server->notify);
}

void server_undo(const Server *server)
{
    guint i;

    for (i = 0; i < server->channels->len && !server->restored; i++) {
        undo_channel(server, g_ptr_array_index(server->channels, i));
    }
}

Server *server_new(const Settings *settings, Handover *handover, Watches *watches,
                   Notify *notify, GError **error)
{
    Server *server = g_new0(Server, 1);
    GHashTable *ledgers;
    bool ok = true;
    guint i;

    server->watches = watches;
    server->notify = notify;
    server->next_tag = handover_next_tag(handover);
    ledgers = take_ledgers(server, handover);
    server->restored = g_hash_table_size(ledgers) > 0;
    server->channels = g_ptr_array_new();
    server->sockets = g_ptr_array_new();
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (i = 0; i < settings->channels->len && ok; i++) {
        const ChannelSettings *channel = g_ptr_array_index(settings->channels, i);
        g_autoptr(GError) problem = NULL;

        if (add_channel(server, channel, ledgers, handover, &problem)) {
            continue;
        }
        if (server->restored) {
            g_warning("skipped channel %s: %s", channel->name, problem->message);
        } else {
            g_propagate_error(error, g_steal_pointer(&problem));
            ok = false;
        }
    }
    if (ok) {
        admit_unknown(server, handover);
    }
    discard_rest(server, ledgers, handover);
    g_hash_table_destroy(ledgers);
    if (ok && !server->channels->len) {
        ok = fail(error, "no channel could be opened");
    }
    if (!ok) {
        server_undo(server);
        server_free(server, true);
        return NULL;
    }
    return server;
}

void server_free(Server *server, bool remove)
{
    guint i;

    for (i = 0; i < server->sockets->len; i++) {
        server_socket_free(g_ptr_array_index(server->sockets, i), remove);
    }
    for (i = 0; i < server->channels->len; i++) {
        channel_free(g_ptr_array_index(server->channels, i));
    }
    g_ptr_array_free(server->sockets, TRUE);
    g_ptr_array_free(server->channels, TRUE);
    fd_close(&server->spare);
    g_free(server);
}

void server_hand_over(const Server *server, Handover *handover)
{
    guint i;

    for (i = 0; i < server->channels->len; i++) {
        channel_hand_over(g_ptr_array_index(server->channels, i), handover);
    }
    for (i = 0; i < server->sockets->len; i++) {
        const ServerSocket *socket = g_ptr_array_index(server->sockets, i);

        listener_hand_over(socket->listener, handover);
    }
}

char *server_describe(const Server *server)
{
    g_autoptr(GString) text = g_string_new(NULL);
    guint i, j;

    for (i = 0; i < server->channels->len; i++) {
        const Channel *channel = g_ptr_array_index(server->channels, i);
        g_autofree char *size = size_format(channel->memory->size);
        g_autofree char *memory = memory_describe(channel->memory);
        const char *separator = "";

        g_string_append(text, i ? "; " : "");
        for (j = 0; j < server->sockets->len; j++) {
            const ServerSocket *socket = g_ptr_array_index(server->sockets, j);

            if (socket->channel == channel) {
                g_string_append_printf(text, "%s%s (", separator, socket->door.path);
                if (socket->door.id >= 0) {
                    g_string_append_printf(text, "ID %d, ", socket->door.id);
                }
                g_string_append_printf(text, "%u vector%s)", socket->door.vectors,
                                       socket->door.vectors == 1 ? "" : "s");
                separator = ", ";
            }
        }
        g_string_append_printf(text, ": %s, %s", size, memory);
    }
    return g_strdup(text->str);
}
