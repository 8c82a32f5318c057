/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket. A request is a line of JSON, and so is its answer. The next
 * request is handled only after the answer has been read, so a client cannot make us
 * store more than one answer. A successful reload ends the connection: clients ask the
 * new process over a new one.
 */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"
#include "fd.h"
#include "report.h"

#define REQUEST_LENGTH 4096
#define MAX_CONNECTIONS 4

struct Control {
    Server *server;
    Listener *listener;
    GList *connections;
    unsigned generation;
    ControlReload *reload;
    void *data;
};

typedef struct Connection {
    Control *control;
    int socket;
    Watch watch;
    GString *in;
    GString *out;
    size_t sent;            /* bytes of @out */
} Connection;

static void connection_free(Connection *connection)
{
    watch_remove(&connection->watch);
    fd_close(&connection->socket);
    g_string_free(connection->in, TRUE);
    g_string_free(connection->out, TRUE);
    g_free(connection);
}

static void connection_end(Connection *connection)
{
    Control *control = connection->control;

    control->connections = g_list_remove(control->connections, connection);
    connection_free(connection);
}

static char *to_line(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);

    return json_to_string(root, FALSE);
}

static char *answer_error(const char *message)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "error");
    json_builder_add_string_value(builder, message);
    json_builder_end_object(builder);
    return to_line(builder);
}

static const char *command_of(JsonParser *parser)
{
    JsonNode *root = json_parser_get_root(parser);
    JsonNode *command = NULL;

    if (root && JSON_NODE_HOLDS_OBJECT(root)) {
        command = json_object_get_member(json_node_get_object(root), "command");
    }
    if (!command || json_node_get_value_type(command) != G_TYPE_STRING) {
        return NULL;
    }
    return json_node_get_string(command);
}

char *control_answer(Control *control, const char *line)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(GError) error = NULL;
    const char *command;

    if (!json_parser_load_from_data(parser, line, -1, &error)) {
        return answer_error(error->message);
    }
    command = command_of(parser);
    if (!g_strcmp0(command, "reload")) {
        control->reload(control->data, &error);
        return answer_error(error->message);
    }
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "return");
    if (!g_strcmp0(command, "list")) {
        report_list(control->server, builder);
    } else if (!g_strcmp0(command, "status")) {
        report_status(control->server, control->generation, builder);
    } else {
        return answer_error("unknown command: use list, status or reload");
    }
    json_builder_end_object(builder);
    return to_line(builder);
}

/* False if the connection is closed */
static bool connection_write(Connection *connection)
{
    while (connection->sent < connection->out->len) {
        ssize_t sent = send(connection->socket, connection->out->str + connection->sent,
                            connection->out->len - connection->sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            return true;
        }
        if (sent < 0) {
            return false;
        }
        connection->sent += sent;
    }
    g_string_truncate(connection->out, 0);
    connection->sent = 0;
    return true;
}

static bool connection_read(Connection *connection)
{
    char bytes[REQUEST_LENGTH];
    ssize_t got = recv(connection->socket, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (got < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    g_string_append_len(connection->in, bytes, got);
    return got > 0 && connection->in->len <= REQUEST_LENGTH;
}

/* Answer requests, as long as the client has read the previous answer. */
static bool connection_answer(Connection *connection)
{
    char *end;

    while (!connection->out->len &&
           (end = memchr(connection->in->str, '\n', connection->in->len))) {
        g_autofree char *line = g_strndup(connection->in->str,
                                          end - connection->in->str);
        g_autofree char *answer = NULL;

        g_string_erase(connection->in, 0, end + 1 - connection->in->str);
        answer = control_answer(connection->control, line);
        g_string_append_printf(connection->out, "%s\n", answer);
        if (!connection_write(connection)) {
            return false;
        }
    }
    return true;
}

static void connection_event(Watch *watch, uint32_t events)
{
    Connection *connection = watch->data;
    bool ok = true;

    if (events & EPOLLOUT) {
        ok = connection_write(connection);
    }
    if (ok && events & EPOLLIN) {
        ok = connection_read(connection);
    }
    ok = ok && connection_answer(connection);
    if (!ok || (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))) {
        connection_end(connection);
        return;
    }
    watch_change(watch, connection->out->len ? EPOLLOUT : EPOLLIN);
}

static void control_accept(int socket, void *data)
{
    Control *control = data;
    Connection *connection = g_new0(Connection, 1);

    connection->control = control;
    connection->socket = socket;
    connection->in = g_string_new(NULL);
    connection->out = g_string_new(NULL);
    if (g_list_length(control->connections) >= MAX_CONNECTIONS ||
        !watch_add(control->server->watches, &connection->watch, socket, EPOLLIN,
                   connection_event, connection)) {
        g_message("refused a connection to the control socket: %u are already open",
                  g_list_length(control->connections));
        connection_free(connection);
        return;
    }
    control->connections = g_list_prepend(control->connections, connection);
}

Control *control_new(const char *path, Server *server, Handover *handover,
                     unsigned generation, ControlReload *reload, void *data,
                     GError **error)
{
    const ListenerAddress address = { .path = path, .mode = 0600 };
    Control *control = g_new0(Control, 1);

    control->server = server;
    control->generation = generation;
    control->reload = reload;
    control->data = data;
    control->listener = listener_new(&address, handover, server->watches,
                                     server->notify, &server->spare, control_accept,
                                     control, error);
    if (!control->listener) {
        g_free(control);
        return NULL;
    }
    return control;
}

void control_free(Control *control, bool remove)
{
    while (control->connections) {
        connection_end(control->connections->data);
    }
    listener_free(control->listener, remove);
    g_free(control);
}

void control_hand_over(const Control *control, Handover *handover)
{
    listener_hand_over(control->listener, handover);
}
