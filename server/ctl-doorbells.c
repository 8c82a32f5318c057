/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listen and ring: doorbells of peers, in both directions */
#include <poll.h>
#include <stdio.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"

/* Time limit for the announcement of a peer that is to be answered */
#define ANNOUNCE_MS 1000

/* The vector in the command's word @index, 0 if there is none. False: EXIT_USAGE */
static bool word_vector(const Ctl *ctl, int index, uint64_t *vector, GError **error)
{
    *vector = 0;
    return !ctl->words[index] ||
           ctl_number("VECTOR", ctl->words[index], MAX_ID, vector, error);
}

/* Read messages until @vector of @id is known. False if that takes too long. */
static bool learn(Client *client, unsigned id, unsigned vector, gint64 deadline,
                  GError **error)
{
    ClientMessage message;
    ClientResult result = CLIENT_MESSAGE;

    while (result == CLIENT_MESSAGE && client_doorbell(client, id, vector) < 0) {
        result = client_next(client, deadline, &message, error);
    }
    return result != CLIENT_LOST;
}

int ctl_ring(const Ctl *ctl, GError **error)
{
    g_autoptr(Client) client = NULL;
    ClientMessage message;
    ClientResult result = CLIENT_MESSAGE;
    uint64_t peer, vector;

    if (!ctl_number("PEER", ctl->words[0], MAX_ID, &peer, error) ||
        !word_vector(ctl, 1, &vector, error)) {
        return EXIT_USAGE;
    }
    client = ctl_join(ctl, error);
    if (!client) {
        return EXIT_NO_SERVER;
    }
    /* The server announces existing peers before it sends our own vectors. */
    while (result == CLIENT_MESSAGE && client_doorbell(client, peer, vector) < 0 &&
           !client_vectors(client, client_id(client))) {
        result = client_next(client, deadline_in_ms(CLIENT_NO_VECTORS_MS), &message,
                             error);
    }
    if (result == CLIENT_LOST) {
        return EXIT_NO_SERVER;
    }
    if (peer == client_id(client)) {
        fail(error, "peer %u is this ivshmemctl", client_id(client));
        return EXIT_REFUSED;
    }
    return client_ring(client, peer, vector, error) ? EXIT_DONE : EXIT_REFUSED;
}

typedef struct Listening {
    const Ctl *ctl;
    Client *client;
    int vector;             /* -1: all */
    gint64 deadline;
    uint64_t heard;
} Listening;

static int print_start(const Listening *self, GError **error)
{
    unsigned id = client_id(self->client);
    unsigned vectors = client_vectors(self->client, id);

    if (self->ctl->json) {
        g_autoptr(JsonBuilder) builder = ctl_json_new();

        ctl_json_int(builder, "time_us", g_get_real_time());
        ctl_json_string(builder, "event", "listening");
        ctl_json_int(builder, "id", id);
        ctl_json_int(builder, "vectors", vectors);
        ctl_json_print(builder);
    } else {
        printf("peer %u is listening, with %u vector%s\n", id, vectors,
               vectors == 1 ? "" : "s");
    }
    return ctl_flush(error);
}

static int print_rung(const Listening *self, unsigned vector, uint64_t count,
                      GError **error)
{
    gint64 now = g_get_real_time();

    if (self->ctl->json) {
        g_autoptr(JsonBuilder) builder = ctl_json_new();

        ctl_json_int(builder, "time_us", now);
        ctl_json_string(builder, "event", "rung");
        ctl_json_int(builder, "vector", vector);
        ctl_json_int(builder, "count", count);
        ctl_json_print(builder);
    } else {
        g_autofree char *time = ctl_time(now);

        printf("%s  vector %u was rung", time, vector);
        if (count > 1) {
            printf(" %" G_GUINT64_FORMAT " times", (guint64)count);
        }
        printf("\n");
    }
    return ctl_flush(error);
}

/* Ring back. The peer may have rung before the server announced it here. */
static int answer(const Listening *self, unsigned vector, GError **error)
{
    unsigned peer = self->ctl->answer;

    if (!learn(self->client, peer, vector, deadline_in_ms(ANNOUNCE_MS), error)) {
        return EXIT_NO_SERVER;
    }
    return client_ring(self->client, peer, vector, error) ? EXIT_DONE : EXIT_REFUSED;
}

static int hear(Listening *self, unsigned vector, GError **error)
{
    uint64_t count = client_take(self->client, vector);
    int result;

    if (!count) {
        return EXIT_DONE;
    }
    self->heard += count;
    result = print_rung(self, vector, count, error);
    if (result == EXIT_DONE && self->ctl->answer >= 0) {
        result = answer(self, vector, error);
    }
    return result;
}

/* Wait for a message, a doorbell or the deadline. */
static void wait_for_any(const Listening *self)
{
    unsigned n = client_vectors(self->client, client_id(self->client));
    g_autofree struct pollfd *fds = g_new0(struct pollfd, n + 1);
    unsigned i;

    fds[n] = (struct pollfd) { client_socket(self->client), POLLIN, 0 };
    for (i = 0; i < n; i++) {
        bool wanted = self->vector < 0 || self->vector == (int)i;
        int fd = client_doorbell(self->client, client_id(self->client), i);

        fds[i] = (struct pollfd) { wanted ? fd : -1, POLLIN, 0 };
    }
    poll(fds, n + 1, deadline_left_ms(self->deadline));
}

static bool is_enough(const Listening *self)
{
    return self->ctl->count >= 0 && self->heard >= (uint64_t)self->ctl->count;
}

static int listen_on(Listening *self, GError **error)
{
    int result = EXIT_DONE;

    while (result == EXIT_DONE && !is_enough(self) && deadline_left_ms(self->deadline)) {
        unsigned n = client_vectors(self->client, client_id(self->client));
        ClientResult next = CLIENT_MESSAGE;
        ClientMessage message;
        unsigned i;

        wait_for_any(self);
        for (i = 0; i < n && result == EXIT_DONE; i++) {
            if (self->vector < 0 || self->vector == (int)i) {
                result = hear(self, i, error);
            }
        }
        while (result == EXIT_DONE && next == CLIENT_MESSAGE) {
            next = client_next(self->client, 0, &message, error);
        }
        if (next == CLIENT_LOST) {
            result = is_enough(self) ? EXIT_DONE : EXIT_NO_SERVER;
        }
    }
    return result;
}

static int end_of_time(const Listening *self, GError **error)
{
    if (self->ctl->count >= 0) {
        fail(error, "%" G_GUINT64_FORMAT " of %" G_GINT64_FORMAT " doorbells within %g s",
             (guint64)self->heard, (gint64)self->ctl->count, self->ctl->timeout);
        return EXIT_TIME_LIMIT;
    }
    if (!self->heard) {
        fail(error, "no doorbell within %g s", self->ctl->timeout);
        return EXIT_TIME_LIMIT;
    }
    return EXIT_DONE;
}

int ctl_listen(const Ctl *ctl, GError **error)
{
    g_autoptr(Client) client = NULL;
    Listening self = { .ctl = ctl, .vector = -1 };
    unsigned vectors;
    uint64_t vector;
    int result;

    if (!word_vector(ctl, 0, &vector, error)) {
        return EXIT_USAGE;
    }
    client = self.client = ctl_join_peers(ctl, error);
    if (!client) {
        return EXIT_NO_SERVER;
    }
    self.vector = ctl->words[0] ? (int)vector : -1;
    vectors = client_vectors(client, client_id(client));
    if (vector >= vectors) {
        fail(error, "no vector %d to listen to: the server sent %u vector%s",
             (int)vector, vectors, vectors == 1 ? "" : "s");
        return EXIT_REFUSED;
    }
    self.deadline = ctl_deadline(ctl, -1);
    result = print_start(&self, error);
    if (result == EXIT_DONE) {
        result = listen_on(&self, error);
    }
    return result == EXIT_DONE && !is_enough(&self) ? end_of_time(&self, error) : result;
}
