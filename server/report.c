/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's reports about itself, as JSON. ivshmemctl(1) documents every member, and
 * scripts rely on them: do not change them.
 */
#include <unistd.h>

#include "report.h"

static void add_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value) {
        json_builder_add_string_value(builder, value);
    } else {
        json_builder_add_null_value(builder);
    }
}

static void add_number(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static void begin_array(JsonBuilder *builder, const char *name)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
}

static void report_peer(const Peer *peer, JsonBuilder *builder)
{
    const Entry *entry = peer->entry;
    g_autoptr(GDateTime) since = g_date_time_new_from_unix_utc(entry->since / 1000000);
    g_autofree char *since_text = g_date_time_format_iso8601(since);

    json_builder_begin_object(builder);
    add_number(builder, "id", entry->id);
    add_string(builder, "socket", entry->socket);
    add_number(builder, "vectors", entry->vectors);
    add_number(builder, "pid", entry->pid);
    add_number(builder, "uid", entry->uid);
    add_string(builder, "command", entry->command);
    add_string(builder, "since", since_text);
    add_number(builder, "queued", peer_queued(peer));
    json_builder_end_object(builder);
}

static gint compare_peers(gconstpointer a, gconstpointer b)
{
    const Peer *const *first = a, *const *second = b;

    return (int)(*first)->entry->id - (int)(*second)->entry->id;
}

static void report_peers(const Channel *channel, JsonBuilder *builder)
{
    g_autoptr(GPtrArray) peers = g_ptr_array_copy(channel->peers, NULL, NULL);
    guint i;

    g_ptr_array_sort(peers, compare_peers);
    begin_array(builder, "peers");
    for (i = 0; i < peers->len; i++) {
        report_peer(g_ptr_array_index(peers, i), builder);
    }
    json_builder_end_array(builder);
}

static void report_sockets(const Server *server, const Channel *channel,
                           JsonBuilder *builder)
{
    guint i;

    begin_array(builder, "sockets");
    for (i = 0; i < server->sockets->len; i++) {
        const ServerSocket *socket = g_ptr_array_index(server->sockets, i);

        if (socket->channel != channel) {
            continue;
        }
        json_builder_begin_object(builder);
        add_string(builder, "path", socket->door.path);
        json_builder_set_member_name(builder, "id");
        if (socket->door.id >= 0) {
            json_builder_add_int_value(builder, socket->door.id);
        } else {
            json_builder_add_null_value(builder);
        }
        add_number(builder, "vectors", socket->door.vectors);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void report_channel(const Server *server, const Channel *channel,
                           JsonBuilder *builder)
{
    static const char *const kinds[] = {
        [MEMORY_SEALED] = "memfd", [MEMORY_OBJECT] = "object", [MEMORY_FILE] = "file",
    };

    json_builder_begin_object(builder);
    add_string(builder, "name", channel->name);
    add_number(builder, "size", channel->memory->size);
    add_string(builder, "memory", kinds[channel->memory->kind]);
    add_string(builder, "path", channel->memory->path);
    report_sockets(server, channel, builder);
    report_peers(channel, builder);
    json_builder_end_object(builder);
}

void report_list(const Server *server, JsonBuilder *builder)
{
    guint i;

    json_builder_begin_object(builder);
    begin_array(builder, "channels");
    for (i = 0; i < server->channels->len; i++) {
        report_channel(server, g_ptr_array_index(server->channels, i), builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

void report_status(const Server *server, unsigned generation, JsonBuilder *builder)
{
    gint64 clients = 0;
    guint i;

    for (i = 0; i < server->channels->len; i++) {
        const Channel *channel = g_ptr_array_index(server->channels, i);

        clients += channel->peers->len;
    }
    json_builder_begin_object(builder);
    add_string(builder, "version", VERSION);
    add_number(builder, "pid", getpid());
    add_number(builder, "reloads", generation);
    add_number(builder, "clients", clients);
    json_builder_end_object(builder);
}
