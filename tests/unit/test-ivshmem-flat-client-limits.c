/*
 * Unit tests of an ivshmem server's client: time limits
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "qemu/bswap.h"
#include "qapi/error.h"
#include "ivshmem-flat-client-rig.h"

#define LIMIT_S     5       /* of a handshake */

/* Fails after the limit, and not much later */
static bool start_takes_long(Told *told, Error **errp)
{
    gint64 start = g_get_monotonic_time();
    bool started = ivshmem_flat_client_start(&told->client, &told_ops, 2, errp);
    gint64 took = g_get_monotonic_time() - start;

    g_assert_cmpint(took, >=, LIMIT_S * G_TIME_SPAN_SECOND);
    g_assert_cmpint(took, <, 4 * LIMIT_S * G_TIME_SPAN_SECOND);
    return started;
}

static void assert_takes_long(const Message *messages, unsigned count,
                              const char *reason)
{
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *options =
        g_strdup_printf("fd=%d", fake_server_connect(server));
    g_autoptr(Told) told = told_new(options);
    Error *err = NULL;

    send_messages(server, messages, count);
    g_assert_false(start_takes_long(told, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, reason);
    error_free(err);
}

static void no_version(void)
{
    assert_takes_long(NULL, 0, "chardev 'iv': server sent no protocol version "
                      "within 5 s");
}

static void no_id(void)
{
    const Message messages[] = { { 0 } };

    assert_takes_long(messages, 1, "chardev 'iv': server sent no own ID "
                      "within 5 s");
}

static void no_memory(void)
{
    const Message messages[] = {
        { 0 }, { 3 }, { 3, EVENT_FD }, { 3, EVENT_FD },
    };

    assert_takes_long(messages, 4, "chardev 'iv': server sent no shared memory "
                      "within 5 s");
}

static void few_vectors(void)
{
    const Message messages[] = {
        { 0 }, { 3 }, { -1, SHM_FD }, { 3, EVENT_FD }, { 5, EVENT_FD },
    };
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *options =
        g_strdup_printf("fd=%d", fake_server_connect(server));
    g_autoptr(Told) told = told_new(options);

    send_messages(server, messages, ARRAY_SIZE(messages));
    g_assert_true(start_takes_long(told, &error_abort));
    g_assert_true(is_connected(told));
    g_assert_cmpuint(told->client.own_vectors, ==, 1);
    g_assert_cmpuint(told->client.messages, ==, ARRAY_SIZE(messages));
    g_assert_cmpuint(count_peers(told), ==, 1);
}

/* A peer keeps coming and going until the client hangs up */
static void talk_for_ever(FakeServer *server, void *opaque)
{
    FakePeer *peer = opaque;
    uint8_t wire[sizeof(int64_t)];
    bool there = true;

    fake_server_send(server, 0, -1);
    fake_server_send(server, 3, -1);
    stq_le_p(wire, peer->id);
    for (bool joins = true; there; joins = !joins) {
        there = fake_server_send_bytes(server, wire, sizeof(wire),
                                       peer->vectors, joins);
    }
}

static void no_end(void)
{
    g_autoptr(FakePeer) peer = fake_peer_new(5, 1);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_new_of(server, talk_for_ever, peer);
    Error *err = NULL;

    g_assert_false(start_takes_long(told, &err));
    error_free(err);
}

typedef struct Visit {
    const Message *messages;
    unsigned count;
} Visit;

static void talk_visit(FakeServer *server, void *opaque)
{
    Visit *visit = opaque;

    send_messages(server, visit->messages, visit->count);
}

static void come_back(FakeServer *server, Told *told, const Message *messages,
                      unsigned count)
{
    Visit visit = { messages, count };

    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    g_string_truncate(told->errors, 0);
    fake_server_expect(server, talk_visit, &visit);
    WAIT_IN_MAIN_LOOP(told->errors->len);
    fake_server_join(server);
}

static void back_with(const Message *messages, unsigned count,
                      const char *reason)
{
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    come_back(server, told, messages, count);
    g_assert_cmpstr(told->errors->str, ==, reason);
    g_assert_cmpuint(told->client.sessions, ==, 2);
}

static void back_without_vectors(void)
{
    const Message messages[] = { { 0 }, { 3 }, { -1, SHM_FD } };

    back_with(messages, 3, "server is back, but sent no interrupt vector "
              "within 5 s\n");
}

static void back_with_few_vectors(void)
{
    const Message messages[] = {
        { 0 }, { 3 }, { -1, SHM_FD }, { 3, EVENT_FD },
    };

    back_with(messages, 4, "server is back, but sent only 1 of 2 interrupt "
              "vectors\n");
}

/* Memory that was refused is not missing */
static void back_with_other_memory(void)
{
    const Message messages[] = {
        { 0 }, { 3 }, { -1, BIG_SHM_FD }, { 3, EVENT_FD }, { 3, EVENT_FD },
    };
    g_autoptr(Offer) offer = offer_new(3, 5);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(Told) told = told_start(server, offer);

    come_back(server, told, messages, ARRAY_SIZE(messages));
    WAIT_IN_MAIN_LOOP(!timer_pending(&told->client.handshake_timer));
    fake_server_hang_up(server);
    WAIT_IN_MAIN_LOOP(!is_connected(told));
    g_assert_cmpstr(told->errors->str, ==,
                    "refused\nserver has gone: known peers can still be rung, "
                    "but none can join or leave\n");
}

/* Nobody accepts, and the backlog is full */
static void no_connection(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autofree char *options = NULL;
    g_autoptr(Told) told = NULL;
    Error *err = NULL;
    int client;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/full", tmpdir);
    g_assert_cmpint(bind(listener, (struct sockaddr *)&address,
                         sizeof(address)), ==, 0);
    g_assert_cmpint(listen(listener, 0), ==, 0);
    do {
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    } while (connect(client, (struct sockaddr *)&address,
                     sizeof(address)) == 0);
    g_assert_cmpint(errno, ==, EAGAIN);

    options = g_strdup_printf("path=%s,%s", address.sun_path, RECONNECT);
    told = told_new(options);
    g_assert_false(start_takes_long(told, &err));
    g_assert_cmpstr(error_get_pretty(err), ==,
                    "chardev 'iv' is not connected after 5 s: "
                    "the server does not accept connections, restart it");
    error_free(err);
    unlink(address.sun_path);
    close(listener);
}

/*
 * Runs the cases in parallel, each in a child process: most only wait.  This
 * process must not have signalled an eventfd yet, because children do not
 * inherit the kernel's part of that.
 */
static void test_limits(void)
{
    static void (*const cases[])(void) = {
        no_version, no_id, no_memory, few_vectors, no_end,
        back_without_vectors, back_with_few_vectors, back_with_other_memory,
        no_connection,
    };
    pid_t pids[ARRAY_SIZE(cases)];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        pids[i] = fork();
        g_assert_cmpint(pids[i], >=, 0);
        if (pids[i] == 0) {
            tmpdir = g_dir_make_tmp("ivshmem-flat-test.XXXXXX", NULL);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            cases[i]();
            _exit(rmdir(tmpdir));
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        int status;

        WAIT_FOR(waitpid(pids[i], &status, WNOHANG) == pids[i]);
        g_assert_cmpint(status, ==, 0);
    }
}

int main(int argc, char **argv)
{
    init_tests(&argc, &argv);
    g_test_add_func("/ivshmem-flat/client/limits", test_limits);
    return run_tests();
}
