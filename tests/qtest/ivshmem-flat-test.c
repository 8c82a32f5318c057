/*
 * QTest testcases for ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Two real parts of QEMU's ivshmem stand beside the device: the server runs
 * in a thread, and a client gives the tests a peer that they control.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "contrib/ivshmem-client/ivshmem-client.h"
#include "contrib/ivshmem-server/ivshmem-server.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define SHMEM_DEFAULT   0x40100000
#define SHM_SIZE        (1 * MiB)

#define PLACED      WIRED "," AT_SHMEM ",shmem-size=1M"
#define MEMORY_ONLY "x-bus-qompath=/sysbus," AT_SHMEM ",shmem-size=1M"

static const char *const boards[] = { "lm3s6965evb", "mps2-an385" };

/* Any machine that has no platform bus takes the device as it is */
static const char *const other_machines[] = {
    "microbit", "netduinoplus2", "raspi0", "raspi2b",
};

/*
 * Server
 */

typedef struct Server {
    IvshmemServer ivshmem;
    GThread *thread;
    int quit_pipe[2];
    char *socket;
    char *shm_name;
    uint8_t *shm;
    size_t size;
} Server;

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

static Server *server_start_on(const char *socket, size_t size,
                               unsigned vectors)
{
    static unsigned count;
    Server *s = g_new0(Server, 1);

    s->size = size;
    s->socket = g_strdup(socket);
    s->shm_name = g_strdup_printf("/ivshmem-flat-test-%d-%u", getpid(),
                                  count++);
    g_assert_cmpint(ivshmem_server_init(&s->ivshmem, s->socket, s->shm_name,
                                        true, size, vectors, false), ==, 0);
    g_assert_cmpint(ivshmem_server_start(&s->ivshmem), ==, 0);
    /* The server has it open; nothing stays behind if a test fails */
    shm_unlink(s->shm_name);
    s->shm = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
                  s->ivshmem.shm_fd, 0);
    g_assert(s->shm != MAP_FAILED);
    g_assert(g_unix_open_pipe(s->quit_pipe, FD_CLOEXEC, NULL));
    s->thread = g_thread_new("ivshmem-server", server_thread, s);
    return s;
}

static Server *server_start(size_t size, unsigned vectors)
{
    static unsigned count;
    g_autofree char *socket = g_strdup_printf("%s/socket%u", tmpdir, count++);

    return server_start_on(socket, size, vectors);
}

static void server_stop(Server *s)
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

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_stop)

/*
 * Peer: a client of the server, in this process
 */

typedef struct TestPeer {
    IvshmemClient ivshmem;
    unsigned rung[IVSHMEM_CLIENT_MAX_VECTORS];
} TestPeer;

static void peer_rung(const IvshmemClient *client,
                      const IvshmemClientPeer *sender, unsigned vector,
                      void *opaque)
{
    TestPeer *p = opaque;

    p->rung[vector]++;
}

/* Takes in what the server and the other peers have sent so far */
static void peer_update(TestPeer *p)
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

static bool peer_was_rung(TestPeer *p, unsigned vector)
{
    peer_update(p);
    return p->rung[vector];
}

static unsigned peer_id(TestPeer *p)
{
    return p->ivshmem.local.id;
}

static TestPeer *peer_join(Server *s)
{
    TestPeer *p = g_new0(TestPeer, 1);

    g_assert_cmpint(ivshmem_client_init(&p->ivshmem, s->socket, peer_rung, p,
                                        false), ==, 0);
    g_assert_cmpint(ivshmem_client_connect(&p->ivshmem), ==, 0);
    /* A VM started later would hold the connection after the peer left */
    qemu_set_cloexec(p->ivshmem.sock_fd);
    WAIT_FOR(peer_knows(p, peer_id(p), s->ivshmem.n_vectors));
    return p;
}

static void peer_leave(TestPeer *p)
{
    ivshmem_client_close(&p->ivshmem);
    g_free(p);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestPeer, peer_leave)

static void peer_ring(TestPeer *p, unsigned id, unsigned vector)
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

static QTestState *vm_start_options(Server *s, const char *board,
                                    const char *options, const char *extra)
{
    return vm_start_on(s->socket, board, options, extra);
}

static QTestState *vm_start(Server *s, const char *board)
{
    return vm_start_options(s, board, PLACED, "");
}

static QTestState *vm_start_listened(Server *s, const char *board,
                                     const char *options)
{
    g_autofree char *redirect = said_redirect();

    return vm_start_options(s, board, options, redirect);
}

static QTestState *vm_start_guest_errors(Server *s)
{
    g_autofree char *path = said_path();
    g_autofree char *log = g_strdup_printf("-d guest_errors -D %s", path);

    return vm_start_options(s, "mps2-an385", PLACED, log);
}

static void assert_options_refused(const char *options, const char *reason)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autofree char *arguments =
        g_strdup_printf("-chardev socket,path=%s,id=iv "
                        "-device 'ivshmem-flat,chardev=iv,%s'",
                        s->socket, options);

    assert_refused(arguments, reason);
}

/*
 * Registers
 */

static void test_reset_values(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0);
    g_assert_cmphex(reg_read(vm, INTRSTATUS), ==, 0);
    g_assert_cmphex(reg_read(vm, IVPOSITION), ==, 0);
    g_assert_cmphex(reg_read(vm, DOORBELL), ==, 0);
}

static void test_intrmask_keeps_value(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    reg_write(vm, INTRMASK, 0xa5a55a5a);
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0xa5a55a5a);
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0xa5a55a5a);
}

static void test_intrstatus_clears_on_read(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    reg_write(vm, INTRSTATUS, 0xffffffff);
    g_assert_cmphex(reg_read(vm, INTRSTATUS), ==, 0xffffffff);
    g_assert_cmphex(reg_read(vm, INTRSTATUS), ==, 0);
}

/* The registers of revision 0's INTx stay out of it, as with MSI-X on PCI */
static void test_intrstatus_ignores_doorbell(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    g_assert_cmphex(reg_read(vm, INTRSTATUS), ==, 0);
}

static void test_reset_clears_registers(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) first = peer_join(s);
    g_autoptr(QTestState) vm = vm_start(s, board);

    reg_write(vm, INTRMASK, 1);
    reg_write(vm, INTRSTATUS, 1);
    qtest_qmp_assert_success(vm, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(vm, "RESET");
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0);
    g_assert_cmphex(reg_read(vm, INTRSTATUS), ==, 0);
    g_assert_cmpuint(own_id(vm), ==, 1);
}

static void test_ivposition_is_own_id(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) first = peer_join(s);
    g_autoptr(TestPeer) second = peer_join(s);
    g_autoptr(QTestState) vm = vm_start(s, board);

    g_assert_cmpuint(own_id(vm), ==, 2);
}

static void test_ivposition_is_read_only(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    reg_write(vm, IVPOSITION, 0x1234);
    g_assert_cmpuint(own_id(vm), ==, 0);
    assert_said("write of 0x1234 to read-only IVPOSITION");
}

static void test_doorbell_is_write_only(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    g_assert_cmphex(reg_read(vm, DOORBELL), ==, 0);
    assert_said("read of write-only DOORBELL");
}

static void test_narrow_read(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    reg_write(vm, INTRMASK, 0xffffffff);
    g_assert_cmphex(qtest_readb(vm, MMR + INTRMASK), ==, 0);
    assert_said("1-byte read at offset 0x0");
    g_assert_cmphex(qtest_readw(vm, MMR + INTRMASK + 2), ==, 0);
    assert_said("2-byte read at offset 0x2");
}

static void test_narrow_write(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    qtest_writeb(vm, MMR + INTRMASK, 0xff);
    assert_said("1-byte write at offset 0x0");
    qtest_writew(vm, MMR + INTRMASK, 0xffff);
    assert_said("2-byte write at offset 0x0");
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0);
}

static void test_wide_access(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    qtest_writeq(vm, MMR, UINT64_MAX);
    assert_said("8-byte write at offset 0x0");
    g_assert_cmphex(qtest_readq(vm, MMR), ==, 0);
    assert_said("8-byte read at offset 0x0");
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0);
}

static void test_unaligned_access(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    reg_write(vm, INTRMASK, 0x01020304);
    qtest_writel(vm, MMR + 2, 0xffffffff);
    g_assert_cmphex(qtest_readl(vm, MMR + 1), ==, 0);
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0x01020304);
    assert_said("registers take aligned 4-byte accesses");
}

/*
 * Doorbells
 */

static void test_ring_self(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    g_assert_false(irq_pending(vm, IRQ_LINE));
    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

static void test_ring_both_ways(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) a = vm_start(s, board);
    g_autoptr(QTestState) b = vm_start(s, boards[board == boards[0]]);

    for (unsigned i = 0; i < 3; i++) {
        ring(b, own_id(a), 0);
        WAIT_FOR(irq_pending(a, IRQ_LINE));
        irq_clear(a, IRQ_LINE);
        g_assert_false(irq_pending(a, IRQ_LINE));
        g_assert_false(irq_pending(b, IRQ_LINE));

        ring(a, own_id(b), 0);
        WAIT_FOR(irq_pending(b, IRQ_LINE));
        irq_clear(b, IRQ_LINE);
        g_assert_false(irq_pending(b, IRQ_LINE));
        g_assert_false(irq_pending(a, IRQ_LINE));
    }
}

static void test_rung_by_peer(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);
    g_autoptr(TestPeer) p = peer_join(s);

    peer_ring(p, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/* As soon as the VM is there, without waiting for anything */
static void test_ring_peer_that_was_there(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_options(s, board, PLACED, "-S");

    ring(vm, peer_id(p), 0);
    WAIT_FOR(peer_was_rung(p, 0));
}

static void test_ring_peer_that_came_later(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);
    g_autoptr(TestPeer) p = peer_join(s);

    WAIT_FOR(qom_get_number(vm, "peers") == 1);
    ring(vm, peer_id(p), 0);
    WAIT_FOR(peer_was_rung(p, 0));
}

/*
 * The newcomer is in a hurry: the server has announced it, and the main loop
 * has not always read of it.
 */
static void test_ring_peer_that_just_came(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 2);
    g_autoptr(QTestState) vm = vm_start(s, board);

    for (unsigned i = 0; i < 100; i++) {
        g_autoptr(TestPeer) p = peer_join(s);

        ring(vm, peer_id(p), 1);
        WAIT_FOR(peer_was_rung(p, 1));
    }
}

static void test_ring_each_vector(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 4);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start(s, board);

    for (unsigned vector = 0; vector < 4; vector++) {
        ring(vm, peer_id(p), vector);
        WAIT_FOR(peer_was_rung(p, vector));
        for (unsigned i = 0; i < 4; i++) {
            g_assert_cmpuint(p->rung[i], ==, i <= vector);
        }
    }
}

/* A peer that never listens does not hold up the VM */
static void test_ring_full_eventfd(const void *board)
{
    const uint64_t full = UINT64_MAX - 1;
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start(s, board);

    g_assert_cmpint(write(p->ivshmem.local.vectors[0], &full, sizeof(full)),
                    ==, sizeof(full));
    ring(vm, peer_id(p), 0);
    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/* Nobody takes it out of the eventfd, which therefore stays readable */
static void test_other_vectors_are_not_heard(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 2);
    g_autoptr(QTestState) vm = vm_start(s, board);
    g_autoptr(TestPeer) p = peer_join(s);
    GPollFD fd = { .events = G_IO_IN };

    peer_ring(p, own_id(vm), 1);
    ring(vm, peer_id(p), 0);
    WAIT_FOR(peer_was_rung(p, 0));
    fd.fd = ivshmem_client_search_peer(&p->ivshmem, own_id(vm))->vectors[1];
    g_assert_cmpint(g_poll(&fd, 1, 0), ==, 1);
    g_assert_false(irq_pending(vm, IRQ_LINE));
}

static void test_ring_absent_peer(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    ring(vm, 7, 0);
    assert_said("rings vector 0 of peer 7, which is not connected");
    ring(vm, 0xffff, 0xffff);
    assert_said("rings vector 65535 of peer 65535, which is not connected");
    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/* Having looked for the absent one, the device goes on listening */
static void test_peer_comes_after_ring_of_absent(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");
    g_autoptr(TestPeer) p = NULL;

    ring(vm, 7, 0);
    p = peer_join(s);
    WAIT_FOR(qom_get_number(vm, "peers") == 1);
}

static void test_ring_absent_vector(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 2);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    ring(vm, peer_id(p), 2);
    assert_said("rings vector 2 of peer 0, which is not connected");
    /* The vector is a number of 16 bits, not of 8 */
    ring(vm, peer_id(p), 0x100);
    assert_said("rings vector 256 of peer 0, which is not connected");
    ring(vm, peer_id(p), 1);
    WAIT_FOR(peer_was_rung(p, 1));
    g_assert_cmpuint(p->rung[0], ==, 0);
}

static void test_ring_peer_that_left(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    TestPeer *p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_guest_errors(s);

    g_assert_cmpuint(qom_get_number(vm, "peers"), ==, 1);
    peer_leave(p);
    WAIT_FOR(qom_get_number(vm, "peers") == 0);
    ring(vm, 0, 0);
    assert_said("rings vector 0 of peer 0, which is not connected");
}

static void test_peers_come_and_go(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    for (unsigned i = 0; i < 20; i++) {
        TestPeer *p = peer_join(s);

        WAIT_FOR(qom_get_number(vm, "peers") == 1);
        ring(vm, peer_id(p), 0);
        WAIT_FOR(peer_was_rung(p, 0));
        peer_ring(p, own_id(vm), 0);
        WAIT_FOR(irq_pending(vm, IRQ_LINE));
        irq_clear(vm, IRQ_LINE);
        g_assert_false(irq_pending(vm, IRQ_LINE));
        peer_leave(p);
        WAIT_FOR(qom_get_number(vm, "peers") == 0);
    }
}

static void test_rung_before_first_run(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_options(s, board, PLACED, "-S");
    g_autoptr(TestPeer) p = peer_join(s);

    peer_ring(p, own_id(vm), 0);
    g_assert_false(irq_pending(vm, IRQ_LINE));
    qtest_qmp_assert_success(vm, "{'execute': 'cont'}");
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

static void test_rung_while_paused(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);
    g_autoptr(TestPeer) p = peer_join(s);

    qtest_qmp_assert_success(vm, "{'execute': 'stop'}");
    peer_ring(p, own_id(vm), 0);
    g_assert_false(irq_pending(vm, IRQ_LINE));
    qtest_qmp_assert_success(vm, "{'execute': 'cont'}");
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/*
 * Shared memory
 */

static void test_memory_host_to_vm(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    stl_le_p(s->shm, 0x11223344);
    stl_le_p(s->shm + SHM_SIZE - 4, 0x55667788);
    g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x11223344);
    g_assert_cmphex(qtest_readl(vm, SHMEM + SHM_SIZE - 4), ==, 0x55667788);
}

static void test_memory_vm_to_host(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, board);

    qtest_writel(vm, SHMEM, 0x11223344);
    qtest_writeb(vm, SHMEM + SHM_SIZE - 1, 0x55);
    g_assert_cmphex(ldl_le_p(s->shm), ==, 0x11223344);
    g_assert_cmphex(s->shm[SHM_SIZE - 1], ==, 0x55);
}

static void test_memory_vm_to_vm(const void *board)
{
    g_autofree uint8_t *sent = g_malloc(SHM_SIZE);
    g_autofree uint8_t *received = g_malloc0(SHM_SIZE);
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) a = vm_start(s, board);
    g_autoptr(QTestState) b = vm_start(s, boards[board == boards[0]]);

    for (size_t i = 0; i < SHM_SIZE; i++) {
        sent[i] = i ^ i >> 8 ^ i >> 16;
    }
    qtest_bufwrite(a, SHMEM, sent, SHM_SIZE);
    qtest_bufread(b, SHMEM, received, SHM_SIZE);
    g_assert_cmpmem(sent, SHM_SIZE, received, SHM_SIZE);
}

static void test_memory_sizes(const void *board)
{
    static const size_t sizes[] = { 4 * KiB, 64 * KiB, 4 * MiB, 16 * MiB };

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        g_autoptr(Server) s = server_start(sizes[i], 1);
        g_autofree char *options =
            g_strdup_printf(WIRED ",x-bus-address-shmem=0x60000000,"
                            "shmem-size=%zuK", sizes[i] / KiB);
        g_autoptr(QTestState) vm = vm_start_options(s, board, options, "");

        qtest_writel(vm, SHMEM + sizes[i] - 4, 0x600dcafe);
        g_assert_cmphex(ldl_le_p(s->shm + sizes[i] - 4), ==, 0x600dcafe);
    }
}

/*
 * Options
 */

static void test_default_addresses(const void *board)
{
    g_autoptr(Server) s = server_start(4 * MiB, 1);
    g_autoptr(TestPeer) first = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_listened(s, board, WIRED);

    g_assert_cmpuint(qtest_readl(vm, MMR + IVPOSITION), ==, 1);
    stl_le_p(s->shm, 0x600dcafe);
    g_assert_cmphex(qtest_readl(vm, SHMEM_DEFAULT), ==, 0x600dcafe);
}

static void test_chosen_addresses(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) first = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_options(s, board, WIRED
        ",x-bus-address-mmr=0x70000010,x-bus-address-shmem=0x70001000"
        ",shmem-size=1048576", "");

    g_assert_cmpuint(qtest_readl(vm, 0x70000010 + IVPOSITION), ==, 1);
    qtest_writel(vm, 0x70001000, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(s->shm), ==, 0x600dcafe);
}

static void test_no_irq(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_listened(s, board, MEMORY_ONLY);

    assert_said("x-irq-qompath is not set: interrupts are off");
    g_assert_cmpuint(reg_read(vm, IVPOSITION), ==, 0);
    g_assert_cmpuint(qom_get_number(vm, "own-id"), ==, 1);

    ring(vm, peer_id(p), 0);
    qtest_writel(vm, SHMEM, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(s->shm), ==, 0x600dcafe);
    peer_update(p);
    g_assert_cmpuint(p->rung[0], ==, 0);
}

/* Without interrupts a server that has no vectors to give is good enough */
static void test_no_irq_no_vectors(const void *board)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 0);
    g_autoptr(QTestState) vm =
        vm_start_options(s, board, MEMORY_ONLY, "2>/dev/null");

    qtest_writel(vm, SHMEM, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(s->shm), ==, 0x600dcafe);
}

static void test_irq_absolute_path(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_options(s, "mps2-an385",
        "x-bus-qompath=/sysbus,shmem-size=1M,"
        "x-irq-qompath=/machine/armv7m/nvic/unnamed-gpio-in[31]", "");

    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, 31));
}

static void test_irq_partial_path(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_options(s, "mps2-an385",
        "x-bus-qompath=/sysbus,shmem-size=1M,"
        "x-irq-qompath=armv7m/nvic/unnamed-gpio-in[31]", "");

    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, 31));
}

static void test_irq_moved_path(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "mps2-an385",
        "x-bus-qompath=/sysbus,shmem-size=1M,"
        "x-irq-qompath=/machine/elsewhere/nvic/unnamed-gpio-in[0]");

    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, 0));
    assert_said("/machine/elsewhere/nvic/unnamed-gpio-in[0]' names nothing on "
                "this machine: using '/machine/armv7m/nvic/unnamed-gpio-in[0]'");
}

/* Where the lm3s6965evb's interrupt controller is, or was until QEMU 8 */
static void test_irq_old_path(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_options(s, "lm3s6965evb",
        "x-bus-qompath=/sysbus,shmem-size=1M,"
        "x-irq-qompath=/machine/unattached/device[1]/nvic/unnamed-gpio-in[0]",
        "");

    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, 0));
}

static void test_irq_unknown_path(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=/machine/armv7m/nvic/line[0]",
                           "x-irq-qompath '/machine/armv7m/nvic/line[0]' "
                           "names no interrupt input line");
}

static void test_irq_unknown_partial_path(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=nvic/line[0]",
                           "x-irq-qompath 'nvic/line[0]' "
                           "names no interrupt input line");
}

static void test_irq_part_of_a_component(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=vic/unnamed-gpio-in[0]",
                           "x-irq-qompath 'vic/unnamed-gpio-in[0]' "
                           "names no interrupt input line");
}

static void test_irq_ambiguous_path(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=unnamed-gpio-in[0]",
                           "could be any of ");
    assert_said("\n  /machine/armv7m/nvic/unnamed-gpio-in[0]\n");
}

static void test_irq_not_a_line(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=/machine/armv7m/nvic",
                           "x-irq-qompath '/machine/armv7m/nvic' is a "
                           "'armv7m_nvic', not an interrupt input line");
}

static void test_bus_missing(void)
{
    assert_options_refused("shmem-size=1M",
                           "x-bus-qompath is missing: "
                           "add x-bus-qompath=/sysbus");
}

static void test_bus_unknown(void)
{
    assert_options_refused("x-bus-qompath=/pci,shmem-size=1M",
                           "x-bus-qompath is '/pci', must be '/sysbus'");
}

static void test_size_mismatch(void)
{
    assert_options_refused(WIRED ",shmem-size=2M",
                           "shmem-size is 2097152 bytes, but server's shared "
                           "memory has 1048576");
    assert_said("Use shmem-size=1048576.");
}

static void test_size_zero(void)
{
    assert_options_refused(WIRED ",shmem-size=0",
                           "shmem-size 0 is not a multiple of the host's "
                           "page size");
}

static void test_size_unaligned(void)
{
    assert_options_refused(WIRED ",shmem-size=1000",
                           "shmem-size 1000 is not a multiple of the host's "
                           "page size");
}

static void test_mmr_unaligned(void)
{
    assert_options_refused(WIRED ",shmem-size=1M,x-bus-address-mmr=0x400ff002",
                           "x-bus-address-mmr 0x400ff002 is not a multiple "
                           "of 16");
}

static void test_shmem_unaligned(void)
{
    assert_options_refused(WIRED ",shmem-size=1M,"
                           "x-bus-address-shmem=0x60000010",
                           "x-bus-address-shmem 0x60000010 is not a multiple "
                           "of ");
}

static void test_shmem_too_high(void)
{
    assert_options_refused(WIRED ",shmem-size=1M,"
                           "x-bus-address-shmem=0xfffffffffff80000",
                           "x-bus-address-shmem 0xfffffffffff80000 is too "
                           "high for a window of 1048576 bytes");
}

static void test_no_vectors(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 0);
    g_autofree char *arguments =
        g_strdup_printf("-chardev socket,path=%s,id=iv -device "
                        "'ivshmem-flat,chardev=iv," PLACED "'", s->socket);

    assert_refused(arguments, "chardev 'iv': server sent no interrupt vector "
                   "within 5 s");
    assert_said("Start ivshmem-server with '-n 1' or more");
}

static void test_chardev_missing(void)
{
    assert_refused("-device 'ivshmem-flat," PLACED "'", "chardev is missing");
    assert_said("Add -chardev socket,path=");
}

static void test_chardev_not_a_socket(void)
{
    assert_refused("-chardev null,id=iv -device 'ivshmem-flat,chardev=iv,"
                   PLACED "'",
                   "chardev 'iv' is a 'chardev-null', must be a UNIX socket");
}

static void test_chardev_is_a_server(void)
{
    g_autofree char *path = g_strdup_printf("%s/nobody", tmpdir);
    g_autofree char *arguments =
        g_strdup_printf("-chardev socket,path=%s,id=iv,server=on,wait=off "
                        "-device 'ivshmem-flat,chardev=iv," PLACED "'", path);

    assert_refused(arguments, "chardev 'iv' must be a client of "
                   "ivshmem-server: leave 'server' out");
    unlink(path);
}

static void test_chardev_over_tcp(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    g_autofree char *arguments = NULL;

    g_assert_cmpint(bind(listener, (struct sockaddr *)&address, length),
                    ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    g_assert_cmpint(getsockname(listener, (struct sockaddr *)&address,
                                &length), ==, 0);
    arguments =
        g_strdup_printf("-chardev socket,host=127.0.0.1,port=%u,id=iv "
                        "-device 'ivshmem-flat,chardev=iv," PLACED "'",
                        ntohs(address.sin_port));
    assert_refused(arguments, "chardev 'iv' can't pass file descriptors: "
                   "it must be a UNIX socket, given by path=");
    close(listener);
}

static void test_covers_device(void)
{
    g_autoptr(Server) s = server_start(4 * MiB, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "mps2-an385", WIRED);

    assert_said("the window at x-bus-address-shmem covers 'lan9118-mmio' "
                "at 0x40200000");
    /* The window is what the guest sees there */
    qtest_writel(vm, 0x40200000, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(s->shm + 0x100000), ==, 0x600dcafe);
}

static void test_covers_ram(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "mps2-an385", WIRED
        ",shmem-size=1M,x-bus-address-shmem=0x20000000");

    assert_said("the window at x-bus-address-shmem covers 'mps.ssram23' "
                "at 0x20000000");
}

static void test_covers_stand_in(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "mps2-an385", WIRED
        ",shmem-size=1M,x-bus-address-shmem=0x41000000");

    g_assert_false(said("warning"));
}

static void test_hidden_by_cpu(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "mps2-an385", WIRED
        ",shmem-size=1M,x-bus-address-shmem=0x42000000");

    assert_said("the window at x-bus-address-shmem is hidden behind 'bitband' "
                "at 0x42000000");
}

/* The SoC has memory of its own, in front of the board's */
static void test_hidden_by_soc(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "microbit",
        "x-bus-qompath=/sysbus,shmem-size=1M,x-bus-address-shmem=0x20000000");

    assert_said("the window at x-bus-address-shmem is hidden behind "
                "'nrf51.sram' at 0x20000000");
}

static void test_windows_overlap_each_other(void)
{
    assert_options_refused(WIRED ",shmem-size=1M,x-bus-address-mmr=0x600ffff0,"
                           "x-bus-address-shmem=0x60000000",
                           "x-bus-address-mmr 0x600ffff0 lies within the "
                           "shared memory, 1048576 bytes from 0x60000000");
}

static void test_help(void)
{
    g_autofree char *command =
        g_strdup_printf("%s -device ivshmem-flat,help",
                        getenv("QTEST_QEMU_BINARY"));
    static const char *const properties[] = {
        "chardev", "shmem-size", "x-bus-qompath", "x-irq-qompath",
        "x-bus-address-mmr", "x-bus-address-shmem", "own-id", "connected",
        "peers", "version",
    };
    g_autofree char *help = NULL;

    g_assert_true(g_spawn_command_line_sync(command, &help, NULL, NULL, NULL));
    for (unsigned i = 0; i < ARRAY_SIZE(properties); i++) {
        g_autofree char *described =
            g_strdup_printf("  %s=<[a-z0-9]*> *- [A-Z]", properties[i]);

        g_assert_true(g_regex_match_simple(described, help, 0, 0));
    }
    g_assert_true(g_regex_match_simple("  version=<string> .*: [0-9]+\\.[0-9] ",
                                       help, 0, 0));
}

/*
 * Machines and boards
 */

static void test_other_machine(const void *machine)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_options(s, machine,
        "x-bus-qompath=/sysbus,x-bus-address-mmr=0x70000000,"
        "x-bus-address-shmem=0x70100000,"
        "shmem-size=1M", "2>/dev/null");

    stl_le_p(s->shm, 0x600dcafe);
    g_assert_cmphex(qtest_readl(vm, 0x70100000), ==, 0x600dcafe);
    qtest_writel(vm, 0x70000000 + INTRMASK, 0xa5a5);
    g_assert_cmphex(qtest_readl(vm, 0x70000000 + INTRMASK), ==, 0xa5a5);
}

static void test_two_devices(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(Server) t = server_start(64 * KiB, 1);
    g_autoptr(TestPeer) p = peer_join(t);
    g_autofree char *second =
        g_strdup_printf("-chardev socket,path=%s,id=iw -device "
                        "'ivshmem-flat,chardev=iw,x-bus-qompath=/sysbus,"
                        "x-irq-qompath=nvic/unnamed-gpio-in[28],"
                        "x-bus-address-mmr=0x70000000,"
                        "x-bus-address-shmem=0x70100000,shmem-size=64K'",
                        t->socket);
    g_autoptr(QTestState) vm =
        vm_start_options(s, "mps2-an385", PLACED, second);

    g_assert_cmpuint(own_id(vm), ==, 0);
    g_assert_cmpuint(qtest_readl(vm, 0x70000000 + IVPOSITION), ==, 1);

    ring(vm, 0, 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    g_assert_false(irq_pending(vm, 28));
    g_assert_cmpuint(p->rung[0], ==, 0);

    qtest_writel(vm, 0x70000000 + DOORBELL, peer_id(p) << 16);
    WAIT_FOR(peer_was_rung(p, 0));
    peer_ring(p, 1, 0);
    WAIT_FOR(irq_pending(vm, 28));

    qtest_writel(vm, 0x70100000, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(t->shm), ==, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(s->shm), ==, 0);
}

/* A board that creates, maps and wires the device in C */
static void test_board_code(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = qtest_initf("-machine ivshmem-flat-testboard "
                                           "-chardev socket,path=%s,id=ivshmem",
                                           s->socket);

    g_assert_cmpuint(own_id(vm), ==, 1);
    stl_le_p(s->shm, 0x600dcafe);
    g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x600dcafe);
    ring(vm, peer_id(p), 0);
    WAIT_FOR(peer_was_rung(p, 0));
    peer_ring(p, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/*
 * What a user can ask for
 */

static void test_properties(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) first = peer_join(s);
    g_autoptr(TestPeer) second = peer_join(s);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");

    g_assert_cmpuint(qom_get_number(vm, "own-id"), ==, 2);
    g_assert_cmpuint(qom_get_number(vm, "peers"), ==, 2);
    g_assert_true(connected(vm));
}

static void test_properties_are_read_only(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");

    qobject_unref(qtest_qmp_assert_failure_ref(vm,
        "{'execute': 'qom-set', 'arguments': {'path': %s, "
        "'property': 'own-id', 'value': 3}}", DEVICE_PATH));
    g_assert_cmpuint(own_id(vm), ==, 0);
}

static void test_trace(void)
{
    static const char *const events[] = {
        "ivshmem_flat_connected ", "ivshmem_flat_own_id ",
        "ivshmem_flat_shmem ", "ivshmem_flat_vector ", "ivshmem_flat_read ",
        "ivshmem_flat_write ", "ivshmem_flat_bad_access ",
        "ivshmem_flat_ring ", "ivshmem_flat_ring_ignored ",
        "ivshmem_flat_interrupt ", "ivshmem_flat_peer_left ",
        "ivshmem_flat_server_error ",
    };
    Server *s = server_start(SHM_SIZE, 1);
    TestPeer *p = peer_join(s);
    g_autofree char *path = said_path();
    g_autofree char *trace = g_strdup_printf("-trace 'ivshmem_flat_*' -D %s "
                                             "2>/dev/null", path);
    g_autoptr(QTestState) vm = vm_start_options(s, "mps2-an385", PLACED,
                                                trace);

    qtest_readb(vm, MMR);
    ring(vm, 7, 0);
    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    peer_leave(p);
    WAIT_FOR(qom_get_number(vm, "peers") == 0);
    server_stop(s);
    WAIT_FOR(!connected(vm));
    for (unsigned i = 0; i < ARRAY_SIZE(events); i++) {
        assert_said(events[i]);
    }
}

static void test_migration_is_refused(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");
    QDict *error = qtest_qmp_assert_failure_ref(vm,
        "{'execute': 'migrate', 'arguments': {'uri': 'exec:cat'}}");
    g_autofree char *snapshot = NULL;

    g_assert_nonnull(strstr(qdict_get_str(error, "desc"),
                            "ivshmem-flat allows no migration"));
    qobject_unref(error);
    snapshot = qtest_hmp(vm, "savevm before");
    g_assert_nonnull(strstr(snapshot, "ivshmem-flat allows no migration and "
                            "no snapshots"));
}

static void test_unrealize(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");
    g_autoptr(TestPeer) p = peer_join(s);

    WAIT_FOR(qom_get_number(vm, "peers") == 1);
    for (unsigned i = 0; i < 100; i++) {
        ring(vm, own_id(vm), 0);
    }
    qtest_qmp_assert_success(vm, "{'execute': 'qom-set', 'arguments': "
                             "{'path': %s, 'property': 'realized', "
                             "'value': false}}", DEVICE_PATH);
    g_assert_cmpuint(own_id(vm), ==, 0);
    ring(vm, peer_id(p), 0);
}

/* It would be the server's second life, with other peers and another ID */
static void test_realize_twice(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");
    QDict *error;

    qtest_qmp_assert_success(vm, "{'execute': 'qom-set', 'arguments': "
                             "{'path': %s, 'property': 'realized', "
                             "'value': false}}", DEVICE_PATH);
    error = qtest_qmp_assert_failure_ref(vm, "{'execute': 'qom-set', "
                                         "'arguments': {'path': %s, "
                                         "'property': 'realized', "
                                         "'value': true}}", DEVICE_PATH);
    g_assert_cmpstr(qdict_get_str(error, "desc"), ==,
                    "can't be realized a second time");
    qobject_unref(error);
}

/*
 * The end of the server, and of QEMU
 */

static void test_server_back(const void *board)
{
    Server *s = server_start(SHM_SIZE, 1);
    g_autofree char *socket = g_strdup(s->socket);
    g_autofree char *chardev = g_strdup_printf("%s," RECONNECT, socket);
    TestPeer *p = peer_join(s);
    g_autoptr(QTestState) vm =
        vm_start_on(chardev, board, PLACED, "2>/dev/null");
    g_autoptr(Server) back = NULL;
    g_autoptr(TestPeer) q = NULL;

    g_assert_cmpuint(own_id(vm), ==, 1);
    peer_leave(p);
    server_stop(s);
    WAIT_FOR(!connected(vm));

    back = server_start_on(socket, SHM_SIZE, 1);
    WAIT_FOR(connected(vm));
    q = peer_join(back);
    WAIT_FOR(own_id(vm) != peer_id(q) && qom_get_number(vm, "peers") == 1);
    ring(vm, peer_id(q), 0);
    WAIT_FOR(peer_was_rung(q, 0));
    peer_ring(q, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    qtest_writel(vm, SHMEM, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(back->shm), ==, 0x600dcafe);
}

/* The end of QEMU is not the end of the server */
static void test_quit_is_silent(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    QTestState *vm = vm_start_listened(s, "mps2-an385", PLACED);

    qtest_quit(vm);
    g_assert_false(said("server has gone"));
}

/*
 * All tests
 */

static void add_for_each_board(const char *name, GTestDataFunc test)
{
    for (unsigned i = 0; i < ARRAY_SIZE(boards); i++) {
        g_autofree char *path = g_strdup_printf("ivshmem-flat/%s/%s",
                                                boards[i], name);

        if (qtest_has_machine(boards[i])) {
            qtest_add_data_func(path, boards[i], test);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* As the server's own main() does: its clients leave at any time */
    signal(SIGPIPE, SIG_IGN);

    add_for_each_board("registers/reset-values", test_reset_values);
    add_for_each_board("registers/intrmask-keeps-value",
                       test_intrmask_keeps_value);
    add_for_each_board("registers/intrstatus-clears-on-read",
                       test_intrstatus_clears_on_read);
    add_for_each_board("registers/intrstatus-ignores-doorbell",
                       test_intrstatus_ignores_doorbell);
    add_for_each_board("registers/reset-clears", test_reset_clears_registers);
    add_for_each_board("registers/ivposition-is-own-id",
                       test_ivposition_is_own_id);
    add_for_each_board("doorbell/ring-self", test_ring_self);
    add_for_each_board("doorbell/ring-both-ways", test_ring_both_ways);
    add_for_each_board("doorbell/rung-by-peer", test_rung_by_peer);
    add_for_each_board("doorbell/ring-peer-that-was-there",
                       test_ring_peer_that_was_there);
    add_for_each_board("doorbell/ring-peer-that-came-later",
                       test_ring_peer_that_came_later);
    add_for_each_board("doorbell/ring-peer-that-just-came",
                       test_ring_peer_that_just_came);
    add_for_each_board("doorbell/ring-each-vector", test_ring_each_vector);
    add_for_each_board("doorbell/ring-full-eventfd", test_ring_full_eventfd);
    add_for_each_board("doorbell/other-vectors-are-not-heard",
                       test_other_vectors_are_not_heard);
    add_for_each_board("doorbell/peers-come-and-go", test_peers_come_and_go);
    add_for_each_board("doorbell/rung-before-first-run",
                       test_rung_before_first_run);
    add_for_each_board("doorbell/rung-while-paused", test_rung_while_paused);
    add_for_each_board("server-back", test_server_back);
    add_for_each_board("memory/host-to-vm", test_memory_host_to_vm);
    add_for_each_board("memory/vm-to-host", test_memory_vm_to_host);
    add_for_each_board("memory/vm-to-vm", test_memory_vm_to_vm);
    add_for_each_board("memory/sizes", test_memory_sizes);
    add_for_each_board("options/default-addresses", test_default_addresses);
    add_for_each_board("options/chosen-addresses", test_chosen_addresses);
    add_for_each_board("options/no-irq", test_no_irq);
    add_for_each_board("options/no-irq-no-vectors", test_no_irq_no_vectors);

    if (qtest_has_machine("lm3s6965evb")) {
        qtest_add_func("ivshmem-flat/options/irq-old-path",
                       test_irq_old_path);
    }

    if (qtest_has_machine("mps2-an385")) {
        qtest_add_func("ivshmem-flat/registers/ivposition-is-read-only",
                       test_ivposition_is_read_only);
        qtest_add_func("ivshmem-flat/registers/doorbell-is-write-only",
                       test_doorbell_is_write_only);
        qtest_add_func("ivshmem-flat/registers/narrow-read", test_narrow_read);
        qtest_add_func("ivshmem-flat/registers/narrow-write",
                       test_narrow_write);
        qtest_add_func("ivshmem-flat/registers/wide-access", test_wide_access);
        qtest_add_func("ivshmem-flat/registers/unaligned-access",
                       test_unaligned_access);
        qtest_add_func("ivshmem-flat/doorbell/ring-absent-peer",
                       test_ring_absent_peer);
        qtest_add_func("ivshmem-flat/doorbell/peer-comes-after-ring-of-absent",
                       test_peer_comes_after_ring_of_absent);
        qtest_add_func("ivshmem-flat/doorbell/ring-absent-vector",
                       test_ring_absent_vector);
        qtest_add_func("ivshmem-flat/doorbell/ring-peer-that-left",
                       test_ring_peer_that_left);
        qtest_add_func("ivshmem-flat/options/irq-absolute-path",
                       test_irq_absolute_path);
        qtest_add_func("ivshmem-flat/options/irq-partial-path",
                       test_irq_partial_path);
        qtest_add_func("ivshmem-flat/options/irq-moved-path",
                       test_irq_moved_path);
        qtest_add_func("ivshmem-flat/options/irq-unknown-path",
                       test_irq_unknown_path);
        qtest_add_func("ivshmem-flat/options/irq-unknown-partial-path",
                       test_irq_unknown_partial_path);
        qtest_add_func("ivshmem-flat/options/irq-part-of-a-component",
                       test_irq_part_of_a_component);
        qtest_add_func("ivshmem-flat/options/irq-ambiguous-path",
                       test_irq_ambiguous_path);
        qtest_add_func("ivshmem-flat/options/irq-not-a-line",
                       test_irq_not_a_line);
        qtest_add_func("ivshmem-flat/options/bus-missing", test_bus_missing);
        qtest_add_func("ivshmem-flat/options/bus-unknown", test_bus_unknown);
        qtest_add_func("ivshmem-flat/options/size-mismatch",
                       test_size_mismatch);
        qtest_add_func("ivshmem-flat/options/size-zero", test_size_zero);
        qtest_add_func("ivshmem-flat/options/size-unaligned",
                       test_size_unaligned);
        qtest_add_func("ivshmem-flat/options/mmr-unaligned",
                       test_mmr_unaligned);
        qtest_add_func("ivshmem-flat/options/shmem-unaligned",
                       test_shmem_unaligned);
        qtest_add_func("ivshmem-flat/options/shmem-too-high",
                       test_shmem_too_high);
        qtest_add_func("ivshmem-flat/options/no-vectors", test_no_vectors);
        qtest_add_func("ivshmem-flat/options/chardev-missing",
                       test_chardev_missing);
        qtest_add_func("ivshmem-flat/options/chardev-not-a-socket",
                       test_chardev_not_a_socket);
        qtest_add_func("ivshmem-flat/options/chardev-is-a-server",
                       test_chardev_is_a_server);
        qtest_add_func("ivshmem-flat/options/chardev-over-tcp",
                       test_chardev_over_tcp);
        qtest_add_func("ivshmem-flat/options/covers-device",
                       test_covers_device);
        qtest_add_func("ivshmem-flat/options/covers-ram", test_covers_ram);
        qtest_add_func("ivshmem-flat/options/covers-stand-in",
                       test_covers_stand_in);
        qtest_add_func("ivshmem-flat/options/hidden-by-cpu",
                       test_hidden_by_cpu);
        qtest_add_func("ivshmem-flat/options/windows-overlap-each-other",
                       test_windows_overlap_each_other);
        qtest_add_func("ivshmem-flat/options/help", test_help);
        qtest_add_func("ivshmem-flat/machines/two-devices", test_two_devices);
        qtest_add_func("ivshmem-flat/properties/values", test_properties);
        qtest_add_func("ivshmem-flat/properties/read-only",
                       test_properties_are_read_only);
        qtest_add_func("ivshmem-flat/trace", test_trace);
        qtest_add_func("ivshmem-flat/migration-is-refused",
                       test_migration_is_refused);
        qtest_add_func("ivshmem-flat/unrealize", test_unrealize);
        qtest_add_func("ivshmem-flat/realize-twice", test_realize_twice);
        qtest_add_func("ivshmem-flat/server/quit-is-silent",
                       test_quit_is_silent);
    }

    if (qtest_has_machine("ivshmem-flat-testboard")) {
        qtest_add_func("ivshmem-flat/machines/board-code", test_board_code);
    }
    if (qtest_has_machine("microbit")) {
        qtest_add_func("ivshmem-flat/options/hidden-by-soc",
                       test_hidden_by_soc);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(other_machines); i++) {
        g_autofree char *path = g_strdup_printf("ivshmem-flat/machines/%s",
                                                other_machines[i]);

        if (qtest_has_machine(other_machines[i])) {
            qtest_add_data_func(path, other_machines[i], test_other_machine);
        }
    }

    return run_tests();
}
