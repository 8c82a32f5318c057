/*
 * An ivshmem server whose every byte the test controls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include "qemu/bswap.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-wait.h"

#define MAX_FDS 16

struct FakeServer {
    char *socket;
    size_t piece;
    int listener;
    int connection;
    GThread *thread;
    FakeServerTalk *talk;
    void *talk_opaque;
};

FakeServer *fake_server_new(const char *dir)
{
    static unsigned count;
    FakeServer *s = g_new0(FakeServer, 1);

    s->piece = sizeof(int64_t);
    s->connection = -1;
    s->socket = g_strdup_printf("%s/fake-server%u", dir, count++);
    return s;
}

void fake_server_free(FakeServer *s)
{
    if (!s) {
        return;
    }
    fake_server_join(s);
    fake_server_hang_up(s);
    g_free(s->socket);
    g_free(s);
}

const char *fake_server_socket(FakeServer *s)
{
    return s->socket;
}

static void fake_server_listen(FakeServer *s)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    g_assert_cmpuint(strlen(s->socket), <, sizeof(address.sun_path));
    strcpy(address.sun_path, s->socket);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(s->listener, >=, 0);
    g_assert_cmpint(bind(s->listener, (struct sockaddr *)&address,
                         sizeof(address)), ==, 0);
    g_assert_cmpint(listen(s->listener, 1), ==, 0);
}

static void *fake_server_thread(void *opaque)
{
    FakeServer *s = opaque;
    GPollFD fd = { .fd = s->listener, .events = G_IO_IN };
    struct timeval limit = { .tv_sec = TIMEOUT_S };

    g_assert_cmpint(g_poll(&fd, 1, TIMEOUT_S * 1000), ==, 1);
    s->connection = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(s->connection, >=, 0);
    close(s->listener);
    unlink(s->socket);
    g_assert_cmpint(setsockopt(s->connection, SOL_SOCKET, SO_SNDTIMEO, &limit,
                               sizeof(limit)), ==, 0);
    s->talk(s, s->talk_opaque);
    return NULL;
}

void fake_server_expect(FakeServer *s, FakeServerTalk *talk, void *opaque)
{
    g_assert_cmpint(s->connection, ==, -1);
    s->talk = talk;
    s->talk_opaque = opaque;
    fake_server_listen(s);
    s->thread = g_thread_new("fake-server", fake_server_thread, s);
}

int fake_server_connect(FakeServer *s)
{
    int ends[2];

    g_assert_cmpint(s->connection, ==, -1);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                    ==, 0);
    s->connection = ends[0];
    return ends[1];
}

void fake_server_join(FakeServer *s)
{
    if (s->thread) {
        g_thread_join(g_steal_pointer(&s->thread));
    }
}

void fake_server_hang_up(FakeServer *s)
{
    if (s->connection >= 0) {
        close(s->connection);
        s->connection = -1;
    }
}

static ssize_t send_some(FakeServer *s, const void *bytes, size_t size,
                         const int *fds, unsigned n_fds, int flags)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control = {
        .header = {
            .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
            .cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
        },
    };
    struct iovec iov = { .iov_base = (void *)bytes, .iov_len = size };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n_fds) {
        g_assert_cmpuint(n_fds, <=, MAX_FDS);
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
    }
    return sendmsg(s->connection, &message, MSG_NOSIGNAL | flags);
}

bool fake_server_send_bytes(FakeServer *s, const void *bytes, size_t size,
                            const int *fds, unsigned n_fds)
{
    while (size) {
        ssize_t sent = send_some(s, bytes, size, fds, n_fds, 0);

        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return false;
        }
        g_assert_cmpint(sent, >, 0);
        bytes += sent;
        size -= sent;
        n_fds = 0;
    }
    return true;
}

unsigned fake_server_fill(FakeServer *s, int64_t message, int fd)
{
    uint8_t wire[sizeof(message)];
    unsigned count = 0;

    stq_le_p(wire, message);
    while (send_some(s, wire, sizeof(wire), &fd, 1, MSG_DONTWAIT) ==
           sizeof(wire)) {
        count++;
    }
    g_assert_cmpint(errno, ==, EAGAIN);
    return count;
}

void fake_server_set_piece(FakeServer *s, size_t size)
{
    g_assert_cmpuint(size, >, 0);
    s->piece = size;
}

void fake_server_send(FakeServer *s, int64_t message, int fd)
{
    uint8_t wire[sizeof(message)];

    stq_le_p(wire, message);
    for (size_t sent = 0; sent < sizeof(wire); sent += s->piece) {
        size_t size = MIN(s->piece, sizeof(wire) - sent);

        g_assert_true(fake_server_send_bytes(s, wire + sent, size, &fd,
                                             sent == 0 && fd >= 0));
        if (s->piece < sizeof(wire)) {
            WAIT_FOR(fake_server_all_read(s));
        }
    }
}

void fake_server_greet(FakeServer *s, uint16_t own_id, int shm_fd)
{
    fake_server_send(s, 0, -1);
    fake_server_send(s, own_id, -1);
    fake_server_send(s, -1, shm_fd);
}

bool fake_server_all_read(FakeServer *s)
{
    int unread;

    g_assert_cmpint(ioctl(s->connection, TIOCOUTQ, &unread), ==, 0);
    return unread == 0 || fake_server_client_left(s);
}

bool fake_server_client_left(FakeServer *s)
{
    GPollFD fd = { .fd = s->connection };   /* reports only a hang-up */

    return g_poll(&fd, 1, 0) == 1;
}

int fake_shm_new(size_t size)
{
    int fd = memfd_create(FAKE_SHM_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    return fd;
}

FakePeer *fake_peer_new(uint16_t id, unsigned n_vectors)
{
    FakePeer *p = g_malloc(sizeof(*p) + n_vectors * sizeof(p->vectors[0]));

    p->id = id;
    p->n_vectors = n_vectors;
    for (unsigned i = 0; i < n_vectors; i++) {
        p->vectors[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g_assert_cmpint(p->vectors[i], >=, 0);
    }
    return p;
}

void fake_peer_free(FakePeer *p)
{
    if (!p) {
        return;
    }
    for (unsigned i = 0; i < p->n_vectors; i++) {
        close(p->vectors[i]);
    }
    g_free(p);
}

void fake_server_announce(FakeServer *s, FakePeer *p)
{
    for (unsigned i = 0; i < p->n_vectors; i++) {
        fake_server_send(s, p->id, p->vectors[i]);
    }
}

uint64_t fake_peer_rung(FakePeer *p, unsigned vector)
{
    GPollFD fd = { .fd = p->vectors[vector], .events = G_IO_IN };
    uint64_t count;

    /* Another process may have made the eventfd a blocking one */
    if (g_poll(&fd, 1, 0) == 0) {
        return 0;
    }
    g_assert_cmpint(read(fd.fd, &count, sizeof(count)), ==, sizeof(count));
    return count;
}

void fake_peer_ring(FakePeer *p, unsigned vector)
{
    const uint64_t one = 1;

    g_assert_cmpint(write(p->vectors[vector], &one, sizeof(one)),
                    ==, sizeof(one));
}
