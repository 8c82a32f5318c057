/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client, and everything that a server, here a thread, may send it. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client.h"
#include "deadline.h"
#include "fd.h"

#define PATIENCE_MS 10000
#define END { .what = HANG_UP }

/* What the server does, step by step; it then waits until the client has left. */
typedef struct Step {
    int64_t number;
    enum { PLAIN, WITH_FD, IN_PIECES, WITH_TWO_FDS, HANG_UP, REST } what;
} Step;

typedef struct Fixture {
    char *directory;
    char *path;
    int listening;
    int doorbell;           /* sent with each number that has an fd */
    const Step *steps;
    GThread *thread;
} Fixture;

static void send_bytes(int socket, const void *bytes, size_t size, const int *fds,
                       unsigned n)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    struct iovec iov = { (void *)bytes, size };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;

    if (n) {
        control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
    }
    /*
     * All processes of a user share the limit on fds in flight. Tests that run at the
     * same time can be at this limit.
     */
    while ((sent = sendmsg(socket, &message, MSG_NOSIGNAL)) < 0 &&
           errno == ETOOMANYREFS) {
        g_usleep(1000);
    }
    /* A client that has already left has found a reason. */
    if (sent < 0) {
        g_assert_true(errno == EPIPE || errno == ECONNRESET);
    }
}

static void play_step(const Fixture *fixture, int socket, const Step *step)
{
    int64_t number = GINT64_TO_LE(step->number);
    const int fds[] = { fixture->doorbell, fixture->doorbell };
    unsigned i;

    if (step->what != IN_PIECES) {
        send_bytes(socket, &number, sizeof(number), fds,
                   step->what == PLAIN ? 0 : step->what == WITH_FD ? 1 : 2);
        return;
    }
    for (i = 0; i < sizeof(number); i++) {
        send_bytes(socket, (const char *)&number + i, 1, fds, i ? 0 : 1);
        g_usleep(1000);
    }
}

static gpointer play(gpointer data)
{
    const Fixture *fixture = data;
    AUTO_FD socket = accept(fixture->listening, NULL, NULL);
    const Step *step;
    char byte;

    for (step = fixture->steps; step->what != HANG_UP && step->what != REST; step++) {
        play_step(fixture, socket, step);
    }
    if (step->what == REST) {
        g_assert_cmpint(read(socket, &byte, 1), <=, 0);
    }
    return NULL;
}

static void fixture_init(Fixture *fixture, gconstpointer data)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    (void)data;
    fixture->directory = g_dir_make_tmp("ivshmem-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "socket", NULL);
    fixture->doorbell = eventfd(0, EFD_CLOEXEC);
    fixture->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(un.sun_path, fixture->path, sizeof(un.sun_path));
    g_assert_cmpint(bind(fixture->listening, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    g_assert_cmpint(listen(fixture->listening, 1), ==, 0);
}

static void fixture_clear(Fixture *fixture, gconstpointer data)
{
    (void)data;
    if (fixture->thread) {
        g_thread_join(fixture->thread);
    }
    fd_close(&fixture->listening);
    fd_close(&fixture->doorbell);
    g_unlink(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->directory);
}

/* A client of a server that follows these steps */
static Client *join(Fixture *fixture, const Step *steps, gint64 ms, GError **error)
{
    fixture->steps = steps;
    fixture->thread = g_thread_new("server", play, fixture);
    return client_new(fixture->path, deadline_in_ms(ms), error);
}

static void assert_refused(Fixture *fixture, const Step *steps, const char *message)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(join(fixture, steps, PATIENCE_MS, &error));
    g_assert_nonnull(strstr(error->message, message));
    g_assert_nonnull(strstr(error->message, fixture->path));
}

#define GREETING { 0, PLAIN }, { 3, PLAIN }, { -1, WITH_FD }

static void test_joins(Fixture *fixture, gconstpointer data)
{
    static const Step steps[] = {
        { 0, PLAIN }, { 3, PLAIN }, { -1, IN_PIECES }, { 0, WITH_FD }, { 0, IN_PIECES },
        { 65535, WITH_FD }, { 3, WITH_FD }, { 0, 0 }, { 9, PLAIN }, { .what = REST }
    };
    g_autoptr(Client) client = join(fixture, steps, PATIENCE_MS, NULL);
    ClientMessage message;

    (void)data;
    g_assert_nonnull(client);
    g_assert_cmpuint(client_id(client), ==, 3);
    g_assert_cmpint(client_memory(client), >=, 0);
    g_assert_cmpint(client_next(client, deadline_in_ms(PATIENCE_MS), &message, NULL), ==,
                    CLIENT_MESSAGE);
    g_assert_true(message.first && !message.left && message.id == 0);
    g_assert_cmpint(client_next(client, deadline_in_ms(PATIENCE_MS), &message, NULL), ==,
                    CLIENT_MESSAGE);
    g_assert_true(!message.first && !message.left && message.id == 0);
    g_assert_cmpuint(client_vectors(client, 0), ==, 2);
    g_assert_cmpuint(client_count_peers(client), ==, 1);
    g_assert_true(client_settle(client, deadline_in_ms(PATIENCE_MS), NULL));
    g_assert_cmpuint(client_vectors(client, 0), ==, 0);     /* it left */
    g_assert_cmpuint(client_count_peers(client), ==, 1);
    g_assert_cmpint(client_next_peer(client, 0), ==, 65535);
    g_assert_cmpint(client_next_peer(client, 65536), ==, -1);
    g_assert_cmpuint(client_vectors(client, 3), ==, 1);
}

/* A client does not wait forever for a server that keeps sending. */
static void test_settles_in_time(Fixture *fixture, gconstpointer data)
{
    static const Step steps[] = { GREETING, { 9, PLAIN }, { 9, PLAIN }, { 9, PLAIN },
                                  END };
    g_autoptr(Client) client = join(fixture, steps, PATIENCE_MS, NULL);

    (void)data;
    g_thread_join(g_steal_pointer(&fixture->thread));
    g_assert_true(client_settle(client, 0, NULL));
    g_assert_false(client_settle(client, deadline_in_ms(PATIENCE_MS), NULL));
}

static void test_silent(Fixture *fixture, gconstpointer data)
{
    static const Step silence[] = { { .what = REST } };
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_null(join(fixture, silence, 50, &error));
    g_assert_nonnull(strstr(error->message, "sent no protocol version in time"));
}

static void test_version(Fixture *fixture, gconstpointer data)
{
    static const Step steps[] = { { 1, PLAIN }, { .what = REST } };

    (void)data;
    assert_refused(fixture, steps, "protocol version is 1, not 0");
}

static void test_bad_ids(Fixture *fixture, gconstpointer data)
{
    static const Step steps[][3] = {
        { { 0, PLAIN }, { 65536, PLAIN }, { .what = REST } },
        { { 0, PLAIN }, { -1, PLAIN }, { .what = REST } },
    };

    assert_refused(fixture, steps[GPOINTER_TO_INT(data)], "which is not from 0 to 65535");
}

static void test_no_memory(Fixture *fixture, gconstpointer data)
{
    static const Step steps[][4] = {
        { { 0, PLAIN }, { 3, PLAIN }, { -1, PLAIN }, { .what = REST } },
        { { 0, PLAIN }, { 3, PLAIN }, { 4, WITH_FD }, { .what = REST } },
    };

    assert_refused(fixture, steps[GPOINTER_TO_INT(data)], "instead of the shared memory");
}

static void test_hangs_up(Fixture *fixture, gconstpointer data)
{
    static const Step steps[] = { { 0, PLAIN }, END };

    (void)data;
    assert_refused(fixture, steps, "waiting for the ID: the server hung up: see its log");
}

static void test_two_fds(Fixture *fixture, gconstpointer data)
{
    static const Step steps[] = { { 0, PLAIN }, { 3, PLAIN }, { -1, WITH_TWO_FDS },
                                  { .what = REST } };

    (void)data;
    assert_refused(fixture, steps, "several fds with one number");
}

/* What makes the client give up after the handshake */
static void test_nonsense(Fixture *fixture, gconstpointer data)
{
    static const struct {
        Step steps[5];
        const char *message;
    } cases[] = {
        { { GREETING, { 65536, WITH_FD }, { .what = REST } }, "is not a peer ID" },
        { { GREETING, { -1, PLAIN }, { .what = REST } }, "is not a peer ID" },
        { { GREETING, { 3, PLAIN }, { .what = REST } }, "this client, 3, has left" },
        { { GREETING, END }, "the server hung up" },
    };
    unsigned i = GPOINTER_TO_UINT(data);
    g_autoptr(Client) client = join(fixture, cases[i].steps, PATIENCE_MS, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(client);
    g_assert_false(client_settle(client, deadline_in_ms(PATIENCE_MS), &error));
    g_assert_nonnull(strstr(error->message, cases[i].message));
}

static void test_nobody(Fixture *fixture, gconstpointer data)
{
    g_autofree char *missing = g_strconcat(fixture->path, "-missing", NULL);
    g_autofree char *too_long = g_strnfill(200, 'x');
    g_autoptr(GError) no_file = NULL;
    g_autoptr(GError) no_path = NULL;

    (void)data;
    g_assert_null(client_new(missing, 0, &no_file));
    g_assert_nonnull(strstr(no_file->message, "No such file"));
    g_assert_null(client_new(too_long, 0, &no_path));
    g_assert_nonnull(strstr(no_path->message, "too long for a socket"));
}

static void test_rings(Fixture *fixture, gconstpointer data)
{
    static const Step steps[] = { GREETING, { 0, WITH_FD }, { 3, WITH_FD },
                                  { .what = REST } };
    g_autoptr(Client) client = join(fixture, steps, PATIENCE_MS, NULL);
    g_autoptr(GError) no_vector = NULL;
    g_autoptr(GError) no_peer = NULL;
    uint64_t full = UINT64_MAX - 1;

    (void)data;
    g_assert_true(client_settle(client, deadline_in_ms(PATIENCE_MS), NULL));
    g_assert_true(client_ring(client, 0, 0, NULL));
    g_assert_true(client_ring(client, 0, 0, NULL));
    g_assert_cmpuint(client_take(client, 0), ==, 2);    /* one eventfd for all */
    g_assert_cmpuint(client_take(client, 0), ==, 0);
    g_assert_cmpuint(client_take(client, 1), ==, 0);

    /* The eventfd is blocking and its counter is full. */
    g_assert_cmpint(write(fixture->doorbell, &full, sizeof(full)), ==, sizeof(full));
    g_assert_true(client_ring(client, 0, 0, NULL));

    g_assert_false(client_ring(client, 0, 1, &no_vector));
    g_assert_cmpstr(no_vector->message, ==, "peer 0 has no vector 1: use one from 0 to 0");
    g_assert_false(client_ring(client, 7, 0, &no_peer));
    g_assert_cmpstr(no_peer->message, ==, "peer 7 is not connected: the only peer is 0");
}

#define ADD(name, data, func) \
    g_test_add("/client/" name, Fixture, GUINT_TO_POINTER(data), fixture_init, func, \
               fixture_clear)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("joins", 0, test_joins);
    ADD("settles-in-time", 0, test_settles_in_time);
    ADD("silent", 0, test_silent);
    ADD("version", 0, test_version);
    ADD("id-too-high", 0, test_bad_ids);
    ADD("id-negative", 1, test_bad_ids);
    ADD("memory-without-fd", 0, test_no_memory);
    ADD("memory-of-another-number", 1, test_no_memory);
    ADD("hangs-up", 0, test_hangs_up);
    ADD("two-fds", 0, test_two_fds);
    ADD("peer-too-high", 0, test_nonsense);
    ADD("peer-negative", 1, test_nonsense);
    ADD("own-departure", 2, test_nonsense);
    ADD("hangs-up-later", 3, test_nonsense);
    ADD("nobody", 0, test_nobody);
    ADD("rings", 0, test_rings);
    return g_test_run();
}
