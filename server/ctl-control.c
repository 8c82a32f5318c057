/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list and reload: ask a running ivshmemd over its control socket. Each request and
 * each answer is a line of JSON. Every wait has a limit.
 */
#include <stdio.h>
#include <unistd.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"
#include "lines.h"
#include "size.h"

#define PATIENCE_MS 10000
#define WATCH_PERIOD_MS 1000

static GIOChannel *connect_to(const char *path, GError **error)
{
    g_autofree char *hint = g_strdup_printf("Is ivshmemd running, with --control %s?",
                                            path);

    return lines_connect(path, hint, error);
}

/*
 * The answer, a line that the caller frees. NULL without an error if the server hung up.
 * NULL with an error if it did not answer in time.
 */
static char *ask(const char *path, GIOChannel *lines, const char *command,
                 GError **error)
{
    g_autofree char *line = g_strdup_printf("{\"command\": \"%s\"}\n", command);
    char *answer = lines_send(lines, line) ?
                   lines_read(lines, deadline_in_ms(PATIENCE_MS), error) : NULL;

    if (*error) {
        g_prefix_error(error, "%s: ", path);
    }
    return answer;
}

/* Like ask(), but on a new connection, and a hang-up is an error. */
static char *request(const char *path, const char *command, GError **error)
{
    g_autoptr(GIOChannel) lines = connect_to(path, error);
    char *answer = lines ? ask(path, lines, command, error) : NULL;

    if (!answer && !*error) {
        fail(error, "%s: the server hung up", path);
    }
    return answer;
}

/* The returned object, in @parser. NULL if the server refused or is not ivshmemd */
static JsonNode *returned(const char *path, JsonParser *parser, const char *answer,
                          GError **error)
{
    JsonNode *root = json_parser_load_from_data(parser, answer, -1, NULL) ?
                     json_parser_get_root(parser) : NULL;
    JsonObject *object = root && JSON_NODE_HOLDS_OBJECT(root) ?
                         json_node_get_object(root) : NULL;
    JsonNode *value = object ? json_object_get_member(object, "return") : NULL;

    if (object && json_object_has_member(object, "error")) {
        fail(error, "%s", json_object_get_string_member(object, "error"));
        return NULL;
    }
    if (!value || !JSON_NODE_HOLDS_OBJECT(value)) {
        fail(error, "%s: unexpected answer: is it ivshmemd's control socket?", path);
        return NULL;
    }
    return value;
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

/* The server's answer to "list", in @parser. NULL: *@result says why. */
static JsonNode *ask_for_list(const char *path, JsonParser *parser, int *result,
                              GError **error)
{
    g_autofree char *answer = request(path, "list", error);
    JsonNode *value;

    if (!answer) {
        *result = EXIT_NO_SERVER;
        return NULL;
    }
    value = returned(path, parser, answer, error);
    *result = value ? EXIT_DONE : EXIT_REFUSED;
    return value;
}

JsonArray *ctl_channels(const char *path, JsonParser *parser, int *result, GError **error)
{
    JsonNode *value = ask_for_list(path, parser, result, error);

    return value ? json_object_get_array_member(json_node_get_object(value), "channels") :
           NULL;
}

static int print_json(const char *path, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *text = NULL;
    int result;
    JsonNode *value = ask_for_list(path, parser, &result, error);

    if (!value) {
        return result;
    }
    text = json_to_string(value, TRUE);
    printf("%s\n", text);
    return ctl_flush(error);
}

static int print_channels(const char *path, bool redraw, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    int result;
    JsonArray *channels = ctl_channels(path, parser, &result, error);
    guint i;

    if (!channels) {
        return result;
    }
    if (redraw) {
        printf("\033[H\033[2J");
    }
    for (i = 0; i < json_array_get_length(channels); i++) {
        print_channel(json_array_get_object_element(channels, i));
    }
    return ctl_flush(error);
}

static int watch(const char *path, GError **error)
{
    int result;

    while ((result = print_channels(path, isatty(STDOUT_FILENO), error)) == EXIT_DONE) {
        g_usleep(WATCH_PERIOD_MS * 1000);
    }
    return result;
}

int ctl_list(const Ctl *ctl, GError **error)
{
    if (ctl->watch) {
        return watch(ctl->control, error);
    }
    return ctl->json ? print_json(ctl->control, error) :
           print_channels(ctl->control, false, error);
}

/* The number of reloads so far, and in @clients the number of clients. -1: no answer */
static gint64 status(const char *path, gint64 *clients, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *answer = request(path, "status", error);
    JsonNode *value = answer ? returned(path, parser, answer, error) : NULL;

    if (!value) {
        return -1;
    }
    *clients = json_object_get_int_member(json_node_get_object(value), "clients");
    return json_object_get_int_member(json_node_get_object(value), "reloads");
}

/* The server hangs up when it reloads, then answers again. */
int ctl_reload(const Ctl *ctl, GError **error)
{
    const char *path = ctl->control;
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *answer = NULL;
    gint64 clients, before = status(path, &clients, error);
    g_autoptr(GIOChannel) lines = before < 0 ? NULL : connect_to(path, error);

    if (!lines) {
        return EXIT_NO_SERVER;
    }
    answer = ask(path, lines, "reload", error);
    if (answer) {
        returned(path, parser, answer, error);
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
