/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the commands of ivshmemctl: joining, numbers, output. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"

#define HANDSHAKE_SECONDS 5.0

gint64 ctl_deadline(const Ctl *ctl, double seconds)
{
    if (ctl->timeout >= 0) {
        seconds = ctl->timeout;
    }
    return seconds < 0 ? DEADLINE_NEVER : deadline_in_seconds(seconds);
}

Client *ctl_join(const Ctl *ctl, GError **error)
{
    return client_new(ctl->server, deadline_in_seconds(HANDSHAKE_SECONDS), error);
}

Client *ctl_join_peers(const Ctl *ctl, GError **error)
{
    gint64 deadline = deadline_in_seconds(HANDSHAKE_SECONDS);
    g_autoptr(Client) client = client_new(ctl->server, deadline, error);

    if (!client || !client_settle(client, deadline, error)) {
        return NULL;
    }
    return g_steal_pointer(&client);
}

bool ctl_number(const char *what, const char *text, uint64_t most, uint64_t *number,
                GError **error)
{
    char *end;
    bool hex = g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X");
    const char *digits = hex ? text + 2 : text;

    errno = 0;
    *number = g_ascii_strtoull(digits, &end, hex ? 16 : 10);
    if (!g_ascii_isxdigit(*digits) || *end || errno || *number > most) {
        return fail(error, "%s '%s' must be a number from 0 to %" G_GUINT64_FORMAT, what,
                    text, (guint64)most);
    }
    return true;
}

JsonBuilder *ctl_json_new(void)
{
    JsonBuilder *builder = json_builder_new();

    json_builder_begin_object(builder);
    return builder;
}

void ctl_json_int(JsonBuilder *builder, const char *name, int64_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

void ctl_json_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

void ctl_json_double(JsonBuilder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, value);
}

void ctl_json_print(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, FALSE);
    printf("%s\n", text);
}

char *ctl_time(gint64 real_time)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(real_time / G_USEC_PER_SEC);
    g_autofree char *seconds = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%s.%06dZ", seconds, (int)(real_time % G_USEC_PER_SEC));
}

int ctl_flush(GError **error)
{
    if (fflush(stdout) || ferror(stdout)) {
        fail(error, "cannot write to standard output: %s", g_strerror(errno));
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}
