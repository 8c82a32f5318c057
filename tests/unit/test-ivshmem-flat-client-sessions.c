/*
 * Unit tests of an ivshmem server's client: departures and sessions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "ivshmem-flat-client-rig.h"

/*
 * Departures
 */

/* What a server does when it shuts down */
static void test_departure_then_hang_up(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    fake_server_send(server, 5, -1);
    WAIT_IN_MAIN_LOOP(count_peers(told) == 0);
    assert_rings(told, offer->peer, 0);
    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    g_assert_cmpstr(told->errors->str, ==,
                    "server has gone: known peers can still be rung, "
                    "but none can join or leave\n");
    g_assert_cmpuint(count_peers(told), ==, 1);
    assert_rings(told, offer->peer, 2);
}

/* The client reads the hang-up together with the departure */
static void test_departure_with_hang_up(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    fake_server_send(server, 5, -1);
    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    g_assert_cmpuint(count_peers(told), ==, 1);
    assert_rings(told, offer->peer, 0);
}

static void test_departure(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) other = fake_peer_new(9, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    fake_server_announce(server, other);
    fake_server_send(server, 5, -1);
    WAIT_IN_MAIN_LOOP(find_vector(told, 5, 0) == -1);
    fake_server_send(server, 9, -1);
    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    g_assert_cmpint(find_vector(told, 5, 0), ==, -1);
    g_assert_cmpuint(count_peers(told), ==, 1);
    assert_rings(told, other, 0);
}

/* The ring reaches the new peer, although its messages were unread */
static void test_id_comes_back(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) next = fake_peer_new(5, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    fake_server_send(server, 5, -1);
    fake_server_announce(server, next);
    ivshmem_flat_client_catch_up(&told->client);
    assert_rings(told, next, 0);
    g_assert_cmpint(find_vector(told, 5, 1), ==, -1);
    g_assert_cmpuint(count_peers(told), ==, 1);
    /* The old peer's departure is no longer pending */
    WAIT_IN_MAIN_LOOP(!timer_pending(&told->client.peers.departure_timer));
    assert_rings(told, next, 0);
}

/* All messages sent before the ring are read, however many */
static void test_unread_messages(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) last = fake_peer_new(9, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);
    g_autofree uint8_t *wire = g_malloc0(10000 * sizeof(int64_t));

    for (unsigned i = 0; i < 10000; i++) {
        stq_le_p(wire + i * sizeof(int64_t), -2);
    }
    fake_server_send_bytes(server, wire, 10000 * sizeof(int64_t), NULL, 0);
    fake_server_announce(server, last);
    ivshmem_flat_client_catch_up(&told->client);
    g_assert_cmpuint(told->error_count, ==, 10000);
    assert_rings(told, last, 0);
}

/* As many as the socket holds, each with an eventfd */
static void test_unread_vectors(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) peer = fake_peer_new(9, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);
    unsigned sent = fake_server_fill(server, 9, peer->vectors[0]);

    g_assert_cmpuint(sent, >, 100);
    ivshmem_flat_client_catch_up(&told->client);
    g_assert_cmpint(find_vector(told, 9, sent - 1), >=, 0);
    g_assert_cmpint(find_vector(told, 9, sent), ==, -1);
}

/*
 * Sessions
 */

static void test_second_session(void)
{
    g_autoptr(Offer) first = offer_new(3, 5);
    g_autoptr(Offer) second = offer_new(7, 9);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, first);

    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    g_assert_cmpuint(told->client.id, ==, 3);
    g_assert_cmpuint(count_peers(told), ==, 1);
    assert_rings(told, first->peer, 0);

    fake_server_expect(server, talk_offer, second);
    WAIT_IN_MAIN_LOOP(is_connected(told) && told->client.own_vectors == 2);
    fake_server_join(server);
    assert_taken(told, second);
    g_assert_cmpuint(told->client.sessions, ==, 2);
    g_assert_cmpint(find_vector(told, 5, 0), ==, -1);
}

/* The first session ends and the second begins before the client reads */
static void test_second_session_unread(void)
{
    g_autoptr(Offer) first = offer_new(3, 5);
    g_autoptr(Offer) second = offer_new(7, 9);
    g_autoptr(FakePeer) late = fake_peer_new(11, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, first);

    fake_server_announce(server, late);
    fake_server_hang_up(server);
    ivshmem_flat_client_catch_up(&told->client);
    assert_rings(told, late, 0);
    fake_server_expect(server, talk_offer, second);
    WAIT_IN_MAIN_LOOP(told->client.sessions == 2 &&
                      told->client.own_vectors == 2);
    fake_server_join(server);
    assert_taken(told, second);
    g_assert_cmpuint(told->error_count, ==, 1);
}

/* Half a message belongs to the session that ends */
static void test_torn_message(void)
{
    g_autoptr(Offer) first = offer_new(3, 5);
    g_autoptr(Offer) second = offer_new(7, 9);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, first);
    unsigned before = count_fds();

    fake_server_send_bytes(server, "\5\0\0\0", 4, &fds[EVENT_FD], 1);
    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    fake_server_expect(server, talk_offer, second);
    WAIT_IN_MAIN_LOOP(is_connected(told) && told->client.own_vectors == 2);
    fake_server_join(server);
    assert_taken(told, second);
    /* Even the fd that came with half a message is closed */
    WAIT_IN_MAIN_LOOP(count_fds() == before);
    g_assert_cmpuint(told->error_count, ==, 1);
}

static void talk_other_version(FakeServer *server, void *opaque)
{
    fake_server_send(server, 7, -1);
}

/* A handshake that has failed is no longer waited for */
static void test_second_session_fails(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    fake_server_expect(server, talk_other_version, NULL);
    WAIT_IN_MAIN_LOOP(told->error_count == 2);
    fake_server_join(server);
    g_assert_true(has_error(told, "server sent protocol version 7"));
    g_assert_false(timer_pending(&told->client.handshake_timer));
}

int main(int argc, char **argv)
{
    init_tests(&argc, &argv);
    g_test_add_func("/ivshmem-flat/client/departure", test_departure);
    g_test_add_func("/ivshmem-flat/client/departure/then-hang-up",
                    test_departure_then_hang_up);
    g_test_add_func("/ivshmem-flat/client/departure/with-hang-up",
                    test_departure_with_hang_up);
    g_test_add_func("/ivshmem-flat/client/id-comes-back", test_id_comes_back);
    g_test_add_func("/ivshmem-flat/client/unread/messages",
                    test_unread_messages);
    g_test_add_func("/ivshmem-flat/client/unread/vectors",
                    test_unread_vectors);
    g_test_add_func("/ivshmem-flat/client/session/second",
                    test_second_session);
    g_test_add_func("/ivshmem-flat/client/session/second-unread",
                    test_second_session_unread);
    g_test_add_func("/ivshmem-flat/client/session/second-fails",
                    test_second_session_fails);
    g_test_add_func("/ivshmem-flat/client/session/torn-message",
                    test_torn_message);
    return run_tests();
}
