/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list and reload: ask a running ivshmemd over its control socket. Each request and
 * each answer is a line of JSON. Every wait has a limit.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl.h"
#include "error.h"
#include "fd.h"
#include "size.h"

#define PATIENCE_MS 10000
#define WATCH_PERIOD_MS 1000

/* -1 if there is no server */
static int connect_to(const char *path, GError **error)
{
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (g_strlcpy(un.sun_path, path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
        fail(error, "%s: the path is too long for a socket", path);
        return -1;
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        fail(error, "%s: %s. Is ivshmemd running, with --control %s?", path,
             g_strerror(errno), path);
        return -1;
    }
    return fd_steal(&fd);
}

/*
 * The answer, a line, to be freed; NULL if the server hung up first, or said nothing
 * for too long, which is an error.
 */
static char *ask(int fd, const char *command, GError **error)
{
    g_autofree char *request = g_strdup_printf("{\"command\": \"%s\"}\n", command);
    g_autoptr(GString) answer = g_string_new(NULL);
    char bytes[65536];

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
        return NULL;
    }
    while (!answer->len || answer->str[answer->len - 1] != '\n') {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        ssize_t got;

        if (poll(&poll_fd, 1, PATIENCE_MS) <= 0) {
            fail(error, "the server did not answer within %d s", PATIENCE_MS / 1000);
            return NULL;
        }
        got = read(fd, bytes, sizeof(bytes));
        if (got <= 0) {
            return NULL;
        }
        g_string_append_len(answer, bytes, got);
    }
    return g_strdup(answer->str);
}

/* What the server returned, in @parser; NULL if it refused or made no sense. */
static JsonNode *returned(JsonParser *parser, const char *answer, GError **error)
{
    JsonObject *object;
    JsonNode *root;

    if (!json_parser_load_from_data(parser, answer, -1, error)) {
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        fail(error, "the server answered something else: %s", answer);
        return NULL;
    }
    object = json_node_get_object(root);
    if (json_object_has_member(object, "error")) {
        fail(error, "%s", json_object_get_string_member(object, "error"));
        return NULL;
    }
    return json_object_get_member(object, "return");
}

static void print_peers(JsonArray *peers)
{
    guint i;

    printf("  %5s  %-28s %7s %8s %6s  %-15s  %-19s %6s\n", "ID", "SOCKET", "VECTORS",
           "PID", "UID", "COMMAND", "SINCE (UTC)", "QUEUED");
    for (i = 0; i < json_array_get_length(peers); i++) {
        JsonObject *peer = json_array_get_object_element(peers, i);

        printf("  %5d  %-28s %7d %8d %6d  %-15s  %.19s %6" G_GINT64_FORMAT "\n",
               (int)json_object_get_int_member(peer, "id"),
               json_object_get_string_member(peer, "socket"),
               (int)json_object_get_int_member(peer, "vectors"),
               (int)json_object_get_int_member(peer, "pid"),
               (int)json_object_get_int_member(peer, "uid"),
               json_object_get_string_member(peer, "command"),
               json_object_get_string_member(peer, "since"),
               json_object_get_int_member(peer, "queued"));
    }
}

static void print_channel(JsonObject *channel)
{
    JsonArray *peers = json_object_get_array_member(channel, "peers");
    g_autofree char *size = size_format(json_object_get_int_member(channel, "size"));
    const char *memory = json_object_get_string_member(channel, "memory");
    guint n = json_array_get_length(peers);

    printf("%s: %s, ", json_object_get_string_member(channel, "name"), size);
    if (json_object_get_null_member(channel, "path")) {
        printf("%s", memory);
    } else {
        printf("%s %s", memory, json_object_get_string_member(channel, "path"));
    }
    printf(", %u peer%s\n", n, n == 1 ? "" : "s");
    if (n) {
        print_peers(peers);
    }
}

static int list(const char *path, bool json, bool redraw, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *answer = NULL;
    AUTO_FD fd = connect_to(path, error);
    JsonArray *channels;
    JsonNode *value;
    guint i;

    if (fd < 0) {
        return EXIT_NO_SERVER;
    }
    answer = ask(fd, "list", error);
    if (!answer) {
        if (!*error) {
            fail(error, "%s: the server hung up", path);
        }
        return EXIT_NO_SERVER;
    }
    value = returned(parser, answer, error);
    if (!value) {
        return EXIT_REFUSED;
    }
    if (redraw) {
        printf("\033[H\033[2J");
    }
    if (json) {
        g_autofree char *text = json_to_string(value, TRUE);

        printf("%s\n", text);
    } else {
        channels = json_object_get_array_member(json_node_get_object(value),
                                                "channels");
        for (i = 0; i < json_array_get_length(channels); i++) {
            print_channel(json_array_get_object_element(channels, i));
        }
    }
    return ctl_flush(error);
}

static int watch(const char *path, GError **error)
{
    int result;

    while ((result = list(path, false, isatty(STDOUT_FILENO), error)) == EXIT_DONE) {
        g_usleep(WATCH_PERIOD_MS * 1000);
    }
    return result;
}

int ctl_list(const Ctl *ctl, GError **error)
{
    if (ctl->watch) {
        return watch(ctl->control, error);
    }
    return list(ctl->control, ctl->json, false, error);
}

/* How often the server was reloaded, and how many clients it has; -1: no answer */
static gint64 status(const char *path, gint64 *clients, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *answer = NULL;
    AUTO_FD fd = connect_to(path, error);
    JsonNode *value;

    if (fd < 0) {
        return -1;
    }
    answer = ask(fd, "status", error);
    value = answer ? returned(parser, answer, error) : NULL;
    if (!value) {
        return -1;
    }
    *clients = json_object_get_int_member(json_node_get_object(value), "clients");
    return json_object_get_int_member(json_node_get_object(value), "reloads");
}

/* A server that reloads hangs up; the same one then answers anew. */
int ctl_reload(const Ctl *ctl, GError **error)
{
    const char *path = ctl->control;
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *answer = NULL;
    gint64 clients, before = status(path, &clients, error);
    AUTO_FD fd = before < 0 ? -1 : connect_to(path, error);

    if (fd < 0) {
        return EXIT_NO_SERVER;
    }
    answer = ask(fd, "reload", error);
    if (answer) {
        returned(parser, answer, error);
        return EXIT_REFUSED;
    }
    while (!*error) {
        g_autoptr(GError) not_yet = NULL;

        if (status(path, &clients, &not_yet) > before) {
            printf("reloaded; %" G_GINT64_FORMAT " client%s stayed connected\n", clients,
                   clients == 1 ? "" : "s");
            return EXIT_DONE;
        }
        if (g_get_monotonic_time() > end) {
            fail(error, "%s: the server did not come back: see its log", path);
        }
        g_usleep(20000);
    }
    return EXIT_NO_SERVER;
}
