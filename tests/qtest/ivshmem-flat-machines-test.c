/*
 * QTest testcases for ivshmem-flat on various machines, and its life cycle
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "ivshmem-flat-real-server.h"
#include "ivshmem-flat-wait.h"

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
    g_autoptr(Server) s = server_start(SHM_SIZE, 2);
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
    g_assert_false(irq_pending(vm, IRQ_LINE + 1));
    peer_ring(p, own_id(vm), 1);
    WAIT_FOR(irq_pending(vm, IRQ_LINE + 1));
}

/* QEMU exits if it finds a device there that it cannot place */
static void test_platform_bus(void)
{
    static const char *const places[] = { "", "," MEMORY_ONLY };

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        g_autofree char *arguments = g_strdup_printf(
            "-machine virt -chardev null,id=iv -device "
            "'ivshmem-flat,chardev=iv%s'", places[i]);

        assert_refused(arguments, "this machine has a platform bus, which does "
                       "not support ivshmem-flat");
        assert_said("use -device ivshmem-doorbell");
    }
}

static void test_record(void)
{
    g_autofree char *arguments = g_strdup_printf(
        "-icount shift=6,rr=record,rrfile=%s/recording -chardev null,id=iv "
        "-device 'ivshmem-flat,chardev=iv," MEMORY_ONLY "'", tmpdir);
    g_autofree char *recording = g_strdup_printf("%s/recording", tmpdir);

    assert_refused(arguments,
                   "record and replay (-icount rr=) is not supported");
    unlink(recording);
}

/*
 * Properties and commands
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

/* Only effective doorbells count. Two rings may become one interrupt. */
static void test_counts(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");

    g_assert_cmpuint(qom_get_number(vm, "doorbells"), ==, 0);
    g_assert_cmpuint(qom_get_number(vm, "interrupts"), ==, 0);
    ring(vm, 7, 0);
    ring(vm, peer_id(p), 1);
    g_assert_cmpuint(qom_get_number(vm, "doorbells"), ==, 0);
    ring(vm, peer_id(p), 0);
    ring(vm, peer_id(p), 0);
    g_assert_cmpuint(qom_get_number(vm, "doorbells"), ==, 2);
    g_assert_cmpuint(qom_get_number(vm, "interrupts"), ==, 0);
    ring(vm, own_id(vm), 0);
    g_assert_cmpuint(qom_get_number(vm, "doorbells"), ==, 3);
    g_assert_cmpuint(qom_get_number(vm, "interrupts"), ==, 1);
    peer_ring(p, own_id(vm), 0);
    WAIT_FOR(qom_get_number(vm, "interrupts") == 2);
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
        "ivshmem_flat_connected iv: ", "ivshmem_flat_own_id iv: ",
        "ivshmem_flat_shmem iv: ", "ivshmem_flat_vector iv: ",
        "ivshmem_flat_read iv: ", "ivshmem_flat_write iv: ",
        "ivshmem_flat_bad_access iv: ", "ivshmem_flat_ring iv: ",
        "ivshmem_flat_ring_ignored iv: ", "ivshmem_flat_interrupt iv: ",
        "ivshmem_flat_peer_left iv: ", "ivshmem_flat_server_error iv: ",
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
                            "State blocked by non-migratable device"));
    qobject_unref(error);
    snapshot = qtest_hmp(vm, "savevm before");
    g_assert_nonnull(strstr(snapshot, "ivshmem-flat'"));
}

static void unrealize(QTestState *vm)
{
    qtest_qmp_assert_success(vm, "{'execute': 'qom-set', 'arguments': "
                             "{'path': %s, 'property': 'realized', "
                             "'value': false}}", DEVICE_PATH);
}

/* Returns the error, or NULL */
static QDict *try_realize(QTestState *vm)
{
    QDict *reply = qtest_qmp(vm, "{'execute': 'qom-set', 'arguments': "
                             "{'path': %s, 'property': 'realized', "
                             "'value': true}}", DEVICE_PATH);
    QDict *error = qdict_get_qdict(reply, "error");

    if (error) {
        qobject_ref(error);
    }
    qobject_unref(reply);
    return error;
}

static void test_unrealize(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start(s, "mps2-an385");
    g_autoptr(TestPeer) p = peer_join(s);

    WAIT_FOR(qom_get_number(vm, "peers") == 1);
    qtest_writel(vm, SHMEM, 0x600dcafe);
    for (unsigned i = 0; i < 100; i++) {
        ring(vm, own_id(vm), 0);
    }
    unrealize(vm);
    g_assert_false(connected(vm));
    /* Neither window is mapped */
    reg_write(vm, INTRMASK, 0xa5a5);
    g_assert_cmphex(reg_read(vm, INTRMASK), ==, 0);
    g_assert_cmphex(qtest_readl(vm, SHMEM), !=, 0x600dcafe);
    ring(vm, peer_id(p), 0);
    peer_update(p);
    g_assert_cmpuint(p->rung[0], ==, 0);
}

static void test_realize_again(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autofree char *chardev = g_strdup_printf("%s," RECONNECT, s->socket);
    g_autoptr(TestPeer) p = peer_join(s);
    g_autoptr(QTestState) vm = vm_start_on(chardev, "mps2-an385", PLACED,
                                           "2>/dev/null");
    QDict *error;

    for (unsigned i = 0; i < 2; i++) {
        unrealize(vm);
        /* Fails until the chardev has reconnected */
        error = try_realize(vm);
        g_assert_nonnull(strstr(qdict_get_str(error, "desc"),
                                "is not connected"));
        qobject_unref(error);
        WAIT_FOR(!(error = try_realize(vm)) || (qobject_unref(error), false));

        g_assert_true(connected(vm));
        g_assert_cmpuint(own_id(vm), !=, peer_id(p));
        WAIT_FOR(qom_get_number(vm, "peers") == 1);
        stl_le_p(s->shm, 0x600dcafe + i);
        g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x600dcafe + i);
        ring(vm, peer_id(p), 0);
        WAIT_FOR(peer_was_rung(p, 0));
        irq_clear(vm, IRQ_LINE);
        peer_ring(p, own_id(vm), 0);
        WAIT_FOR(irq_pending(vm, IRQ_LINE));
    }
}

/*
 * The server or QEMU ends
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
    g_assert_cmpuint(qom_get_number(vm, "sessions"), ==, 1);
    peer_leave(p);
    server_stop(s);
    WAIT_FOR(!connected(vm));

    back = server_start_on(socket, SHM_SIZE, 1);
    WAIT_FOR(connected(vm));
    q = peer_join(back);
    WAIT_FOR(own_id(vm) != peer_id(q) && qom_get_number(vm, "peers") == 1);
    g_assert_cmpuint(qom_get_number(vm, "sessions"), ==, 2);
    /* The interrupt that says the server is back */
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    irq_clear(vm, IRQ_LINE);
    ring(vm, peer_id(q), 0);
    WAIT_FOR(peer_was_rung(q, 0));
    peer_ring(q, own_id(vm), 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    qtest_writel(vm, SHMEM, 0x600dcafe);
    g_assert_cmphex(ldl_le_p(back->shm), ==, 0x600dcafe);
}

/* The server stays when QEMU exits, and QEMU says nothing */
static void test_quit_is_silent(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    QTestState *vm = vm_start_listened(s, "mps2-an385", PLACED);

    qtest_quit(vm);
    g_assert_false(said("server has gone"));
}

static const Test on_testboard[] = {
    { "machines/board-code", test_board_code },
};

static const Test on_virt[] = {
    { "machines/platform-bus", test_platform_bus },
};

/* Machines without a platform bus need no change for the device */
static const char *const other_machines[] = {
    "microbit", "netduinoplus2", "raspi0", "raspi2b",
};

static const BoardTest on_each_board[] = {
    { "server-back", test_server_back },
};

static const Test on_one_board[] = {
    { "machines/two-devices", test_two_devices },
    { "properties/values", test_properties },
    { "properties/counts", test_counts },
    { "properties/read-only", test_properties_are_read_only },
    { "trace", test_trace },
    { "migration-is-refused", test_migration_is_refused },
    { "unrealize", test_unrealize },
    { "realize-again", test_realize_again },
    { "machines/record", test_record },
    { "server/quit-is-silent", test_quit_is_silent },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_board_tests(on_each_board, ARRAY_SIZE(on_each_board));
    add_tests("mps2-an385", on_one_board, ARRAY_SIZE(on_one_board));
    add_tests("ivshmem-flat-testboard", on_testboard, ARRAY_SIZE(on_testboard));
    add_tests("virt", on_virt, ARRAY_SIZE(on_virt));
    for (unsigned i = 0; i < ARRAY_SIZE(other_machines); i++) {
        g_autofree char *path = g_strdup_printf("ivshmem-flat/machines/%s",
                                                other_machines[i]);

        if (qtest_has_machine(other_machines[i])) {
            qtest_add_data_func(path, other_machines[i], test_other_machine);
        }
    }
    return run_tests();
}
