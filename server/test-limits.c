/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients when a resource is used up. */
#include <sys/resource.h>

#include "test-client.h"

#define DEADLINE_S 20
#define NOBODY 65534

/*
 * The ledger has no room for another departure: clients that do not read are
 * disconnected.
 */
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

/* True in an unprivileged child with @fds as its limit. False here, after it exits. */
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

/* RLIMIT_NOFILE limits the fds in flight of an unprivileged server. */
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
            while (read_message(client[i], words)) {
                read++;
            }
        }
        g_main_context_iteration(NULL, read < 12 * (3 + 12 * 4));
        turns++;
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    g_assert_cmpuint(turns, <, 1000);
}

/* Clients that do not read leave enough for the others. */
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

#define ADD(name, func) \
    g_test_add("/limits/" name, Fixture, NULL, fixture_init, func, fixture_clear)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("too-many-departures", test_too_many_departures);
    ADD("fd-limit", test_fd_limit);
    ADD("fds-in-flight", test_fds_in_flight);
    ADD("fair-share-in-flight", test_fair_share_in_flight);
    return run_tests();
}
