/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each command has an answer, which may come after events. If a device is removed
 * between two commands, the second one fails and the device is left out.
 */
#include <json-glib/json-glib.h>
#include <sys/socket.h>

#include "deadline.h"
#include "error.h"
#include "lines.h"
#include "qmp.h"

#define PATIENCE_MS 2000

struct Qmp {
    char *path;
    GIOChannel *lines;
    int pid;
};

/* The next object that has one of @members, a NULL-terminated list */
static JsonNode *next_object(Qmp *qmp, const char *const *members, gint64 deadline,
                             GError **error)
{
    while (true) {
        g_autofree char *line = lines_read(qmp->lines, deadline, error);
        g_autoptr(JsonNode) node = NULL;
        unsigned i;

        if (!line) {
            if (error && !*error) {
                fail(error, "QEMU hung up");
            }
            return NULL;
        }
        node = json_from_string(line, NULL);
        if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
            fail(error, "this is not QMP: '%.40s'", g_strstrip(line));
            return NULL;
        }
        for (i = 0; members[i]; i++) {
            if (json_object_has_member(json_node_get_object(node), members[i])) {
                return g_steal_pointer(&node);
            }
        }
    }
}

/*
 * The answer, an object with "return", or with "error" if QEMU refused. NULL if there
 * is none. @path and @property may be NULL.
 */
static JsonNode *command(Qmp *qmp, const char *name, const char *path,
                         const char *property, GError **error)
{
    static const char *const answers[] = { "return", "error", NULL };
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL, *line = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "execute");
    json_builder_add_string_value(builder, name);
    if (path) {
        json_builder_set_member_name(builder, "arguments");
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "path");
        json_builder_add_string_value(builder, path);
        if (property) {
            json_builder_set_member_name(builder, "property");
            json_builder_add_string_value(builder, property);
        }
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, FALSE);
    line = g_strconcat(text, "\n", NULL);
    if (!lines_send(qmp->lines, line)) {
        fail(error, "QEMU hung up");
        return NULL;
    }
    return next_object(qmp, answers, deadline_in_ms(PATIENCE_MS), error);
}

static int peer_pid(GIOChannel *lines)
{
    struct ucred peer = { 0 };
    socklen_t size = sizeof(peer);

    getsockopt(g_io_channel_unix_get_fd(lines), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return peer.pid;
}

Qmp *qmp_new(const char *path, GError **error)
{
    static const char *const greeting[] = { "QMP", NULL };
    g_autoptr(Qmp) qmp = g_new0(Qmp, 1);
    g_autoptr(JsonNode) hello = NULL, ready = NULL;
    g_autofree char *hint = NULL;

    qmp->path = g_strdup(path);
    hint = g_strdup_printf("Is QEMU running, with -qmp unix:%s,server=on,wait=off?", path);
    qmp->lines = lines_connect(path, hint, error);
    if (!qmp->lines) {
        g_prefix_error(error, "QMP: ");
        return NULL;
    }
    qmp->pid = peer_pid(qmp->lines);
    hello = next_object(qmp, greeting, deadline_in_ms(PATIENCE_MS), error);
    ready = hello ? command(qmp, "qmp_capabilities", NULL, NULL, error) : NULL;
    if (!ready) {
        g_prefix_error(error, "QMP: %s: ", path);
        return NULL;
    }
    return g_steal_pointer(&qmp);
}

void qmp_free(Qmp *qmp)
{
    g_clear_pointer(&qmp->lines, g_io_channel_unref);
    g_free(qmp->path);
    g_free(qmp);
}

int qmp_pid(const Qmp *qmp)
{
    return qmp->pid;
}

/* *@value is unchanged if the device is gone. False if QEMU is gone. */
static bool get_number(Qmp *qmp, const char *path, const char *property, int64_t *value,
                       GError **error)
{
    g_autoptr(JsonNode) answer = command(qmp, "qom-get", path, property, error);

    if (answer) {
        *value = json_object_get_int_member_with_default(json_node_get_object(answer),
                                                         "return", *value);
    }
    return answer;
}

static bool add_device(Qmp *qmp, const char *path, GArray *devices, GError **error)
{
    int64_t id = -1, doorbells = -1, interrupts = -1;

    if (!get_number(qmp, path, "own-id", &id, error) ||
        !get_number(qmp, path, "doorbells", &doorbells, error) ||
        !get_number(qmp, path, "interrupts", &interrupts, error)) {
        return false;
    }
    if (id >= 0 && doorbells >= 0 && interrupts >= 0) {
        QmpDevice device = { id, doorbells, interrupts };

        g_array_append_val(devices, device);
    }
    return true;
}

static bool add_devices(Qmp *qmp, const char *parent, GArray *devices, GError **error)
{
    g_autoptr(JsonNode) answer = command(qmp, "qom-list", parent, NULL, error);
    JsonObject *object = answer ? json_node_get_object(answer) : NULL;
    JsonArray *children;
    guint i;

    if (!object) {
        return false;
    }
    if (!json_object_has_member(object, "return")) {
        return true;
    }
    children = json_object_get_array_member(object, "return");
    for (i = 0; i < json_array_get_length(children); i++) {
        JsonObject *child = json_array_get_object_element(children, i);
        g_autofree char *path = NULL;

        if (g_strcmp0(json_object_get_string_member(child, "type"),
                      "child<ivshmem-flat>")) {
            continue;
        }
        path = g_strdup_printf("%s/%s", parent,
                               json_object_get_string_member(child, "name"));
        if (!add_device(qmp, path, devices, error)) {
            return false;
        }
    }
    return true;
}

GArray *qmp_devices(Qmp *qmp, GError **error)
{
    g_autoptr(GArray) devices = g_array_new(false, false, sizeof(QmpDevice));

    if (!add_devices(qmp, "/machine/peripheral", devices, error) ||
        !add_devices(qmp, "/machine/peripheral-anon", devices, error)) {
        g_prefix_error(error, "QMP: %s: ", qmp->path);
        return NULL;
    }
    return g_steal_pointer(&devices);
}
