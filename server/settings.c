/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's settings, from the command line or a file. Each value is checked here,
 * once, when it is set. settings_check() checks the settings as a whole.
 */
#include <string.h>
#include <sys/un.h>

#include "error.h"
#include "ids.h"
#include "ledger.h"
#include "settings.h"
#include "size.h"

static void socket_settings_free(gpointer opaque)
{
    SocketSettings *socket = opaque;

    g_free(socket->path);
    g_free(socket->group);
    g_free(socket);
}

static void channel_settings_free(gpointer opaque)
{
    ChannelSettings *channel = opaque;

    g_free(channel->name);
    g_free(channel->object);
    g_free(channel->directory);
    g_ptr_array_free(channel->sockets, TRUE);
    g_free(channel);
}

Settings *settings_new(void)
{
    Settings *settings = g_new0(Settings, 1);

    settings->channels = g_ptr_array_new_with_free_func(channel_settings_free);
    return settings;
}

void settings_free(Settings *settings)
{
    g_ptr_array_free(settings->channels, TRUE);
    g_free(settings->control);
    g_free(settings);
}

ChannelSettings *settings_add_channel(Settings *settings, const char *name)
{
    ChannelSettings *channel = g_new0(ChannelSettings, 1);

    channel->name = g_strdup(name);
    channel->size = DEFAULT_SIZE;
    channel->vectors = DEFAULT_VECTORS;
    channel->sockets = g_ptr_array_new_with_free_func(socket_settings_free);
    g_ptr_array_add(settings->channels, channel);
    return channel;
}

static bool parse_number(const char *what, const char *text, unsigned max, int *number,
                         GError **error)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, max, &value, NULL)) {
        return fail(error, "%s '%s' must be a number from 0 to %u", what, text, max);
    }
    *number = value;
    return true;
}

static bool parse_mode(const char *text, int *mode, GError **error)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 8, 0, 0777, &value, NULL)) {
        return fail(error, "mode '%s' must be permissions in octal, such as 0660", text);
    }
    *mode = value;
    return true;
}

static bool set_socket_option(SocketSettings *socket, const char *option,
                              GError **error)
{
    if (g_str_has_prefix(option, "id=")) {
        return parse_number("id", option + 3, IDS_NUMBER - 1, &socket->id, error);
    }
    if (g_str_has_prefix(option, "vectors=")) {
        return parse_number("vectors", option + 8, LEDGER_VECTORS, &socket->vectors,
                            error);
    }
    if (g_str_has_prefix(option, "mode=")) {
        return parse_mode(option + 5, &socket->mode, error);
    }
    if (g_str_has_prefix(option, "group=") && option[6]) {
        g_free(socket->group);
        socket->group = g_strdup(option + 6);
        return true;
    }
    return fail(error, "'%s' is not a socket option: use id=N, vectors=N, "
                "mode=0660 and group=NAME", option);
}

bool settings_add_socket(ChannelSettings *channel, const char *text, GError **error)
{
    g_auto(GStrv) part = g_strsplit(text, ",", -1);
    const size_t longest = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    SocketSettings *socket;
    unsigned i;

    if (!part[0] || !*part[0] || strlen(part[0]) > longest) {
        return fail(error, "'%s' is not a socket path: use 1 to %zu bytes",
                    part[0] ? part[0] : "", longest);
    }
    socket = g_new0(SocketSettings, 1);
    socket->path = g_strdup(part[0]);
    socket->id = -1;
    socket->vectors = -1;
    socket->mode = -1;
    g_ptr_array_add(channel->sockets, socket);
    for (i = 1; part[i]; i++) {
        if (!set_socket_option(socket, part[i], error)) {
            g_prefix_error(error, "socket %s: ", socket->path);
            return false;
        }
    }
    return true;
}

bool settings_set_size(ChannelSettings *channel, const char *text, GError **error)
{
    return size_parse(text, &channel->size, error);
}

bool settings_set_vectors(ChannelSettings *channel, const char *text, GError **error)
{
    int vectors = 0;

    if (!parse_number("vectors", text, LEDGER_VECTORS, &vectors, error)) {
        return false;
    }
    channel->vectors = vectors;
    return true;
}

bool settings_set_object(ChannelSettings *channel, const char *text, GError **error)
{
    const char *name = text + (*text == '/');

    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")) {
        return fail(error, "'%s' is not a POSIX object name: use a file name, with or "
                    "without a leading '/'", text);
    }
    g_free(channel->object);
    channel->object = g_strdup(name);
    return true;
}

bool settings_set_directory(ChannelSettings *channel, const char *text, GError **error)
{
    if (!g_file_test(text, G_FILE_TEST_IS_DIR)) {
        return fail(error, "'%s' is not a directory", text);
    }
    g_free(channel->directory);
    channel->directory = g_strdup(text);
    return true;
}

unsigned settings_vectors(const ChannelSettings *channel, const SocketSettings *socket)
{
    return socket->vectors >= 0 ? (unsigned)socket->vectors : channel->vectors;
}

static bool check_channel(const ChannelSettings *channel, GHashTable *seen,
                          GError **error)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(NULL, NULL);
    guint i;

    if (channel->object && channel->directory) {
        return fail(error, "channel %s: memory is either an object (-M) or a file in a "
                    "directory (-m), not both", channel->name);
    }
    if (!channel->sockets->len) {
        return fail(error, "channel %s: no sockets: add sockets=PATH", channel->name);
    }
    if (channel->object &&
        !g_hash_table_add(seen, g_strdup_printf("object %s", channel->object))) {
        return fail(error, "channel %s: another channel already has the memory '%s'",
                    channel->name, channel->object);
    }
    for (i = 0; i < channel->sockets->len; i++) {
        const SocketSettings *socket = g_ptr_array_index(channel->sockets, i);

        if (!g_hash_table_add(seen, g_strdup_printf("socket %s", socket->path))) {
            return fail(error, "channel %s: the socket %s is listed twice", channel->name,
                        socket->path);
        }
        if (socket->id >= 0 &&
            !g_hash_table_add(ids, GINT_TO_POINTER(socket->id + 1))) {
            return fail(error, "channel %s: two sockets have the ID %d", channel->name,
                        socket->id);
        }
    }
    return true;
}

bool settings_check(const Settings *settings, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                                       NULL);
    guint i;

    for (i = 0; i < settings->channels->len; i++) {
        if (!check_channel(g_ptr_array_index(settings->channels, i), seen, error)) {
            return false;
        }
    }
    if (settings->control &&
        !g_hash_table_add(seen, g_strdup_printf("socket %s", settings->control))) {
        return fail(error, "the control socket %s is also a channel's socket",
                    settings->control);
    }
    return true;
}
