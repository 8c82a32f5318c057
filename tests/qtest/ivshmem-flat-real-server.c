/*
 * QEMU's own ivshmem server and client, for tests of ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "ivshmem-flat-real-server.h"
#include "ivshmem-flat-wait.h"

/*
 * Server
 */

static void *server_thread(void *opaque)
{
    Server *s = opaque;

    for (;;) {
        int maxfd = s->quit_pipe[0] + 1;
        fd_set fds;

        FD_ZERO(&fds);
        FD_SET(s->quit_pipe[0], &fds);
        ivshmem_server_get_fds(&s->ivshmem, &fds, &maxfd);
        if (select(maxfd, &fds, NULL, NULL, NULL) < 0) {
            g_assert_cmpint(errno, ==, EINTR);
            continue;
        }
        if (FD_ISSET(s->quit_pipe[0], &fds)) {
            return NULL;
        }
        g_assert_cmpint(ivshmem_server_handle_fds(&s->ivshmem, &fds, maxfd),
                        ==, 0);
    }
}

Server *server_start_on(const char *socket, size_t size, unsigned vectors)
{
    static unsigned count;
    Server *s = g_new0(Server, 1);

    /* As the server's main() does: clients may leave at any time */
    signal(SIGPIPE, SIG_IGN);
    s->size = size;
    s->socket = g_strdup(socket);
    s->shm_name = g_strdup_printf("/ivshmem-flat-test-%d-%u", getpid(),
                                  count++);
    g_assert_cmpint(ivshmem_server_init(&s->ivshmem, s->socket, s->shm_name,
                                        true, size, vectors, false), ==, 0);
    g_assert_cmpint(ivshmem_server_start(&s->ivshmem), ==, 0);
    /* The server keeps it open; nothing is left behind if a test fails */
    shm_unlink(s->shm_name);
    s->shm = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
                  s->ivshmem.shm_fd, 0);
    g_assert(s->shm != MAP_FAILED);
    g_assert(g_unix_open_pipe(s->quit_pipe, FD_CLOEXEC, NULL));
    s->thread = g_thread_new("ivshmem-server", server_thread, s);
    return s;
}

Server *server_start(size_t size, unsigned vectors)
{
    static unsigned count;
    g_autofree char *socket = g_strdup_printf("%s/socket%u", tmpdir, count++);

    return server_start_on(socket, size, vectors);
}

void server_stop(Server *s)
{
    g_assert_cmpint(write(s->quit_pipe[1], "q", 1), ==, 1);
    g_thread_join(s->thread);
    close(s->quit_pipe[0]);
    close(s->quit_pipe[1]);
    munmap(s->shm, s->size);
    ivshmem_server_close(&s->ivshmem);
    g_free(s->socket);
    g_free(s->shm_name);
    g_free(s);
}

/*
 * Peer
 */

static void peer_rung(const IvshmemClient *client,
                      const IvshmemClientPeer *sender, unsigned vector,
                      void *opaque)
{
    TestPeer *p = opaque;

    p->rung[vector]++;
}

void peer_update(TestPeer *p)
{
    int maxfd = 0;
    fd_set fds;
    struct timeval now = { 0 };

    for (;;) {
        FD_ZERO(&fds);
        ivshmem_client_get_fds(&p->ivshmem, &fds, &maxfd);
        if (select(maxfd, &fds, NULL, NULL, &now) == 0) {
            return;
        }
        g_assert_cmpint(ivshmem_client_handle_fds(&p->ivshmem, &fds, maxfd),
                        ==, 0);
    }
}

static bool peer_knows(TestPeer *p, unsigned id, unsigned vectors)
{
    IvshmemClientPeer *other;

    peer_update(p);
    other = ivshmem_client_search_peer(&p->ivshmem, id);
    return other && other->vectors_count == vectors;
}

bool peer_was_rung(TestPeer *p, unsigned vector)
{
    peer_update(p);
    return p->rung[vector];
}

unsigned peer_id(TestPeer *p)
{
    return p->ivshmem.local.id;
}

TestPeer *peer_join(Server *s)
{
    TestPeer *p = g_new0(TestPeer, 1);

    g_assert_cmpint(ivshmem_client_init(&p->ivshmem, s->socket, peer_rung, p,
                                        false), ==, 0);
    g_assert_cmpint(ivshmem_client_connect(&p->ivshmem), ==, 0);
    /* Otherwise a VM started later would keep the connection open */
    qemu_set_cloexec(p->ivshmem.sock_fd);
    WAIT_FOR(peer_knows(p, peer_id(p), s->ivshmem.n_vectors));
    return p;
}

void peer_leave(TestPeer *p)
{
    ivshmem_client_close(&p->ivshmem);
    g_free(p);
}

void peer_ring(TestPeer *p, unsigned id, unsigned vector)
{
    IvshmemClientPeer *other;

    WAIT_FOR((peer_update(p),
              other = ivshmem_client_search_peer(&p->ivshmem, id)));
    WAIT_FOR((peer_update(p), other->vectors_count > vector));
    g_assert_cmpint(ivshmem_client_notify(&p->ivshmem, other, vector), ==, 0);
}

/*
 * VM
 */

QTestState *vm_start_options(Server *s, const char *board,
                             const char *options, const char *extra)
{
    return vm_start_on(s->socket, board, options, extra);
}

QTestState *vm_start(Server *s, const char *board)
{
    return vm_start_options(s, board, PLACED, "");
}

QTestState *vm_start_listened(Server *s, const char *board,
                              const char *options)
{
    g_autofree char *redirect = said_redirect();

    return vm_start_options(s, board, options, redirect);
}

QTestState *vm_start_guest_errors(Server *s)
{
    g_autofree char *path = said_path();
    g_autofree char *log = g_strdup_printf("-d guest_errors -D %s", path);

    return vm_start_options(s, "mps2-an385", PLACED, log);
}

void assert_options_refused(const char *options, const char *reason)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autofree char *arguments =
        g_strdup_printf("-chardev socket,path=%s,id=iv "
                        "-device 'ivshmem-flat,chardev=iv,%s'",
                        s->socket, options);

    assert_refused(arguments, reason);
}
