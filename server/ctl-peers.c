/* SPDX-License-Identifier: GPL-2.0-or-later */
/* info and peers: what the server reports about its memory and clients */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"
#include "size.h"

/* A peer's vectors arrive one by one: report them together. */
#define TOGETHER_MS 20

static void add_peers(JsonBuilder *builder, const Client *client)
{
    int id;

    json_builder_set_member_name(builder, "peers");
    json_builder_begin_array(builder);
    for (id = client_next_peer(client, 0); id >= 0;
         id = client_next_peer(client, id + 1)) {
        json_builder_begin_object(builder);
        ctl_json_int(builder, "id", id);
        ctl_json_int(builder, "vectors", client_vectors(client, id));
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void print_info(const Ctl *ctl, const Client *client, uint64_t size, bool sealed)
{
    unsigned own = client_vectors(client, client_id(client));
    g_autofree char *text = size_format(size);
    int id;

    printf("server   %s\n", ctl->server);
    printf("memory   %s, %" G_GUINT64_FORMAT " bytes, %s\n", text, (guint64)size,
           sealed ? "sealed" : "not sealed: clients can resize it");
    printf("own ID   %u, with %u vector%s\n", client_id(client), own,
           own == 1 ? "" : "s");
    printf("peers   ");
    for (id = client_next_peer(client, 0); id >= 0;
         id = client_next_peer(client, id + 1)) {
        printf(" %d", id);
    }
    printf("%s\n", client_count_peers(client) ? "" : " none");
}

static void print_info_json(const Ctl *ctl, const Client *client, uint64_t size,
                            bool sealed)
{
    g_autoptr(JsonBuilder) builder = ctl_json_new();

    ctl_json_string(builder, "server", ctl->server);
    ctl_json_int(builder, "size", size);
    json_builder_set_member_name(builder, "sealed");
    json_builder_add_boolean_value(builder, sealed);
    ctl_json_int(builder, "id", client_id(client));
    ctl_json_int(builder, "vectors", client_vectors(client, client_id(client)));
    add_peers(builder, client);
    ctl_json_print(builder);
}

int ctl_info(const Ctl *ctl, GError **error)
{
    g_autoptr(Client) client = ctl_join_peers(ctl, error);
    struct stat st;
    bool sealed;
    int seals;

    if (!client) {
        return EXIT_NO_SERVER;
    }
    if (fstat(client_memory(client), &st) < 0) {
        fail(error, "the server sent no memory");
        return EXIT_REFUSED;
    }
    seals = fcntl(client_memory(client), F_GET_SEALS);
    sealed = seals >= 0 && seals & F_SEAL_SHRINK;   /* files on disk have none */
    if (ctl->json) {
        print_info_json(ctl, client, st.st_size, sealed);
    } else {
        print_info(ctl, client, st.st_size, sealed);
    }
    return ctl_flush(error);
}

static void print_peers(const Client *client)
{
    int id;

    printf("%5s %7s\n", "ID", "VECTORS");
    for (id = client_next_peer(client, 0); id >= 0;
         id = client_next_peer(client, id + 1)) {
        printf("%5d %7u\n", id, client_vectors(client, id));
    }
}

/* A line of --watch. @vectors: how many, or negative to leave it out */
static int print_event(const Ctl *ctl, const char *event, int id, int vectors,
                       gint64 real_time, GError **error)
{
    if (ctl->json) {
        g_autoptr(JsonBuilder) builder = ctl_json_new();

        ctl_json_int(builder, "time_us", real_time);
        ctl_json_string(builder, "event", event);
        ctl_json_int(builder, "id", id);
        if (vectors >= 0) {
            ctl_json_int(builder, "vectors", vectors);
        }
        ctl_json_print(builder);
    } else {
        g_autofree char *time = ctl_time(real_time);

        printf("%s  peer %d %s", time, id, event);
        if (vectors >= 0) {
            printf(", %d vector%s", vectors, vectors == 1 ? "" : "s");
        }
        printf("\n");
    }
    return ctl_flush(error);
}

/* A peer whose vectors are still arriving, not reported yet */
typedef struct Newcomer {
    int id;                 /* -1: nobody */
    bool first;             /* a new peer, not just more vectors */
    unsigned vectors;
    gint64 real_time;
} Newcomer;

static int tell_newcomer(const Ctl *ctl, const Client *client, Newcomer *newcomer,
                         GError **error)
{
    int id = newcomer->id;

    newcomer->id = -1;
    if (id < 0 || id == (int)client_id(client)) {
        return EXIT_DONE;
    }
    return print_event(ctl, newcomer->first ? "joined" : "changed", id,
                       newcomer->vectors, newcomer->real_time, error);
}

static int note_message(const Ctl *ctl, const Client *client,
                        const ClientMessage *message, Newcomer *newcomer, GError **error)
{
    gint64 now = g_get_real_time();
    int result = EXIT_DONE;

    if (message->left || (int)message->id != newcomer->id) {
        result = tell_newcomer(ctl, client, newcomer, error);
    }
    if (result != EXIT_DONE) {
        return result;
    }
    if (message->left) {
        return print_event(ctl, "left", message->id, -1, now, error);
    }
    if (newcomer->id < 0) {
        *newcomer = (Newcomer) { message->id, message->first, 0, now };
    }
    newcomer->vectors = client_vectors(client, message->id);
    return EXIT_DONE;
}

/* Report peers until @deadline, or until the server hangs up. */
static int watch_peers(const Ctl *ctl, Client *client, gint64 deadline, GError **error)
{
    Newcomer newcomer = { .id = -1 };
    int result = EXIT_DONE;

    while (result == EXIT_DONE) {
        gint64 together = newcomer.id < 0 ? DEADLINE_NEVER : deadline_in_ms(TOGETHER_MS);
        ClientMessage message;

        switch (client_next(client, MIN(deadline, together), &message, error)) {
        case CLIENT_MESSAGE:
            result = note_message(ctl, client, &message, &newcomer, error);
            break;
        case CLIENT_TIME_LIMIT:
            result = tell_newcomer(ctl, client, &newcomer, error);
            if (!deadline_left_ms(deadline)) {
                return result;
            }
            break;
        case CLIENT_LOST:
            tell_newcomer(ctl, client, &newcomer, NULL);
            return EXIT_NO_SERVER;
        }
    }
    return result;
}

static int watch(const Ctl *ctl, Client *client, GError **error)
{
    gint64 deadline = ctl_deadline(ctl, -1);
    gint64 now = g_get_real_time();
    int own = client_id(client);
    int id, result = print_event(ctl, "watching", own, -1, now, error);

    for (id = client_next_peer(client, 0); id >= 0 && result == EXIT_DONE;
         id = client_next_peer(client, id + 1)) {
        result = print_event(ctl, "present", id, client_vectors(client, id), now, error);
    }
    return result == EXIT_DONE ? watch_peers(ctl, client, deadline, error) : result;
}

int ctl_peers(const Ctl *ctl, GError **error)
{
    g_autoptr(Client) client = ctl_join_peers(ctl, error);

    if (!client) {
        return EXIT_NO_SERVER;
    }
    if (ctl->watch) {
        return watch(ctl, client, error);
    }
    if (ctl->json) {
        g_autoptr(JsonBuilder) builder = ctl_json_new();

        add_peers(builder, client);
        ctl_json_print(builder);
    } else {
        print_peers(client);
    }
    return ctl_flush(error);
}
