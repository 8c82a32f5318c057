/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: the short options of QEMU's ivshmem-server, and long options for
 * everything else. It describes one channel. A configuration file describes any number,
 * so the options for a channel cannot be used with it.
 */
#include <string.h>

#include "configuration.h"
#include "error.h"
#include "options.h"

#define CHANNEL_NAME "default"

typedef struct Given {
    Options *options;
    char **sockets;
    char *plain_socket;
    char *object;
    char *directory;
    char *size;
    char *vectors;
    char *sandbox;
    gboolean foreground;
    gboolean daemon;
    gboolean verbose;
    gboolean version;
} Given;

static bool given_sandbox(const Given *given, SandboxMode *mode, GError **error)
{
    const char *text = given->sandbox ? given->sandbox : DEFAULT_SANDBOX;

    if (!strcmp(text, "on")) {
        *mode = SANDBOX_ON;
    } else if (!strcmp(text, "off")) {
        *mode = SANDBOX_OFF;
    } else if (!strcmp(text, "kill")) {
        *mode = SANDBOX_KILL;
    } else {
        return fail(error, "--sandbox '%s' must be on, off or kill", text);
    }
    return true;
}

/* In --socket a comma begins an option; in -S it is part of the path. */
static void add_plain_socket(ChannelSettings *channel, const char *path)
{
    SocketSettings *socket = g_new0(SocketSettings, 1);

    socket->path = g_strdup(path);
    socket->id = -1;
    socket->vectors = -1;
    socket->mode = -1;
    g_ptr_array_insert(channel->sockets, 0, socket);
}

static bool given_channel(const Given *given, Options *options, GError **error)
{
    ChannelSettings *channel;
    unsigned i;

    options->settings = settings_new();
    channel = settings_add_channel(options->settings, CHANNEL_NAME);
    if (given->size && !settings_set_size(channel, given->size, error)) {
        g_prefix_error(error, "-l: ");
        return false;
    }
    if (given->vectors && !settings_set_vectors(channel, given->vectors, error)) {
        g_prefix_error(error, "-n: ");
        return false;
    }
    if (given->object && !settings_set_object(channel, given->object, error)) {
        g_prefix_error(error, "-M: ");
        return false;
    }
    if (given->directory && !settings_set_directory(channel, given->directory, error)) {
        g_prefix_error(error, "-m: ");
        return false;
    }
    for (i = 0; given->sockets && given->sockets[i]; i++) {
        if (!settings_add_socket(channel, given->sockets[i], error)) {
            g_prefix_error(error, "--socket: ");
            return false;
        }
    }
    options->any_socket = !given->plain_socket && !channel->sockets->len;
    if (given->plain_socket || !channel->sockets->len) {
        const char *path = given->plain_socket ? given->plain_socket : DEFAULT_SOCKET;
        ChannelSettings *check = settings_add_channel(options->settings, "");
        bool ok = strchr(path, ',') || settings_add_socket(check, path, error);

        g_ptr_array_set_size(options->settings->channels, 1);
        if (!ok) {
            g_prefix_error(error, "-S: ");
            return false;
        }
        add_plain_socket(channel, path);
    }
    options->settings->control = g_strdup(options->control);
    return settings_check(options->settings, error);
}

static bool given_check(const Given *given, GError **error)
{
    if (given->foreground && given->daemon) {
        return fail(error, "-F and --daemon cannot be used together");
    }
    if (given->options->config &&
        (given->plain_socket || given->sockets || given->object || given->directory ||
         given->size || given->vectors)) {
        return fail(error, "--config cannot be used with -S, --socket, -M, -m, -l "
                    "or -n");
    }
    return true;
}

static bool given_apply(const Given *given, GError **error)
{
    Options *options = given->options;

    options->daemon = given->daemon;
    options->verbose = given->verbose;
    options->version = given->version;
    if (!given_check(given, error) ||
        !given_sandbox(given, &options->sandbox, error)) {
        return false;
    }
    if (options->config) {
        return true;
    }
    return given_channel(given, options, error);
}

static void given_clear(Given *given)
{
    g_strfreev(given->sockets);
    g_free(given->plain_socket);
    g_free(given->object);
    g_free(given->directory);
    g_free(given->size);
    g_free(given->vectors);
    g_free(given->sandbox);
}

static const char summary[] =
    "Server for QEMU's ivshmem devices: provides shared memory and doorbells to\n"
    "virtual machines. Stays in the foreground unless --daemon is given.";

Options *options_parse(char **argv, GError **error)
{
    g_autoptr(Options) options = g_new0(Options, 1);
    Given given = { .options = options };
    const GOptionEntry entries[] = {
        { "verbose", 'v', 0, G_OPTION_ARG_NONE, &given.verbose,
          "Log every client that joins or leaves", NULL },
        { "foreground", 'F', 0, G_OPTION_ARG_NONE, &given.foreground,
          "Stay in the foreground (default)", NULL },
        { "daemon", 0, 0, G_OPTION_ARG_NONE, &given.daemon,
          "Run in the background once ready", NULL },
        { "pid-file", 'p', 0, G_OPTION_ARG_FILENAME, &options->pid_file,
          "Write the process ID to FILE", "FILE" },
        { "socket-path", 'S', 0, G_OPTION_ARG_FILENAME, &given.plain_socket,
          "Listen on PATH (default: " DEFAULT_SOCKET ")", "PATH" },
        { "socket", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &given.sockets,
          "Also listen on PATH[,id=N][,vectors=N][,mode=0660][,group=NAME]",
          "SOCKET" },
        { "shm-name", 'M', 0, G_OPTION_ARG_FILENAME, &given.object,
          "Use the POSIX shared memory object NAME, not a memfd", "NAME" },
        { "shm-directory", 'm', 0, G_OPTION_ARG_FILENAME, &given.directory,
          "Use a file in DIR as memory, not a memfd", "DIR" },
        { "size", 'l', 0, G_OPTION_ARG_STRING, &given.size,
          "Size of the memory, such as 512K, 4M (default), 1G", "SIZE" },
        { "vectors", 'n', 0, G_OPTION_ARG_STRING, &given.vectors,
          "Number of vectors of each client, 0 to 64 (default: 1)", "N" },
        { "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config,
          "Read the channels from FILE, see ivshmemd.conf(5)", "FILE" },
        { "control", 0, 0, G_OPTION_ARG_FILENAME, &options->control,
          "Listen for ivshmemctl(1) on PATH", "PATH" },
        { "sandbox", 0, 0, G_OPTION_ARG_STRING, &given.sandbox,
          "on: unexpected system calls fail (default); kill: they kill the server; off",
          "MODE" },
        { "version", 0, 0, G_OPTION_ARG_NONE, &given.version,
          "Print the version", NULL },
        G_OPTION_ENTRY_NULL
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_auto(GStrv) words = g_strdupv(argv);
    bool ok;

    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, entries, NULL);
    ok = g_option_context_parse_strv(context, &words, error);
    if (ok && words[0] && words[1]) {
        ok = fail(error, "'%s' is not an option", words[1]);
    }
    ok = ok && given_apply(&given, error);
    given_clear(&given);
    return ok ? g_steal_pointer(&options) : NULL;
}

void options_free(Options *options)
{
    g_free(options->config);
    g_free(options->pid_file);
    g_free(options->control);
    if (options->settings) {
        settings_free(options->settings);
    }
    g_free(options);
}

/* A copy of the one channel, so that callers always own the result */
static Settings *copy_settings(const Options *options)
{
    const ChannelSettings *from = g_ptr_array_index(options->settings->channels, 0);
    Settings *settings = settings_new();
    ChannelSettings *channel = settings_add_channel(settings, from->name);
    guint i;

    channel->object = g_strdup(from->object);
    channel->directory = g_strdup(from->directory);
    channel->size = from->size;
    channel->vectors = from->vectors;
    for (i = 0; i < from->sockets->len; i++) {
        const SocketSettings *socket = g_ptr_array_index(from->sockets, i);
        SocketSettings *copy = g_memdup2(socket, sizeof(*socket));

        copy->path = g_strdup(socket->path);
        copy->group = g_strdup(socket->group);
        g_ptr_array_add(channel->sockets, copy);
    }
    return settings;
}

Settings *options_settings(const Options *options, GError **error)
{
    g_autoptr(Settings) settings = NULL;

    if (options->config) {
        settings = configuration_read(options->config, error);
    } else {
        settings = copy_settings(options);
    }
    if (settings && options->control) {
        g_free(settings->control);
        settings->control = g_strdup(options->control);
    }
    return settings && settings_check(settings, error) ? g_steal_pointer(&settings)
                                                       : NULL;
}
