/*
 * Unit tests of an ivshmem server's client: the server's messages
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qemu/bswap.h"
#include "qapi/error.h"
#include "ivshmem-flat-client-rig.h"

/*
 * Good servers
 */

static void test_handshake(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    assert_taken(told, offer);
    g_assert_cmpuint(told->sessions, ==, 1);
    g_assert_cmpuint(told->client.messages, ==, 3 + 3 + 2);
    g_assert_cmpstr(told->errors->str, ==, "");
}

static void test_extreme_ids(void)
{
    g_autoptr(Offer) offer = offer_new(UINT16_MAX, 0);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    assert_taken(told, offer);
}

static void test_pieces(const void *size)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = NULL;

    fake_server_set_piece(server, GPOINTER_TO_SIZE(size));
    told = told_start(server, offer);
    assert_taken(told, offer);
}

/* The chardev gets a connected fd, as from a management program */
static void test_chardev_fd(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *options =
        g_strdup_printf("fd=%d", fake_server_connect(server));
    g_autoptr(Told) told = told_new(options);

    talk_offer(server, offer);
    ivshmem_flat_client_start(&told->client, &told_ops, 2, &error_abort);
    assert_taken(told, offer);
}

/* After a stop, with the vectors and peers of another server */
static void test_start_again(void)
{
    g_autoptr(Offer) first = offer_new(3, 5);
    g_autoptr(Offer) second = offer_new(7, 9);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, first);
    Error *err = NULL;

    ivshmem_flat_client_stop(&told->client);
    g_assert_false(is_connected(told));
    g_assert_cmpuint(count_peers(told), ==, 0);
    WAIT_IN_MAIN_LOOP(fake_server_client_left(server));
    fake_server_hang_up(server);
    g_assert_false(ivshmem_flat_client_start(&told->client, &told_ops, 2,
                                             &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "chardev 'iv' is not connected: "
                    "start the ivshmem server first");
    error_free(err);

    told->sessions = 0;
    fake_server_expect(server, talk_offer, second);
    WAIT_IN_MAIN_LOOP(
        qemu_chr_fe_backend_open(&told->client.server.chardev));
    fake_server_join(server);
    ivshmem_flat_client_start(&told->client, &told_ops, 2, &error_abort);
    assert_taken(told, second);
    g_assert_cmpuint(told->client.sessions, ==, 1);
}

/*
 * Bad handshakes
 */

typedef struct BadHandshake {
    const char *name;
    Message messages[5];
    unsigned count;
    const char *reason;
    unsigned torn;      /* bytes of one more message */
    bool closes;        /* at the end */
} BadHandshake;

static const BadHandshake bad_handshakes[] = {
    {
        "closes-at-once", { }, 0,
        "server closed the connection during the handshake", 0, true,
    }, {
        "wrong-version", { { 1 } }, 1,
        "server sent protocol version 1, expected version 0",
    }, {
        "version-with-fd", { { 0, EVENT_FD } }, 1,
        "server sent protocol version 0 with a file descriptor, "
        "expected version 0",
    }, {
        "id-too-big", { { 0 }, { 65536 } }, 2,
        "server sent own ID 65536, must be 0 to 65535",
    }, {
        "id-negative", { { 0 }, { -1 } }, 2,
        "server sent own ID -1, must be 0 to 65535",
    }, {
        "id-with-fd", { { 0 }, { 3, EVENT_FD } }, 2,
        "server sent own ID 3 with a file descriptor, "
        "must be 0 to 65535",
    }, {
        "shm-without-fd", { { 0 }, { 3 }, { -1 } }, 3,
        "server sent shared memory without a file descriptor",
    }, {
        "shm-refused", { { 0 }, { 3 }, { -1, BIG_SHM_FD } }, 3, "refused",
    }, {
        "shm-twice", { { 0 }, { 3 }, { -1, SHM_FD }, { -1, SHM_FD } }, 4,
        "server sent shared memory a second time",
    }, {
        "peer-too-big", { { 0 }, { 3 }, { 65536, EVENT_FD } }, 3,
        "server sent 65536, which is not a peer ID",
    }, {
        "peer-negative", { { 0 }, { 3 }, { -2, EVENT_FD } }, 3,
        "server sent -2, which is not a peer ID",
    }, {
        "number-without-sense", { { 0 }, { 3 }, { INT64_MIN } }, 3,
        "server sent -9223372036854775808, which is not a peer ID",
    }, {
        "own-id-left", { { 0 }, { 3 }, { -1, SHM_FD }, { 3 } }, 4,
        "server said that this device, ID 3, left",
    }, {
        "unknown-peer-left", { { 0 }, { 3 }, { -1, SHM_FD }, { 4 } }, 4,
        "server said that peer 4 left, but it was not connected",
    }, {
        "peer-left-twice",
        { { 0 }, { 3 }, { 4, EVENT_FD }, { 4 }, { 4 } }, 5,
        "server said that peer 4 left, but it was not connected",
    }, {
        "vector-is-memory", { { 0 }, { 3 }, { -1, SHM_FD }, { 5, SHM_FD } }, 4,
        "server sent a vector of ID 5 that is not an eventfd",
    }, {
        "own-vector-is-a-pipe",
        { { 0 }, { 3 }, { -1, SHM_FD }, { 3, PIPE_FD } }, 4,
        "server sent a vector of ID 3 that is not an eventfd",
    }, {
        "closes-halfway", { { 0 }, { 3 }, { -1, SHM_FD } }, 3,
        "server closed the connection during the handshake", 0, true,
    }, {
        "closes-within-a-message", { { 0 } }, 1,
        "server closed the connection during the handshake", 7, true,
    },
};

static void talk_badly(FakeServer *server, void *opaque)
{
    const BadHandshake *bad = opaque;

    send_messages(server, bad->messages, bad->count);
    if (bad->torn) {
        fake_server_send_bytes(server, "\3\0\0\0\0\0\0", bad->torn, NULL, 0);
    }
    if (bad->closes) {
        fake_server_hang_up(server);
    }
}

static void test_bad_handshake(const void *opaque)
{
    const BadHandshake *bad = opaque;
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_new_of(server, talk_badly, (void *)bad);
    g_autofree char *reason = g_strdup_printf("chardev 'iv': %s", bad->reason);
    Error *err = NULL;

    fake_server_join(server);
    g_assert_false(ivshmem_flat_client_start(&told->client, &told_ops, 2,
                                             &err));
    g_assert_cmpstr(error_get_pretty(err), ==, reason);
    error_free(err);
    g_assert_false(is_connected(told));
    g_assert_cmpuint(count_peers(told), ==, 0);
}

/* Only some of them: each may take a second */
static void test_bad_second_session(void)
{
    g_autoptr(Offer) first = offer_new(3, 5);
    g_autoptr(Offer) last = offer_new(7, 9);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, first);

    for (unsigned i = 0; i < ARRAY_SIZE(bad_handshakes); i += 4) {
        const BadHandshake *bad = &bad_handshakes[i];

        fake_server_hang_up(server);
        WAIT_IN_MAIN_LOOP(!is_connected(told));
        g_string_truncate(told->errors, 0);
        fake_server_expect(server, talk_badly, (void *)bad);
        WAIT_IN_MAIN_LOOP(has_error(told, bad->reason));
        fake_server_join(server);
        /* Without its own ID the client has no session */
        WAIT_IN_MAIN_LOOP(is_connected(told) || bad->closes ||
                          fake_server_client_left(server));
    }
    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    fake_server_expect(server, talk_offer, last);
    WAIT_IN_MAIN_LOOP(is_connected(told) && told->client.own_vectors == 2);
    fake_server_join(server);
    assert_taken(told, last);
}

/*
 * Bad messages later, which are skipped
 */

typedef struct BadMessage {
    Message message;
    const char *reason;
} BadMessage;

static const BadMessage bad_messages[] = {
    { { 65536, EVENT_FD }, "server sent 65536, which is not a peer ID" },
    { { -2 }, "server sent -2, which is not a peer ID" },
    {
        { INT64_MAX },
        "server sent 9223372036854775807, which is not a peer ID",
    },
    { { 3 }, "server said that this device, ID 3, left" },
    { { 4 }, "server said that peer 4 left, but it was not connected" },
    { { 4, SHM_FD }, "server sent a vector of ID 4 that is not an eventfd" },
    { { 3, PIPE_FD }, "server sent a vector of ID 3 that is not an eventfd" },
    { { -1 }, "server sent shared memory without a file descriptor" },
    { { -1, SHM_FD }, "server sent shared memory a second time" },
};

static void test_bad_messages(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);
    unsigned before = count_fds();

    for (unsigned i = 0; i < ARRAY_SIZE(bad_messages); i++) {
        g_autofree char *line = g_strdup_printf("%s\n", bad_messages[i].reason);

        g_string_truncate(told->errors, 0);
        send_messages(server, &bad_messages[i].message, 1);
        WAIT_IN_MAIN_LOOP(told->errors->len);
        g_assert_cmpstr(told->errors->str, ==, line);
        assert_taken(told, offer);
    }
    g_assert_cmpuint(count_fds(), ==, before);
}

/* The first is used and the others are closed */
static void test_several_fds(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) peer = fake_peer_new(9, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);
    const int several[] = { peer->vectors[0], fds[SHM_FD], fds[EVENT_FD] };
    unsigned before = count_fds();
    int64_t message = cpu_to_le64(9);

    fake_server_send_bytes(server, &message, sizeof(message), several,
                           ARRAY_SIZE(several));
    WAIT_IN_MAIN_LOOP(count_peers(told) == 2);
    assert_rings(told, peer, 0);
    g_assert_cmpint(find_vector(told, 9, 1), ==, -1);
    g_assert_cmpuint(count_fds(), ==, before + 1);
}

static void talk_of_too_many_vectors(FakeServer *server, void *opaque)
{
    fake_server_greet(server, 3, fds[SHM_FD]);
    for (unsigned i = 0; i <= IVSHMEM_FLAT_MAX_VECTORS; i++) {
        fake_server_send(server, GPOINTER_TO_UINT(opaque), fds[EVENT_FD]);
    }
}

static void test_too_many_vectors(const void *id)
{
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_new_of(server, talk_of_too_many_vectors,
                                       (void *)id);
    g_autofree char *reason = g_strdup_printf(
        "chardev 'iv': server gave ID %u more than 2048 vectors",
        GPOINTER_TO_UINT(id));
    Error *err = NULL;

    g_assert_false(ivshmem_flat_client_start(&told->client, &told_ops,
                                             IVSHMEM_FLAT_MAX_VECTORS + 1,
                                             &err));
    g_assert_cmpstr(error_get_pretty(err), ==, reason);
    error_free(err);
    fake_server_join(server);
}

/* Returns the limit that was in force */
static struct rlimit leave_no_fds(void)
{
    struct rlimit limit, less;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    less = limit;
    less.rlim_cur = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    close(less.rlim_cur);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &less), ==, 0);
    return limit;
}

/*
 * Peer @late joins as the second peer, and its second vector is lost.  Returns
 * the limit that was in force.
 */
static struct rlimit lose_second_vector(FakeServer *server, Told *told,
                                        const FakePeer *late)
{
    struct rlimit limit;

    fake_server_send(server, late->id, late->vectors[0]);
    WAIT_IN_MAIN_LOOP(count_peers(told) == 2);
    limit = leave_no_fds();
    fake_server_send(server, late->id, late->vectors[1]);
    return limit;
}

/* A vector without its fd is no departure, and a departure makes room */
static void test_out_of_fds(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) late = fake_peer_new(9, 2);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);
    struct rlimit limit = lose_second_vector(server, told, late);

    fake_server_send(server, -1, fds[SHM_FD]);
    fake_server_send(server, 11, late->vectors[0]);
    WAIT_IN_MAIN_LOOP(told->error_count == 3);
    g_assert_cmpuint(count_peers(told), ==, 3);
    g_assert_cmpint(find_vector(told, 11, 0), ==, -1);
    assert_rings(told, late, 0);
    fake_server_send(server, 11, -1);
    fake_server_send(server, 9, -1);
    WAIT_IN_MAIN_LOOP(count_peers(told) == 1);
    g_assert_cmpint(find_vector(told, 9, 0), ==, -1);
    fake_server_send(server, 11, late->vectors[0]);
    WAIT_IN_MAIN_LOOP(count_peers(told) == 2);
    g_assert_cmpint(find_vector(told, 11, 0), >=, 0);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);

    g_assert_cmpstr(told->errors->str, ==,
        "cannot take a file descriptor from the server: Too many open files\n"
        "cannot take a file descriptor from the server: Too many open files\n"
        "cannot take a file descriptor from the server: Too many open files\n");
    fake_server_send(server, 11, -1);
    WAIT_IN_MAIN_LOOP(count_peers(told) == 1);
    assert_taken(told, offer);
}

/* Those that follow a lost vector keep their numbers */
static void test_lost_vector(void)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakePeer) late = fake_peer_new(9, 3);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);
    struct rlimit limit = lose_second_vector(server, told, late);

    fake_server_send(server, 3, fds[EVENT_FD]);
    WAIT_IN_MAIN_LOOP(told->error_count == 2);
    g_assert_cmpuint(told->client.own_vectors, ==, 3);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    fake_server_send(server, 9, late->vectors[2]);
    WAIT_IN_MAIN_LOOP(find_vector(told, 9, 2) >= 0);
    assert_rings(told, late, 0);
    g_assert_cmpint(find_vector(told, 9, 1), ==, -1);
    assert_rings(told, late, 2);
}

int main(int argc, char **argv)
{
    struct rlimit limit;

    init_tests(&argc, &argv);
    /* Enough for the most vectors that a peer may have */
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    limit.rlim_cur = MIN(limit.rlim_max, 2 * IVSHMEM_FLAT_MAX_VECTORS);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);

    g_test_add_func("/ivshmem-flat/client/handshake", test_handshake);
    g_test_add_func("/ivshmem-flat/client/extreme-ids", test_extreme_ids);
    g_test_add_data_func("/ivshmem-flat/client/pieces/1", GSIZE_TO_POINTER(1),
                         test_pieces);
    g_test_add_data_func("/ivshmem-flat/client/pieces/3", GSIZE_TO_POINTER(3),
                         test_pieces);
    g_test_add_func("/ivshmem-flat/client/chardev-fd", test_chardev_fd);
    g_test_add_func("/ivshmem-flat/client/start-again", test_start_again);
    for (unsigned i = 0; i < ARRAY_SIZE(bad_handshakes); i++) {
        g_autofree char *path =
            g_strdup_printf("/ivshmem-flat/client/bad-handshake/%s",
                            bad_handshakes[i].name);

        g_test_add_data_func(path, &bad_handshakes[i], test_bad_handshake);
    }
    g_test_add_func("/ivshmem-flat/client/bad-second-session",
                    test_bad_second_session);
    g_test_add_func("/ivshmem-flat/client/bad-messages", test_bad_messages);
    g_test_add_func("/ivshmem-flat/client/several-fds", test_several_fds);
    g_test_add_data_func("/ivshmem-flat/client/too-many-vectors/own",
                         GUINT_TO_POINTER(3), test_too_many_vectors);
    g_test_add_data_func("/ivshmem-flat/client/too-many-vectors/peer",
                         GUINT_TO_POINTER(5), test_too_many_vectors);
    g_test_add_func("/ivshmem-flat/client/out-of-fds", test_out_of_fds);
    g_test_add_func("/ivshmem-flat/client/lost-vector", test_lost_vector);
    return run_tests();
}
