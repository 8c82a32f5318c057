/*
 * QTest testcases for the options of ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "ivshmem-flat-real-server.h"
#include "ivshmem-flat-wait.h"

#define SHMEM_DEFAULT   0x40100000

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

/* Without interrupts, the server need not give any vectors */
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
    assert_said("/machine/elsewhere/nvic/unnamed-gpio-in[0]' does not exist on "
                "this machine: using '/machine/armv7m/nvic/unnamed-gpio-in[0]'");
}

/* Where the lm3s6965evb's interrupt controller is, and was until QEMU 8 */
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
                           "matches no interrupt input line");
}

static void test_irq_unknown_partial_path(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=nvic/line[0]",
                           "x-irq-qompath 'nvic/line[0]' "
                           "matches no interrupt input line");
    assert_said("The interrupt controllers of this machine have these input "
                "lines:\n");
    assert_said("\n  /machine/armv7m/nvic/unnamed-gpio-in[0] to [31]\n");
}

static void test_irq_part_of_a_component(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=vic/unnamed-gpio-in[0]",
                           "x-irq-qompath 'vic/unnamed-gpio-in[0]' "
                           "matches no interrupt input line");
}

static void test_irq_ambiguous_path(void)
{
    assert_options_refused("x-bus-qompath=/sysbus,shmem-size=1M,"
                           "x-irq-qompath=unnamed-gpio-in[0]",
                           "x-irq-qompath 'unnamed-gpio-in[0]' matches ");
    assert_said(" interrupt input lines\nUse the full path of one:\n");
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

/* No value of shmem-size fits: the server has to change */
static void test_size_impossible(void)
{
    static const size_t sizes[] = { 1, 1024, 2048 };

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        g_autoptr(Server) s = server_start(sizes[i], 1);
        g_autofree char *arguments =
            g_strdup_printf("-chardev socket,path=%s,id=iv -device "
                            "'ivshmem-flat,chardev=iv," PLACED "'", s->socket);
        g_autofree char *reason =
            g_strdup_printf("but server's shared memory has %zu", sizes[i]);

        assert_refused(arguments, reason);
        g_assert_false(said("Use shmem-size="));
        assert_said("Start the server with a multiple of the host's page size");
    }
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
                   "within 5 s, but 3 other messages");
    assert_said("Start the server with '-n 1' or more");
    assert_said("QEMU's ivshmem-server drops messages");
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
                   "an ivshmem server: leave 'server' out");
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
    assert_refused(arguments, "chardev 'iv' cannot pass file descriptors: "
                   "it must be a UNIX socket, given by path= or fd=");
    close(listener);
}

static void test_covers_device(void)
{
    g_autoptr(Server) s = server_start(4 * MiB, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "mps2-an385", WIRED);

    assert_said("the window at x-bus-address-shmem covers 'lan9118-mmio' "
                "at 0x40200000");
    /* The guest sees the window there */
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

/* The SoC's own memory hides the board's */
static void test_hidden_by_soc(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "microbit",
        "x-bus-qompath=/sysbus,shmem-size=1M,x-bus-address-shmem=0x20000000");

    assert_said("the window at x-bus-address-shmem is hidden behind "
                "'nrf51.sram' at 0x20000000");
}

static void test_no_cpu_sees_it(void)
{
    g_autoptr(Server) s = server_start(SHM_SIZE, 1);
    g_autoptr(QTestState) vm = vm_start_listened(s, "none",
        "x-bus-qompath=/sysbus," AT_SHMEM ",shmem-size=1M");

    assert_said("no CPU of this machine sees the registers or the shared "
                "memory");
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
        "peers", "sessions", "doorbells", "interrupts", "version", "vectors",
        "iothread",
    };
    g_autofree char *help = NULL;

    g_assert_true(g_spawn_command_line_sync(command, &help, NULL, NULL, NULL));
    for (unsigned i = 0; i < ARRAY_SIZE(properties); i++) {
        g_autofree char *described =
            g_strdup_printf("  %s=<[a-zA-Z0-9<>]*> *- [A-Z]", properties[i]);

        g_assert_true(g_regex_match_simple(described, help, 0, 0));
    }
    g_assert_true(g_regex_match_simple("  version=<string> .*: "
                                       "[0-9]+\\.[0-9]+\\.[0-9]+ ",
                                       help, 0, 0));
}

static const BoardTest on_each_board[] = {
    { "options/default-addresses", test_default_addresses },
    { "options/chosen-addresses", test_chosen_addresses },
    { "options/no-irq", test_no_irq },
    { "options/no-irq-no-vectors", test_no_irq_no_vectors },
};

static const Test on_one_board[] = {
    { "options/irq-absolute-path", test_irq_absolute_path },
    { "options/irq-partial-path", test_irq_partial_path },
    { "options/irq-moved-path", test_irq_moved_path },
    { "options/irq-unknown-path", test_irq_unknown_path },
    { "options/irq-unknown-partial-path", test_irq_unknown_partial_path },
    { "options/irq-part-of-a-component", test_irq_part_of_a_component },
    { "options/irq-ambiguous-path", test_irq_ambiguous_path },
    { "options/irq-not-a-line", test_irq_not_a_line },
    { "options/bus-missing", test_bus_missing },
    { "options/bus-unknown", test_bus_unknown },
    { "options/size-mismatch", test_size_mismatch },
    { "options/size-impossible", test_size_impossible },
    { "options/size-zero", test_size_zero },
    { "options/size-unaligned", test_size_unaligned },
    { "options/mmr-unaligned", test_mmr_unaligned },
    { "options/shmem-unaligned", test_shmem_unaligned },
    { "options/shmem-too-high", test_shmem_too_high },
    { "options/no-vectors", test_no_vectors },
    { "options/chardev-missing", test_chardev_missing },
    { "options/chardev-not-a-socket", test_chardev_not_a_socket },
    { "options/chardev-is-a-server", test_chardev_is_a_server },
    { "options/chardev-over-tcp", test_chardev_over_tcp },
    { "options/covers-device", test_covers_device },
    { "options/covers-ram", test_covers_ram },
    { "options/covers-stand-in", test_covers_stand_in },
    { "options/hidden-by-cpu", test_hidden_by_cpu },
    { "options/windows-overlap-each-other", test_windows_overlap_each_other },
    { "options/help", test_help },
};

static const Test on_none[] = {
    { "options/no-cpu-sees-it", test_no_cpu_sees_it },
};

static const Test on_lm3s6965evb[] = {
    { "options/irq-old-path", test_irq_old_path },
};

static const Test on_microbit[] = {
    { "options/hidden-by-soc", test_hidden_by_soc },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_board_tests(on_each_board, ARRAY_SIZE(on_each_board));
    add_tests("mps2-an385", on_one_board, ARRAY_SIZE(on_one_board));
    add_tests("lm3s6965evb", on_lm3s6965evb, ARRAY_SIZE(on_lm3s6965evb));
    add_tests("none", on_none, ARRAY_SIZE(on_none));
    add_tests("microbit", on_microbit, ARRAY_SIZE(on_microbit));
    return run_tests();
}
