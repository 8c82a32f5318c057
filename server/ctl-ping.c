/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ping: ring a peer and wait until it rings back on the same vector. A doorbell does
 * not identify its sender: any doorbell that arrives while waiting counts as the
 * answer.
 */
#include <poll.h>
#include <stdio.h>

#include "ctl.h"
#include "deadline.h"
#include "error.h"
#include "mapping.h"
#include "range.h"

#define DEFAULT_COUNT 1000
#define ANSWER_SECONDS 1.0

/* Give up after this many doorbells in a row without an answer. */
#define MOST_MISSES 3

typedef struct Ping {
    const Ctl *ctl;
    Client *client;
    unsigned peer;
    unsigned vector;
    Range reply;            /* a word, with --reply-at */
    uint64_t count;
    uint64_t rung;
    GArray *round_trips;    /* in us, double */
    double seconds;
} Ping;

/* Store what the peer must write to its DOORBELL in the word at --reply-at. */
static bool leave_reply(const Ping *self, GError **error)
{
    uint32_t doorbell = client_id(self->client) << 16 | self->vector;
    Mapping mapping;
    bool fits;

    if (!mapping_init(&mapping, client_memory(self->client), EXIT_REFUSED, error)) {
        return false;
    }
    fits = range_check(&self->reply, mapping.size, error);
    if (fits) {
        mapping_store(&mapping, self->reply.offset, doorbell, self->ctl->big_endian);
    }
    mapping_clear(&mapping);
    return fits;
}

/*
 * One round trip. False if it could not ring. Without an answer, it adds no time to
 * round_trips.
 */
static bool ping_once(Ping *self, GError **error)
{
    int own = client_doorbell(self->client, client_id(self->client), self->vector);
    gint64 begin;

    client_take(self->client, self->vector);
    begin = g_get_monotonic_time();
    if (!client_ring(self->client, self->peer, self->vector, error)) {
        return false;
    }
    self->rung++;
    if (deadline_poll(own, POLLIN, ctl_deadline(self->ctl, ANSWER_SECONDS))) {
        double us = g_get_monotonic_time() - begin;

        g_array_append_val(self->round_trips, us);
    }
    return true;
}

static int print_step(const Ping *self, bool answered, GError **error)
{
    if (self->ctl->interval < 0 || self->ctl->json) {
        return EXIT_DONE;
    }
    if (answered) {
        printf("%" G_GUINT64_FORMAT ": %.0f us\n", (guint64)self->rung,
               g_array_index(self->round_trips, double, self->round_trips->len - 1));
    } else {
        printf("%" G_GUINT64_FORMAT ": no answer\n", (guint64)self->rung);
    }
    return ctl_flush(error);
}

static int ping_all(Ping *self, GError **error)
{
    gint64 begin = g_get_monotonic_time();
    unsigned misses = 0;
    int result = EXIT_DONE;

    while (self->rung < self->count && misses < MOST_MISSES && result == EXIT_DONE) {
        guint before = self->round_trips->len;
        ClientMessage message;
        ClientResult next = client_next(self->client, 0, &message, error);

        if (next == CLIENT_MESSAGE) {
            continue;
        }
        if (next == CLIENT_LOST) {
            return EXIT_NO_SERVER;
        }
        if (self->rung && self->ctl->interval > 0) {
            g_usleep(self->ctl->interval * G_USEC_PER_SEC);
        }
        if (!ping_once(self, error)) {
            return EXIT_REFUSED;
        }
        misses = self->round_trips->len > before ? 0 : misses + 1;
        result = print_step(self, !misses, error);
    }
    self->seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
    return result;
}

static int compare(gconstpointer a, gconstpointer b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

/* Of the sorted round trips: the one that @percent of them do not exceed */
static double percentile(const Ping *self, unsigned percent)
{
    guint n = self->round_trips->len;

    return g_array_index(self->round_trips, double, (guint64)(n - 1) * percent / 100);
}

static void print_summary_json(const Ping *self)
{
    g_autoptr(JsonBuilder) builder = ctl_json_new();

    ctl_json_int(builder, "id", client_id(self->client));
    ctl_json_int(builder, "peer", self->peer);
    ctl_json_int(builder, "vector", self->vector);
    ctl_json_int(builder, "rung", self->rung);
    ctl_json_int(builder, "answered", self->round_trips->len);
    if (self->round_trips->len) {
        ctl_json_double(builder, "min_us", percentile(self, 0));
        ctl_json_double(builder, "median_us", percentile(self, 50));
        ctl_json_double(builder, "p99_us", percentile(self, 99));
        ctl_json_double(builder, "max_us", percentile(self, 100));
        ctl_json_double(builder, "per_second", self->round_trips->len / self->seconds);
    }
    ctl_json_print(builder);
}

static void print_summary(const Ping *self)
{
    printf("%" G_GUINT64_FORMAT " rung, %u answered", (guint64)self->rung,
           self->round_trips->len);
    if (self->round_trips->len) {
        printf("; round trip min %.0f, median %.0f, p99 %.0f, max %.0f us; "
               "%.0f per second", percentile(self, 0), percentile(self, 50),
               percentile(self, 99), percentile(self, 100),
               self->round_trips->len / self->seconds);
    }
    printf("\n");
}

static int conclude(const Ping *self, GError **error)
{
    unsigned id = client_id(self->client);
    int result;

    g_array_sort(self->round_trips, compare);
    if (self->ctl->json) {
        print_summary_json(self);
    } else {
        print_summary(self);
    }
    result = ctl_flush(error);
    if (result == EXIT_DONE && self->round_trips->len < self->rung) {
        fail(error, "peer %u did not answer %" G_GUINT64_FORMAT " doorbells: it "
             "has to ring vector %u of peer %u each time, as 'ivshmemctl listen --answer "
             "%u' does", self->peer, (guint64)self->rung - self->round_trips->len,
             self->vector, id, id);
        return EXIT_TIME_LIMIT;
    }
    return result;
}

static bool has_vectors(const Ping *self, GError **error)
{
    unsigned own = client_vectors(self->client, client_id(self->client));

    if (self->peer == client_id(self->client)) {
        return fail(error, "peer %u is this ivshmemctl", self->peer);
    }
    if (self->vector >= own) {
        return fail(error, "no vector %u for the answer: the server sent %u vector%s",
                    self->vector, own, own == 1 ? "" : "s");
    }
    return true;
}

static int ping(Ping *self, GError **error)
{
    int result = EXIT_DONE;

    if (!has_vectors(self, error) ||
        (self->ctl->reply_at && !leave_reply(self, error))) {
        return EXIT_REFUSED;
    }
    if (!self->ctl->json) {
        printf("peer %u rings vector %u of peer %u, which has to ring back\n",
               client_id(self->client), self->vector, self->peer);
        result = ctl_flush(error);
    }
    if (result == EXIT_DONE) {
        result = ping_all(self, error);
    }
    return result == EXIT_DONE ? conclude(self, error) : result;
}

static bool parse(Ping *self, GError **error)
{
    const Ctl *ctl = self->ctl;
    uint64_t peer, vector = 0;

    if (!ctl_number("PEER", ctl->words[0], MAX_ID, &peer, error) ||
        (ctl->words[1] &&
         !ctl_number("VECTOR", ctl->words[1], MAX_ID, &vector, error))) {
        return false;
    }
    self->peer = peer;
    self->vector = vector;
    return !ctl->reply_at ||
           (range_parse_offset(ctl->reply_at, &self->reply.offset, error) &&
            range_check_words(&self->reply, error));
}

int ctl_ping(const Ctl *ctl, GError **error)
{
    g_autoptr(Client) client = NULL;
    g_autoptr(GArray) round_trips = g_array_new(FALSE, FALSE, sizeof(double));
    Ping self = {
        .ctl = ctl,
        .reply = { .size = sizeof(uint32_t) },
        .count = ctl->count < 0 ? DEFAULT_COUNT : ctl->count,
        .round_trips = round_trips,
    };

    if (!parse(&self, error)) {
        return EXIT_USAGE;
    }
    client = self.client = ctl_join_peers(ctl, error);
    return client ? ping(&self, error) : EXIT_NO_SERVER;
}
