/*
 * QTest testcases for the registers, doorbells and memory of ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "ivshmem-flat-real-server.h"
#include "ivshmem-flat-wait.h"

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

/* INTRSTATUS is for INTx: doorbells leave it alone, as with MSI-X on PCI */
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
    assert_said("registers need aligned 4-byte accesses");
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

/* As soon as the VM has started, without waiting for anything */
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
 * The server has announced the new peer, but the main loop may not have read
 * the message yet.
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

/* A peer that never reads its eventfd does not block the VM */
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

/* Nobody reads the eventfd, so it stays readable */
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
    assert_said("rings vector 0 of peer 7: no such peer or vector");
    ring(vm, 0xffff, 0xffff);
    assert_said("rings vector 65535 of peer 65535: no such peer or vector");
    ring(vm, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/* After it has looked for an absent peer, the device still listens */
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
    assert_said("rings vector 2 of peer 0: no such peer or vector");
    /* The vector has 16 bits, not 8 */
    ring(vm, peer_id(p), 0x100);
    assert_said("rings vector 256 of peer 0: no such peer or vector");
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
    /* It can still be rung for a moment, in case the server leaves, too */
    WAIT_FOR((ring(vm, 0, 0),
              said("rings vector 0 of peer 0: no such peer or vector")));
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

static const BoardTest on_each_board[] = {
    { "registers/reset-values", test_reset_values },
    { "registers/intrmask-keeps-value", test_intrmask_keeps_value },
    { "registers/intrstatus-clears-on-read", test_intrstatus_clears_on_read },
    { "registers/intrstatus-ignores-doorbell",
      test_intrstatus_ignores_doorbell },
    { "registers/reset-clears", test_reset_clears_registers },
    { "registers/ivposition-is-own-id", test_ivposition_is_own_id },
    { "doorbell/ring-self", test_ring_self },
    { "doorbell/ring-both-ways", test_ring_both_ways },
    { "doorbell/rung-by-peer", test_rung_by_peer },
    { "doorbell/ring-peer-that-was-there", test_ring_peer_that_was_there },
    { "doorbell/ring-peer-that-came-later", test_ring_peer_that_came_later },
    { "doorbell/ring-peer-that-just-came", test_ring_peer_that_just_came },
    { "doorbell/ring-each-vector", test_ring_each_vector },
    { "doorbell/ring-full-eventfd", test_ring_full_eventfd },
    { "doorbell/other-vectors-are-not-heard",
      test_other_vectors_are_not_heard },
    { "doorbell/peers-come-and-go", test_peers_come_and_go },
    { "doorbell/rung-before-first-run", test_rung_before_first_run },
    { "doorbell/rung-while-paused", test_rung_while_paused },
    { "memory/host-to-vm", test_memory_host_to_vm },
    { "memory/vm-to-host", test_memory_vm_to_host },
    { "memory/vm-to-vm", test_memory_vm_to_vm },
    { "memory/sizes", test_memory_sizes },
};

static const Test on_one_board[] = {
    { "registers/ivposition-is-read-only", test_ivposition_is_read_only },
    { "registers/doorbell-is-write-only", test_doorbell_is_write_only },
    { "registers/narrow-read", test_narrow_read },
    { "registers/narrow-write", test_narrow_write },
    { "registers/wide-access", test_wide_access },
    { "registers/unaligned-access", test_unaligned_access },
    { "doorbell/ring-absent-peer", test_ring_absent_peer },
    { "doorbell/peer-comes-after-ring-of-absent",
      test_peer_comes_after_ring_of_absent },
    { "doorbell/ring-absent-vector", test_ring_absent_vector },
    { "doorbell/ring-peer-that-left", test_ring_peer_that_left },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_board_tests(on_each_board, ARRAY_SIZE(on_each_board));
    add_tests("mps2-an385", on_one_board, ARRAY_SIZE(on_one_board));
    return run_tests();
}
