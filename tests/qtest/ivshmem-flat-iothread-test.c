/*
 * QTest testcases for ivshmem-flat's IOThread
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * A doorbell rings continuously while the VM is reset, stopped or resumed, or
 * the device is reconnected or removed.  Each test runs with the device's own
 * IOThread, with one that the user has created, and with one that polls.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define SHM_SIZE    (1 * MiB)
#define PLACED      WIRED "," AT_SHMEM ",shmem-size=1M"
#define IOTHREAD    "-object iothread,id=io"
#define USES_IT     ",iothread=io"

#define OWN_ID      3

typedef struct Variant {
    const char *name;
    const char *thread;     /* its name on the host */
    const char *object;
    const char *options;
} Variant;

static const Variant variants[] = {
    { "own", "IO ivshmem[0]\n", "", PLACED },
    { "given", "IO io\n", IOTHREAD ",poll-max-ns=0", PLACED USES_IT },
    { "polling", "IO io\n", IOTHREAD ",poll-max-ns=1000000", PLACED USES_IT },
};

/*
 * A VM and the eventfd that rings it
 */

typedef struct Rig {
    FakeServer *server;
    FakePeer *own;
    int shm_fd;
    QTestState *vm;
    GThread *ringer;
    bool enough;
} Rig;

static void talk(FakeServer *server, void *opaque)
{
    Rig *rig = opaque;

    fake_server_greet(server, OWN_ID, rig->shm_fd);
    fake_server_announce(server, rig->own);
}

static Rig *rig_new(void)
{
    Rig *rig = g_new0(Rig, 1);

    rig->server = fake_server_new(tmpdir);
    rig->own = fake_peer_new(OWN_ID, 1);
    rig->shm_fd = fake_shm_new(SHM_SIZE);
    return rig;
}

static Rig *rig_start(const Variant *variant, const char *extra)
{
    Rig *rig = rig_new();
    g_autofree char *socket = g_strdup_printf(
        "%s," RECONNECT, fake_server_socket(rig->server));
    g_autofree char *arguments = g_strdup_printf("%s %s", variant->object,
                                                 extra);

    fake_server_expect(rig->server, talk, rig);
    rig->vm = vm_start_on(socket, "mps2-an385", variant->options, arguments);
    fake_server_join(rig->server);
    return rig;
}

static void *ring_on(void *opaque)
{
    Rig *rig = opaque;

    for (unsigned i = 0; !qatomic_read(&rig->enough); i++) {
        fake_peer_ring(rig->own, 0);
        /* Sometimes let the other threads run */
        if (i % 64 == 0) {
            g_usleep(50);
        }
    }
    return NULL;
}

static void rig_ring_on(Rig *rig)
{
    rig->enough = false;
    rig->ringer = g_thread_new("ringer", ring_on, rig);
}

static void rig_ring_no_more(Rig *rig)
{
    if (rig->ringer) {
        qatomic_set(&rig->enough, true);
        g_thread_join(g_steal_pointer(&rig->ringer));
    }
}

static void rig_stop(Rig *rig)
{
    rig_ring_no_more(rig);
    if (rig->vm) {
        qtest_quit(rig->vm);
    }
    fake_server_free(rig->server);
    fake_peer_free(rig->own);
    close(rig->shm_fd);
    g_free(rig);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_stop)

static bool is_heard(FakePeer *peer)
{
    GPollFD fd = { .fd = peer->vectors[0], .events = G_IO_IN };

    return g_poll(&fd, 1, 0) == 0;
}

/* When the second ring has arrived, the first has been handled */
static void let_rings_arrive(Rig *rig)
{
    for (unsigned i = 0; i < 2; i++) {
        fake_peer_ring(rig->own, 0);
        WAIT_FOR(is_heard(rig->own));
    }
    /* So has the work it left to the main loop */
    qtest_qmp_assert_success(rig->vm, "{'execute': 'query-status'}");
}

static void assert_rings_arrive(Rig *rig)
{
    WAIT_FOR(is_heard(rig->own));
    WAIT_FOR((irq_clear(rig->vm, IRQ_LINE), !irq_pending(rig->vm, IRQ_LINE)));
    fake_peer_ring(rig->own, 0);
    WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
}

static void unrealize(QTestState *vm, const char *path)
{
    qtest_qmp_assert_success(vm, "{'execute': 'qom-set', 'arguments': "
                             "{'path': %s, 'property': 'realized', "
                             "'value': false}}", path);
}

/*
 * Tests
 */

/* The names of all IOThreads but the monitor's, one per line */
static char *iothread_names(QTestState *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", qtest_pid(vm));
    g_autoptr(GDir) tasks = g_dir_open(path, 0, NULL);
    g_autoptr(GString) names = g_string_new("");
    const char *task;

    while ((task = g_dir_read_name(tasks))) {
        g_autofree char *comm = g_strdup_printf("%s/%s/comm", path, task);
        g_autofree char *name = NULL;

        if (g_file_get_contents(comm, &name, NULL, NULL) &&
            g_str_has_prefix(name, "IO ") &&
            !g_str_has_prefix(name, "IO mon_")) {
            g_string_append(names, name);
        }
    }
    return g_string_free(g_steal_pointer(&names), false);
}

static void test_threads(const void *opaque)
{
    const Variant *variant = opaque;
    g_autoptr(Rig) rig = rig_start(variant, "-name debug-threads=on");
    g_autofree char *names = iothread_names(rig->vm);

    g_assert_cmpstr(names, ==, variant->thread);
    assert_rings_arrive(rig);
}

static void test_reset(const void *variant)
{
    g_autoptr(Rig) rig = rig_start(variant, "");

    rig_ring_on(rig);
    for (unsigned i = 0; i < 50; i++) {
        qtest_system_reset(rig->vm);
        WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
    }
    rig_ring_no_more(rig);
    assert_rings_arrive(rig);
}

/* A reset clears pending interrupts, not those that wait for the VM to run */
static void test_reset_while_paused(const void *variant)
{
    g_autoptr(Rig) rig = rig_start(variant, "");

    qtest_qmp_assert_success(rig->vm, "{'execute': 'stop'}");
    fake_peer_ring(rig->own, 0);
    qtest_system_reset(rig->vm);
    g_assert_false(irq_pending(rig->vm, IRQ_LINE));
    qtest_qmp_assert_success(rig->vm, "{'execute': 'cont'}");
    WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
}

static void test_pause(const void *variant)
{
    g_autoptr(Rig) rig = rig_start(variant, "");

    rig_ring_on(rig);
    for (unsigned i = 0; i < 50; i++) {
        WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
        qtest_qmp_assert_success(rig->vm, "{'execute': 'stop'}");
        irq_clear(rig->vm, IRQ_LINE);
        let_rings_arrive(rig);
        g_assert_false(irq_pending(rig->vm, IRQ_LINE));
        qtest_qmp_assert_success(rig->vm, "{'execute': 'cont'}");
    }
    rig_ring_no_more(rig);
    assert_rings_arrive(rig);
}

/* Rings just before or after the pause are not lost */
static void test_rung_with_pause(const void *variant)
{
    g_autoptr(Rig) rig = rig_start(variant, "");

    for (unsigned i = 0; i < 500; i++) {
        qtest_qmp_send(rig->vm, "{'execute': 'stop'}");
        g_usleep(g_test_rand_int_range(0, 200));
        fake_peer_ring(rig->own, 0);
        qobject_unref(qtest_qmp_receive(rig->vm));
        qtest_qmp_assert_success(rig->vm, "{'execute': 'cont'}");
        WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
        irq_clear(rig->vm, IRQ_LINE);
    }
}

static void test_unrealize(const void *variant)
{
    for (unsigned i = 0; i < 10; i++) {
        g_autoptr(Rig) rig = rig_start(variant, "");

        rig_ring_on(rig);
        WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
        unrealize(rig->vm, DEVICE_PATH);
        irq_clear(rig->vm, IRQ_LINE);
        /* The main loop replies after it has done its pending work */
        qtest_qmp_assert_success(rig->vm, "{'execute': 'query-status'}");
        g_assert_false(irq_pending(rig->vm, IRQ_LINE));
    }
}

/* The server restarts and gives the device another eventfd */
static void test_server_back(const void *variant)
{
    g_autoptr(Rig) rig = rig_start(variant, "2>/dev/null");
    FakePeer *first = rig->own;

    rig_ring_on(rig);
    WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(FakePeer) next = fake_peer_new(OWN_ID, 1);
        Rig again = { .own = next, .shm_fd = rig->shm_fd };

        fake_server_hang_up(rig->server);
        WAIT_FOR(!connected(rig->vm));
        fake_server_expect(rig->server, talk, &again);
        fake_server_join(rig->server);
        WAIT_FOR(connected(rig->vm));
        fake_peer_ring(next, 0);
        WAIT_FOR(is_heard(next));
    }
    rig_ring_no_more(rig);
    g_assert_cmpuint(fake_peer_rung(first, 0), >, 0);
}

static void talk_of_bad_memory(FakeServer *server, void *opaque)
{
    Rig *rig = opaque;
    int shm_fd = fake_shm_new(2 * SHM_SIZE);

    fake_server_send(server, 0, -1);
    fake_server_send(server, OWN_ID, -1);
    fake_server_announce(server, rig->own);
    fake_server_send(server, -1, shm_fd);
    close(shm_fd);
}

static void test_realize_fails(const void *opaque)
{
    const Variant *variant = opaque;
    g_autoptr(Rig) rig = rig_new();
    g_autofree char *arguments =
        g_strdup_printf("%s -chardev socket,path=%s,id=iv "
                        "-device 'ivshmem-flat,chardev=iv,%s'",
                        variant->object, fake_server_socket(rig->server),
                        variant->options);

    fake_server_expect(rig->server, talk_of_bad_memory, rig);
    rig_ring_on(rig);
    assert_refused(arguments, "server's shared memory has 2097152");
}

/* Two devices share the thread; one of them is removed */
static void test_shared(void)
{
    g_autoptr(Rig) other = rig_new();
    g_autofree char *device =
        g_strdup_printf("-chardev socket,path=%s,id=iv2 "
                        "-device ivshmem-flat,id=flat2,chardev=iv2,"
                        "x-bus-qompath=/sysbus,shmem-size=1M,"
                        "x-bus-address-mmr=0x70000000,"
                        "x-bus-address-shmem=0x70100000,"
                        "x-irq-qompath=nvic/unnamed-gpio-in[30]" USES_IT,
                        fake_server_socket(other->server));
    g_autoptr(Rig) rig = NULL;

    fake_server_expect(other->server, talk, other);
    rig = rig_start(&variants[1], device);
    fake_server_join(other->server);

    assert_rings_arrive(rig);
    rig_ring_on(other);
    WAIT_FOR(irq_pending(rig->vm, 30));
    unrealize(rig->vm, "/machine/peripheral/flat2");
    assert_rings_arrive(rig);
}

/*
 * The thread runs a block job and serves an export.  At each stop the main loop
 * waits for it with the big lock held: if the thread then waited for the lock,
 * both would hang.
 */
static void test_shared_with_disk(const void *variant)
{
    g_autoptr(Rig) rig =
        rig_start(variant,
                  "-blockdev null-co,node-name=disk,size=1099511627776,"
                  "latency-ns=50000 "
                  "-blockdev null-co,node-name=copy,size=1099511627776,"
                  "latency-ns=50000");
    g_autofree char *socket = g_strdup_printf("%s/nbd", tmpdir);

    alarm(60);
    qtest_qmp_assert_success(rig->vm, "{'execute': 'nbd-server-start', "
                             "'arguments': {'addr': {'type': 'unix', "
                             "'data': {'path': %s}}}}", socket);
    qtest_qmp_assert_success(rig->vm, "{'execute': 'x-blockdev-set-iothread', "
                             "'arguments': {'node-name': 'disk', "
                             "'iothread': 'io'}}");
    qtest_qmp_assert_success(rig->vm, "{'execute': 'blockdev-mirror', "
                             "'arguments': {'job-id': 'job', "
                             "'device': 'disk', 'target': 'copy', "
                             "'sync': 'full'}}");
    qtest_qmp_assert_success(rig->vm, "{'execute': 'block-export-add', "
                             "'arguments': {'type': 'nbd', 'id': 'export', "
                             "'node-name': 'disk', 'iothread': 'io'}}");
    rig_ring_on(rig);
    for (unsigned i = 0; i < 100; i++) {
        qtest_qmp_assert_success(rig->vm, "{'execute': 'stop'}");
        qtest_qmp_assert_success(rig->vm, "{'execute': 'cont'}");
        WAIT_FOR(irq_pending(rig->vm, IRQ_LINE));
    }
    rig_ring_no_more(rig);
    assert_rings_arrive(rig);
    qtest_qmp_assert_success(rig->vm, "{'execute': 'block-job-cancel', "
                             "'arguments': {'device': 'job', "
                             "'force': true}}");
    qtest_qmp_eventwait(rig->vm, "BLOCK_JOB_CANCELLED");
    qtest_qmp_assert_success(rig->vm, "{'execute': 'nbd-server-stop'}");
    alarm(0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        GTestDataFunc run;
    } tests[] = {
        { "threads", test_threads },
        { "reset", test_reset },
        { "reset-while-paused", test_reset_while_paused },
        { "pause", test_pause },
        { "rung-with-pause", test_rung_with_pause },
        { "unrealize", test_unrealize },
        { "server-back", test_server_back },
        { "realize-fails", test_realize_fails },
    };

    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_machine("mps2-an385")) {
        return 0;
    }

    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(variants); j++) {
            g_autofree char *path =
                g_strdup_printf("ivshmem-flat/iothread/%s/%s", tests[i].name,
                                variants[j].name);

            qtest_add_data_func(path, &variants[j], tests[i].run);
        }
    }
    qtest_add_func("ivshmem-flat/iothread/shared", test_shared);
    for (unsigned j = 1; j < ARRAY_SIZE(variants); j++) {
        g_autofree char *path =
            g_strdup_printf("ivshmem-flat/iothread/shared-with-disk/%s",
                            variants[j].name);

        qtest_add_data_func(path, &variants[j], test_shared_with_disk);
    }

    return run_tests();
}
