/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients are told, over socket pairs. What a client reads is written down as
 * words: a number, and '+' if an fd came with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"

#define DEADLINE_S 20
#define NOBODY 65534

/* What was logged, except by g_info() */
static GString *logged;

static void note_log(const char *domain, GLogLevelFlags level, const char *message,
                     gpointer data)
{
    (void)domain;
    (void)data;
    if (!(level & G_LOG_LEVEL_INFO)) {
        g_string_append(logged, message);
    }
}

static void assert_logged(const char *text)
{
    g_assert_nonnull(strstr(logged->str, text));
    g_string_truncate(logged, 0);
}

typedef struct Fixture {
    Watches *watches;
    Channel *channel;
} Fixture;

static void fixture_init(Fixture *fixture, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_SEALED, NULL, 4096, NULL);

    (void)data;
    fixture->watches = watches_new(NULL);
    fixture->channel = channel_new("test", memory, 0, fixture->watches, NULL, NULL);
    g_assert_nonnull(fixture->channel);
}

static void fixture_clear(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpstr(logged->str, ==, "");
    if (fixture->channel) {
        channel_free(fixture->channel);
    }
    watches_free(fixture->watches);
}

/* The client's end. @id: of the socket, or -1; @full: with hardly any buffer. */
static int join(Fixture *fixture, int id, unsigned vectors, bool full)
{
    Door door = { (char *)"/test", id, vectors };
    int ends[2], least = 0;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                               ends), ==, 0);
    if (full) {
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
    }
    channel_join(fixture->channel, ends[0], &door);
    return ends[1];
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
}

/* One message into @words. False if there is none now. */
static bool read_message(int client, GString *words, int *keep)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } control;
    int64_t value;
    struct iovec iov = { &value, sizeof(value) };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    bool has_fd;

    if (got < 0 && errno == EAGAIN) {
        return false;
    }
    if (got <= 0) {
        g_string_append(words, "end ");
        return false;
    }
    g_assert_cmpint(got, ==, sizeof(value));
    has_fd = message.msg_controllen > 0;
    if (has_fd) {
        int fd;

        g_assert_cmpint(control.header.cmsg_len, ==, CMSG_LEN(sizeof(int)));
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        if (keep) {
            *keep = fd;
        } else {
            close(fd);
        }
    }
    g_string_append_printf(words, "%" G_GINT64_FORMAT "%s ",
                           (gint64)GINT64_FROM_LE(value), has_fd ? "+" : "");
    return true;
}

/* All there is for @client, once the server has nothing more */
static char *read_all(int client)
{
    GString *words = g_string_new(NULL);
    bool more = true;

    while (more) {
        more = false;
        turn();
        while (read_message(client, words, NULL)) {
            more = true;
        }
    }
    return g_string_free(words, FALSE);
}

static void assert_reads(int client, const char *expected)
{
    g_autofree char *words = read_all(client);

    g_assert_cmpstr(words, ==, expected);
}

static void test_order(Fixture *fixture, gconstpointer data)
{
    int a = join(fixture, -1, 2, false), b, c;

    (void)data;
    assert_reads(a, "0 0 -1+ 0+ 0+ ");
    b = join(fixture, -1, 1, false);
    assert_reads(b, "0 1 -1+ 0+ 0+ 1+ ");
    assert_reads(a, "1+ ");
    c = join(fixture, 9, 0, false);
    assert_reads(c, "0 9 -1+ 0+ 0+ 1+ ");
    assert_reads(a, "");
    close(b);
    assert_reads(a, "1 ");
    assert_reads(c, "1 ");
    close(c);
    assert_reads(a, "");
    close(a);
    turn();
    g_assert_cmpuint(fixture->channel->peers->len, ==, 0);
}

/* A client that reads only now is told the same, less what has cancelled out. */
static void test_late_reader(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, -1, 1, true), other[40];
    g_autoptr(GString) expected = g_string_new("0 0 -1+ 0+ ");
    int i;

    (void)data;
    for (i = 0; i < 40; i++) {
        other[i] = join(fixture, -1, 3, false);
        g_string_append_printf(expected, "%d+ %d+ %d+ ", i + 1, i + 1, i + 1);
    }
    assert_reads(late, expected->str);
    for (i = 0; i < 40; i++) {
        close(other[i]);
        turn();
    }
    g_string_truncate(expected, 0);
    for (i = 0; i < 40; i++) {
        g_string_append_printf(expected, "%d ", i + 1);
    }
    assert_reads(late, expected->str);
    g_assert_true(g_queue_get_length(&fixture->channel->events.list) == 1);
    close(late);
}

static void test_unread_cancels_out(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, -1, 1, true), known = join(fixture, 500, 1, false), i;
    const Peer *peer = g_ptr_array_index(fixture->channel->peers, 0);
    g_autofree char *words = NULL;
    char *after;

    (void)data;
    for (i = 0; i < 300; i++) {
        int other = join(fixture, -1, 4, false);

        turn();
        close(other);
        turn();
        g_assert_cmpuint(peer_queued(peer), <=, 20);
    }
    close(known);
    turn();
    known = join(fixture, 500, 2, false);
    words = read_all(late);
    after = strstr(words, "500 500+ 500+ ");
    g_assert_nonnull(after);
    g_assert_cmpstr(after, ==, "500 500+ 500+ ");
    g_assert_nonnull(g_strstr_len(words, after - words, "500+ "));
    g_assert_cmpuint(strlen(words), <, 200);
    close(late);
    close(known);
}

/* A peer that leaves when half of its vectors were told departs all the same. */
static void test_called_off_half_way(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, -1, 1, true), other = join(fixture, -1, 60, false);
    const Peer *peer = g_ptr_array_index(fixture->channel->peers, 0);
    g_autofree char *words = NULL;

    (void)data;
    turn();
    g_assert_cmpint(peer->entry->progress.step, >, 0);
    close(other);
    turn();
    words = read_all(late);
    g_assert_true(g_str_has_suffix(words, " 1+ 1 "));
    close(late);
}

static void test_rest_of_a_message(Fixture *fixture, gconstpointer data)
{
    int client = join(fixture, -1, 1, false), other;
    Peer *peer = g_ptr_array_index(fixture->channel->peers, 0);
    const int64_t value = GINT64_TO_LE(0x1122334455667788);
    char bytes[3];

    (void)data;
    assert_reads(client, "0 0 -1+ 0+ ");
    peer->entry->progress.rest = 3;
    peer->entry->progress.value = 0x1122334455667788;
    other = join(fixture, -1, 1, false);
    g_assert_cmpint(recv(client, bytes, 3, 0), ==, 3);
    g_assert_cmpmem(bytes, 3, (const char *)&value + 5, 3);
    assert_reads(client, "1+ ");
    close(client);
    close(other);
}

/* A newcomer in the place of somebody who was to hear of a departure must not. */
static void test_place_is_taken_again(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, 900, 1, true), later = join(fixture, 901, 1, true);
    int gone = join(fixture, -1, 1, false), many, newcomer, i;
    g_autoptr(GString) expected = g_string_new("0 2 -1+ 900+ ");

    (void)data;
    assert_reads(late, "0 900 -1+ 900+ 901+ 0+ ");
    assert_reads(later, "0 901 -1+ 900+ 901+ 0+ ");
    many = join(fixture, -1, 60, false);
    close(gone);
    turn();
    close(later);
    turn();
    newcomer = join(fixture, -1, 1, false);
    for (i = 0; i < 60; i++) {
        g_string_append(expected, "1+ ");
    }
    g_string_append(expected, "2+ ");
    assert_reads(newcomer, expected->str);
    g_assert_cmpuint(ledger_slots(fixture->channel->ledger), ==, 4);
    close(late);
    close(many);
    close(newcomer);
}

static unsigned open_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void test_client_that_sends(Fixture *fixture, gconstpointer data)
{
    int quiet = join(fixture, -1, 1, false), loud;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec iov = { (char *)"x", 1 };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof(control),
    };
    unsigned before = open_fds();

    (void)data;
    loud = join(fixture, -1, 1, false);
    assert_reads(quiet, "0 0 -1+ 0+ 1+ ");
    memcpy(CMSG_DATA(&control.header), &quiet, sizeof(quiet));
    g_assert_cmpint(sendmsg(loud, &message, 0), ==, 1);
    assert_reads(quiet, "1 ");
    g_assert_cmpuint(fixture->channel->peers->len, ==, 1);
    close(loud);
    g_assert_cmpuint(open_fds(), ==, before);
    close(quiet);
}

static void test_own_socket(Fixture *fixture, gconstpointer data)
{
    int first = join(fixture, 5, 1, false), second, third;

    (void)data;
    second = join(fixture, 5, 1, false);
    assert_logged("peer 5 is connected already");
    assert_reads(second, "end ");
    assert_reads(first, "0 5 -1+ 5+ ");
    close(first);
    third = join(fixture, 5, 1, false);     /* the server has not seen the end yet */
    assert_reads(third, "0 5 -1+ 5+ ");
    close(second);
    close(third);
}

static void test_end_is_silent(Fixture *fixture, gconstpointer data)
{
    int a = join(fixture, -1, 1, false), b = join(fixture, -1, 1, false);

    (void)data;
    assert_reads(a, "0 0 -1+ 0+ 1+ ");
    assert_reads(b, "0 1 -1+ 0+ 1+ ");
    channel_free(g_steal_pointer(&fixture->channel));
    assert_reads(a, "end ");
    assert_reads(b, "end ");
    close(a);
    close(b);
}

/* The ledger has no room for one more departure: those who do not read must go. */
static void test_too_many_departures(Fixture *fixture, gconstpointer data)
{
    int late = join(fixture, 900, 1, true), other[4], many, i;

    (void)data;
    fixture->channel->ledger->max_departures = 2;
    for (i = 0; i < 4; i++) {
        other[i] = join(fixture, -1, 1, false);
    }
    assert_reads(late, "0 900 -1+ 900+ 0+ 1+ 2+ 3+ ");
    many = join(fixture, -1, 60, false);
    for (i = 0; i < 3; i++) {
        close(other[i]);
        turn();
    }
    assert_logged("departures are unread");
    g_assert_cmpuint(fixture->channel->peers->len, ==, 2);
    g_assert_cmpuint(ledger_departures(fixture->channel->ledger), <=, 2);
    close(late);
    close(many);
    close(other[3]);
}

static void test_fd_limit(Fixture *fixture, gconstpointer data)
{
    struct rlimit saved, limit;
    int client[64], n = 0, late;

    (void)data;
    getrlimit(RLIMIT_NOFILE, &saved);
    limit = saved;
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
    do {
        client[n++] = join(fixture, -1, 2, false);
    } while (fixture->channel->peers->len == (guint)n);
    assert_logged("file descriptors");
    assert_reads(client[n - 1], "end ");
    close(client[--n]);
    close(client[--n]);
    turn();
    late = join(fixture, -1, 2, false);
    g_assert_cmpuint(fixture->channel->peers->len, ==, n + 1);
    setrlimit(RLIMIT_NOFILE, &saved);
    close(late);
    while (n > 0) {
        close(client[--n]);
    }
}

/* True in a child that is nobody and has @limit fds; false here, once that is done. */
static bool without_privileges(rlim_t fds)
{
    const struct rlimit limit = { fds, fds };

    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
        return false;
    }
    if (getuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0) {
        g_assert_not_reached();
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    return true;
}

/* What an unprivileged server may have in flight is limited by RLIMIT_NOFILE. */
static void test_fds_in_flight(Fixture *fixture, gconstpointer data)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    unsigned later = 0, read = 0, turns = 0;
    int client[12], i;

    (void)data;
    if (!without_privileges(120)) {
        return;
    }
    for (i = 0; i < 12; i++) {
        client[i] = join(fixture, -1, 4, false);
    }
    for (i = 0; i < 12; i++) {
        const Peer *peer = g_ptr_array_index(fixture->channel->peers, i);

        later += peer->later;
    }
    g_assert_cmpuint(later, >, 0);
    while (read < 12 * (3 + 12 * 4)) {
        g_autoptr(GString) words = g_string_new(NULL);

        for (i = 0; i < 12; i++) {
            while (read_message(client[i], words, NULL)) {
                read++;
            }
        }
        g_main_context_iteration(NULL, read < 12 * (3 + 12 * 4));
        turns++;
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    g_assert_cmpuint(turns, <, 1000);
}

/* Clients that do not read leave the others enough of that. */
static void test_fair_share_in_flight(Fixture *fixture, gconstpointer data)
{
    int stalled[3], client[12], i, j;

    (void)data;
    if (!without_privileges(160)) {
        return;
    }
    for (i = 0; i < 3; i++) {
        stalled[i] = join(fixture, -1, 4, false);
    }
    for (i = 0; i < 12; i++) {
        client[i] = join(fixture, -1, 4, false);
        for (j = 0; j <= i; j++) {
            g_autofree char *words = read_all(client[j]);

            g_assert_cmpstr(words, !=, "");
        }
    }
    for (i = 0; i < 15; i++) {
        const Peer *peer = g_ptr_array_index(fixture->channel->peers, i);

        g_assert_false(peer->later);
        g_assert_cmpint(peer_queued(peer) > 0, ==, i < 3);
    }
    for (i = 0; i < 12; i++) {
        close(client[i]);
    }
    for (i = 0; i < 3; i++) {
        close(stalled[i]);
    }
}

/* Killed after the system call, before it was noted: the ledger knows. */
static void test_killed_while_sending(void)
{
    Ledger *ledger = ledger_new("test", 0, NULL), *next;
    Outbox *outbox = ledger_outbox(ledger);
    unsigned i;

    ledger_join(ledger, 0, ledger_new_event(ledger));
    for (i = 0; i < 3; i++) {
        outbox->length[i] = 5;
        outbox->after[i] = (Progress) { .told = 10 + i, .value = i };
    }
    ledger_sending(ledger, 0, 3);
    outbox->message[0].msg_len = 5;
    outbox->message[1].msg_len = 2;
    next = ledger_restore(dup(ledger->fd), NULL);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.told, ==, 11);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.rest, ==, 3);
    g_assert_cmpuint(ledger_entry(next, 0)->progress.value, ==, 1);
    g_assert_cmpuint(ledger_outbox(next)->count, ==, 0);
    ledger_free(next);
    ledger_free(ledger);
}

#define ADD(name, func) \
    g_test_add("/peer/" name, Fixture, NULL, fixture_init, func, fixture_clear)

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
    g_log_set_default_handler(note_log, NULL);
    logged = g_string_new(NULL);
    ADD("order", test_order);
    ADD("late-reader", test_late_reader);
    ADD("unread-cancels-out", test_unread_cancels_out);
    ADD("called-off-half-way", test_called_off_half_way);
    ADD("place-is-taken-again", test_place_is_taken_again);
    ADD("rest-of-a-message", test_rest_of_a_message);
    ADD("client-that-sends", test_client_that_sends);
    ADD("own-socket", test_own_socket);
    ADD("end-is-silent", test_end_is_silent);
    ADD("too-many-departures", test_too_many_departures);
    ADD("fd-limit", test_fd_limit);
    ADD("fds-in-flight", test_fds_in_flight);
    ADD("fair-share-in-flight", test_fair_share_in_flight);
    g_test_add_func("/peer/killed-while-sending", test_killed_while_sending);
    result = g_test_run();
    g_string_free(logged, TRUE);
    return result;
}
