/*
 * QTest testcases for the interrupt lines of ivshmem-flat's vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define SHM_SIZE    (64 * KiB)
#define OWN_ID      3
#define FIRST_LINE  24

/*
 * A VM with lines for @lines vectors, and a server that provides @vectors
 */

typedef struct Rig {
    FakeServer *server;
    FakePeer *own;
    int shm_fd;
    unsigned lines;
    QTestState *vm;
} Rig;

static void talk(FakeServer *server, void *opaque)
{
    Rig *rig = opaque;

    fake_server_greet(server, OWN_ID, rig->shm_fd);
    fake_server_announce(server, rig->own);
}

static char *line_paths(unsigned count)
{
    GString *paths = g_string_new("");

    for (unsigned i = 0; i < count; i++) {
        g_string_append_printf(paths, "%snvic/unnamed-gpio-in[%u]",
                               i ? ";" : "", FIRST_LINE + i);
    }
    return g_string_free(paths, false);
}

static Rig *rig_start(unsigned lines, unsigned vectors)
{
    Rig *rig = g_new0(Rig, 1);
    g_autofree char *paths = line_paths(lines);
    g_autofree char *options = g_strdup_printf(
        "x-bus-qompath=/sysbus," AT_SHMEM ",shmem-size=64K,x-irq-qompath=%s",
        paths);
    g_autofree char *redirect = said_redirect();
    g_autofree char *socket = NULL;

    rig->server = fake_server_new(tmpdir);
    socket = g_strdup_printf("%s," RECONNECT,
                             fake_server_socket(rig->server));
    rig->own = fake_peer_new(OWN_ID, vectors);
    rig->shm_fd = fake_shm_new(SHM_SIZE);
    rig->lines = lines;
    fake_server_expect(rig->server, talk, rig);
    rig->vm = vm_start_on(socket, "mps2-an385", options, redirect);
    fake_server_join(rig->server);
    return rig;
}

static void rig_stop(Rig *rig)
{
    qtest_quit(rig->vm);
    fake_server_free(rig->server);
    fake_peer_free(rig->own);
    close(rig->shm_fd);
    g_free(rig);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rig, rig_stop)

/* Asserts that line @vector was pulsed, and no other */
static void assert_pulsed(Rig *rig, unsigned vector)
{
    WAIT_FOR(irq_pending(rig->vm, FIRST_LINE + vector));
    for (unsigned i = 0; i < rig->lines; i++) {
        g_assert_cmpint(irq_pending(rig->vm, FIRST_LINE + i), ==, i == vector);
    }
    irq_clear(rig->vm, FIRST_LINE + vector);
}

static void assert_lines_pulse(Rig *rig, unsigned vectors)
{
    for (unsigned i = 0; i < vectors; i++) {
        fake_peer_ring(rig->own, i);
        assert_pulsed(rig, i);
        ring(rig->vm, OWN_ID, i);
        assert_pulsed(rig, i);
    }
}

static void test_each_vector_its_line(const void *lines)
{
    unsigned count = GPOINTER_TO_UINT(lines);
    g_autoptr(Rig) rig = rig_start(count, count);

    assert_lines_pulse(rig, count);
    g_assert_false(said("warning"));
}

/* Rung before other vectors: if it had a line, it would be pending */
static void test_vector_without_line(void)
{
    g_autoptr(Rig) rig = rig_start(2, 3);

    fake_peer_ring(rig->own, 2);
    ring(rig->vm, OWN_ID, 2);
    ring(rig->vm, OWN_ID, 3);
    assert_lines_pulse(rig, 2);
    g_assert_cmpuint(fake_peer_rung(rig->own, 2), ==, 1);
    g_assert_false(irq_pending(rig->vm, FIRST_LINE + 2));
}

static void test_line_without_vector(void)
{
    g_autoptr(Rig) rig = rig_start(3, 1);

    assert_said("flat: server sent only 1 of 3 interrupt vectors within 5 s: "
                "the other lines are not used");
    assert_lines_pulse(rig, 1);
}

static void test_all_pending_while_paused(void)
{
    g_autoptr(Rig) rig = rig_start(3, 3);

    qtest_qmp_assert_success(rig->vm, "{'execute': 'stop'}");
    for (unsigned i = 0; i < 3; i++) {
        ring(rig->vm, OWN_ID, i);
        g_assert_false(irq_pending(rig->vm, FIRST_LINE + i));
    }
    qtest_qmp_assert_success(rig->vm, "{'execute': 'cont'}");
    for (unsigned i = 0; i < 3; i++) {
        WAIT_FOR(irq_pending(rig->vm, FIRST_LINE + i));
    }
}

/*
 * The interrupt when the server is back
 */

static void assert_news(Rig *rig, Rig *again)
{
    fake_server_hang_up(rig->server);
    WAIT_FOR(!connected(rig->vm));
    g_assert_cmpuint(qom_get_number(rig->vm, "sessions"), ==, 1);
    for (unsigned i = 0; i < rig->lines; i++) {
        g_assert_false(irq_pending(rig->vm, FIRST_LINE + i));
    }
    fake_server_expect(rig->server, talk, again);
    fake_server_join(rig->server);
    WAIT_FOR(fake_server_all_read(rig->server));
    g_assert_cmpuint(qom_get_number(rig->vm, "sessions"), ==, 2);
    assert_pulsed(rig, 0);
}

static void test_news_with_same_memory(void)
{
    g_autoptr(Rig) rig = rig_start(2, 2);
    g_autoptr(FakePeer) own = fake_peer_new(OWN_ID, 2);
    Rig again = { .own = own, .shm_fd = rig->shm_fd };

    assert_news(rig, &again);
}

static void test_news_with_other_memory(void)
{
    g_autoptr(Rig) rig = rig_start(2, 2);
    g_autoptr(FakePeer) own = fake_peer_new(OWN_ID, 2);
    Rig again = { .own = own, .shm_fd = fake_shm_new(SHM_SIZE) };

    qtest_writel(rig->vm, SHMEM, 0x600dcafe);
    assert_news(rig, &again);
    g_assert_cmphex(qtest_readl(rig->vm, SHMEM), ==, 0);
    close(again.shm_fd);
}

/* The new memory alone causes the interrupt; a warning follows */
static void test_news_without_vectors(void)
{
    g_autoptr(Rig) rig = rig_start(2, 2);
    g_autoptr(FakePeer) own = fake_peer_new(OWN_ID, 0);
    Rig again = { .own = own, .shm_fd = rig->shm_fd };

    assert_news(rig, &again);
    WAIT_FOR(said("server is back, but sent no interrupt vector within 5 s"));
}

/*
 * Paths
 */

static void assert_paths_refused(const char *paths, const char *reason)
{
    g_autofree char *arguments = g_strdup_printf(
        "-chardev null,id=iv -device 'ivshmem-flat,chardev=iv,"
        "x-bus-qompath=/sysbus,x-irq-qompath=%s'", paths);

    assert_refused(arguments, reason);
}

static void test_second_path_is_wrong(void)
{
    assert_paths_refused("nvic/unnamed-gpio-in[0];nvic/line[1]",
                         "x-irq-qompath 'nvic/line[1]' "
                         "matches no interrupt input line");
    assert_paths_refused("nvic/unnamed-gpio-in[0];", "x-irq-qompath '' matches "
                         "no interrupt input line");
}

static void test_same_line_twice(void)
{
    assert_paths_refused("nvic/unnamed-gpio-in[0];nvic/unnamed-gpio-in[1];"
                         "/machine/armv7m/nvic/unnamed-gpio-in[0]",
                         "x-irq-qompath gives vectors 0 and 2 the same line, "
                         "'/machine/armv7m/nvic/unnamed-gpio-in[0]'");
}

static void test_too_many_lines(void)
{
    g_autofree char *paths = line_paths(65);

    assert_paths_refused(paths, "x-irq-qompath names 65 lines, "
                         "must be 64 at most");
}

static void test_vectors_are_for_board_code(void)
{
    assert_paths_refused("nvic/unnamed-gpio-in[0],vectors=2",
                         "vectors=2 is for board code: x-irq-qompath=A;B;C "
                         "connects vectors 0, 1 and 2");
    assert_paths_refused("nvic/unnamed-gpio-in[0],vectors=65",
                         "vectors is 65, must be 0 to 64");
}

static const Test tests[] = {
    { "lines/vector-without-line", test_vector_without_line },
    { "lines/line-without-vector", test_line_without_vector },
    { "lines/all-pending-while-paused", test_all_pending_while_paused },
    { "lines/news-with-same-memory", test_news_with_same_memory },
    { "lines/news-with-other-memory", test_news_with_other_memory },
    { "lines/news-without-vectors", test_news_without_vectors },
    { "lines/second-path-is-wrong", test_second_path_is_wrong },
    { "lines/same-line-twice", test_same_line_twice },
    { "lines/too-many", test_too_many_lines },
    { "lines/vectors-are-for-board-code", test_vectors_are_for_board_code },
};

int main(int argc, char **argv)
{
    static const unsigned counts[] = { 1, 2, 3, 8 };

    g_test_init(&argc, &argv, NULL);
    add_tests("mps2-an385", tests, ARRAY_SIZE(tests));
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        g_autofree char *path =
            g_strdup_printf("ivshmem-flat/lines/%u", counts[i]);

        if (qtest_has_machine("mps2-an385")) {
            qtest_add_data_func(path, GUINT_TO_POINTER(counts[i]),
                                test_each_vector_its_line);
        }
    }
    return run_tests();
}
