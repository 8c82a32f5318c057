/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file, ivshmemd.conf(5). GKeyFile parses it, but it does not report
 * line numbers, and a repeated key replaces the earlier one. So scan the lines first,
 * to note where each key is and to refuse duplicates.
 */
#include <string.h>

#include "configuration.h"
#include "error.h"
#include "ledger.h"

#define SERVER_GROUP "ivshmemd"
#define CHANNEL_PREFIX "channel "

typedef struct Reader {
    const char *path;
    GKeyFile *file;
    GHashTable *lines;      /* line number by "[GROUP]" and "[GROUP]KEY" */
} Reader;

static unsigned line_of(const Reader *reader, const char *group, const char *key)
{
    g_autofree char *name = g_strdup_printf("[%s]%s", group, key ? key : "");

    return GPOINTER_TO_UINT(g_hash_table_lookup(reader->lines, name));
}

/* The name of a line in @lines, or NULL if it has none */
static char *name_of_line(const char *line, char **group)
{
    g_autofree char *text = g_strstrip(g_strdup(line));
    char *end;

    if (*text == '[') {
        end = strchr(text, ']');
        if (!end) {
            return NULL;
        }
        g_free(*group);
        *group = g_strndup(text + 1, end - text - 1);
        return g_strdup_printf("[%s]", *group);
    }
    end = strchr(text, '=');
    if (*text == '#' || !end || !*group) {
        return NULL;
    }
    *end = 0;
    return g_strdup_printf("[%s]%s", *group, g_strchomp(text));
}

static bool note_lines(Reader *reader, const char *text, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *group = NULL;
    unsigned i;

    for (i = 0; lines[i]; i++) {
        char *name = name_of_line(lines[i], &group);
        gpointer other;

        if (!name) {
            g_autofree char *rest = g_strstrip(g_strdup(lines[i]));

            if (*rest && *rest != '#') {
                return fail(error, "%s:%u: '%s' is neither a [group], nor a key=value, "
                            "nor a # comment", reader->path, i + 1, rest);
            }
            continue;
        }
        other = g_hash_table_lookup(reader->lines, name);
        if (other) {
            fail(error, "%s:%u: %s is already defined in line %u", reader->path, i + 1,
                 name, GPOINTER_TO_UINT(other));
            g_free(name);
            return false;
        }
        g_hash_table_insert(reader->lines, name, GUINT_TO_POINTER(i + 1));
    }
    return true;
}

static bool set_sockets(ChannelSettings *channel, const char *text, GError **error)
{
    g_auto(GStrv) sockets = g_strsplit(text, ";", -1);
    unsigned i;

    for (i = 0; sockets[i]; i++) {
        g_strstrip(sockets[i]);
        if (*sockets[i] && !settings_add_socket(channel, sockets[i], error)) {
            return false;
        }
    }
    return true;
}

static const struct {
    const char *key;
    bool (*set)(ChannelSettings *channel, const char *text, GError **error);
} channel_keys[] = {
    { "size", settings_set_size },
    { "vectors", settings_set_vectors },
    { "memory-name", settings_set_object },
    { "memory-directory", settings_set_directory },
    { "sockets", set_sockets },
};

/* NULL if the value is invalid; GLib may still return the part it could read */
static char *value_of(const Reader *reader, const char *group, const char *key,
                      GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *value = g_key_file_get_string(reader->file, group, key, &problem);

    if (problem) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    return g_steal_pointer(&value);
}

static bool set_channel_key(const Reader *reader, ChannelSettings *channel,
                            const char *group, const char *key, GError **error)
{
    g_autofree char *value = value_of(reader, group, key, error);
    unsigned i;

    for (i = 0; value && i < G_N_ELEMENTS(channel_keys); i++) {
        if (!strcmp(key, channel_keys[i].key)) {
            return channel_keys[i].set(channel, value, error);
        }
    }
    return value && fail(error, "unknown key: a channel has size, vectors, "
                         "memory-name, memory-directory and sockets");
}

static bool set_server_key(const Reader *reader, Settings *settings, const char *group,
                           const char *key, GError **error)
{
    if (strcmp(key, "control")) {
        return fail(error, "unknown key: [ivshmemd] has only control");
    }
    settings->control = value_of(reader, group, key, error);
    return settings->control != NULL;
}

static bool is_channel_name(const char *name)
{
    return *name && strlen(name) < LEDGER_NAME_LENGTH &&
           strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-") == strlen(name);
}

static bool read_group(const Reader *reader, Settings *settings, const char *group,
                       GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(reader->file, group, NULL, NULL);
    ChannelSettings *channel = NULL;
    unsigned i;

    if (g_str_has_prefix(group, CHANNEL_PREFIX)) {
        const char *name = group + strlen(CHANNEL_PREFIX);

        if (!is_channel_name(name)) {
            return fail(error, "%s:%u: '%s' is not a channel name: use up to %u of "
                        "A-Z a-z 0-9 . _ -", reader->path, line_of(reader, group, NULL),
                        name, LEDGER_NAME_LENGTH - 1);
        }
        channel = settings_add_channel(settings, name);
    } else if (strcmp(group, SERVER_GROUP)) {
        return fail(error, "%s:%u: unknown group [%s]: use [ivshmemd] or "
                    "[channel NAME]", reader->path, line_of(reader, group, NULL), group);
    }
    for (i = 0; keys && keys[i]; i++) {
        if (channel ? !set_channel_key(reader, channel, group, keys[i], error) :
                      !set_server_key(reader, settings, group, keys[i], error)) {
            g_prefix_error(error, "%s:%u: %s: ", reader->path,
                           line_of(reader, group, keys[i]), keys[i]);
            return false;
        }
    }
    return true;
}

static bool read_all(Reader *reader, Settings *settings, const char *text,
                     GError **error)
{
    g_auto(GStrv) groups = NULL;
    unsigned i;

    if (!note_lines(reader, text, error)) {
        return false;
    }
    if (!g_key_file_load_from_data(reader->file, text, strlen(text), G_KEY_FILE_NONE,
                                   error)) {
        g_prefix_error(error, "%s: ", reader->path);
        return false;
    }
    groups = g_key_file_get_groups(reader->file, NULL);
    for (i = 0; groups[i]; i++) {
        if (!read_group(reader, settings, groups[i], error)) {
            return false;
        }
    }
    if (!settings->channels->len) {
        return fail(error, "%s: no channels: add a [channel NAME]", reader->path);
    }
    if (!settings_check(settings, error)) {
        g_prefix_error(error, "%s: ", reader->path);
        return false;
    }
    return true;
}

Settings *configuration_parse(const char *path, const char *text, GError **error)
{
    g_autoptr(Settings) settings = settings_new();
    Reader reader = {
        .path = path,
        .file = g_key_file_new(),
        .lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    };
    bool ok = read_all(&reader, settings, text, error);

    g_key_file_free(reader.file);
    g_hash_table_destroy(reader.lines);
    return ok ? g_steal_pointer(&settings) : NULL;
}

Settings *configuration_read(const char *path, GError **error)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        return NULL;
    }
    return configuration_parse(path, text, error);
}
