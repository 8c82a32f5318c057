/*
 * QTest testcases for ivshmem-flat with unusual servers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * QEMU's own server always follows the protocol.  This one sends bad
 * handshakes, sends messages in pieces, and returns with other peers and other
 * memory.
 */

#include "qemu/osdep.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define SHM_SIZE    (1 * MiB)
#define PLACED      WIRED "," AT_SHMEM ",shmem-size=1M"

/* What a good server offers: the device's ID, shared memory and one peer */
typedef struct Offer {
    FakePeer *own;
    FakePeer *peer;
    int shm_fd;
} Offer;

/* Takes ownership of @shm_fd */
static Offer *offer_new(uint16_t own_id, uint16_t peer_id, int shm_fd)
{
    Offer *offer = g_new(Offer, 1);

    offer->own = fake_peer_new(own_id, 1);
    offer->peer = fake_peer_new(peer_id, 1);
    offer->shm_fd = shm_fd;
    return offer;
}

static void offer_free(Offer *offer)
{
    fake_peer_free(offer->own);
    fake_peer_free(offer->peer);
    close(offer->shm_fd);
    g_free(offer);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Offer, offer_free)

static Offer *first_offer(void)
{
    return offer_new(3, 5, fake_shm_new(SHM_SIZE));
}

/* Everything but perhaps the memory differs from the first offer */
static Offer *second_offer(int shm_fd)
{
    return offer_new(7, 9, shm_fd);
}

static void talk_offer(FakeServer *server, void *opaque)
{
    Offer *offer = opaque;

    fake_server_greet(server, offer->own->id, offer->shm_fd);
    fake_server_announce(server, offer->peer);
    fake_server_announce(server, offer->own);
}

static QTestState *vm_start(FakeServer *server, Offer *offer,
                            const char *extra)
{
    g_autofree char *socket = g_strdup_printf("%s," RECONNECT,
                                              fake_server_socket(server));
    QTestState *vm;

    fake_server_expect(server, talk_offer, offer);
    vm = vm_start_on(socket, "mps2-an385", PLACED, extra);
    fake_server_join(server);
    return vm;
}

static void assert_taken(QTestState *vm, Offer *offer)
{
    WAIT_FOR(own_id(vm) == offer->own->id);
    WAIT_FOR(qom_get_number(vm, "peers") == 1);
    g_assert_true(connected(vm));
    ring(vm, offer->peer->id, 0);
    WAIT_FOR(fake_peer_rung(offer->peer, 0));
    /* The interrupt that says the server is back */
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    irq_clear(vm, IRQ_LINE);
    g_assert_false(irq_pending(vm, IRQ_LINE));
    fake_peer_ring(offer->own, 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

/*
 * Good servers
 */

/* The reset that ends machine creation must not clear the interrupt */
static void test_rung_before_qemu_starts(void)
{
    g_autoptr(Offer) offer = first_offer();
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(QTestState) vm = NULL;

    fake_peer_ring(offer->own, 0);
    vm = vm_start(server, offer, "");
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
}

static void test_memory_is_sealed(void)
{
    g_autoptr(Offer) offer = first_offer();
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(QTestState) vm = vm_start(server, offer, "");

    g_assert_cmpint(ftruncate(offer->shm_fd, 0), ==, -1);
    g_assert_cmpint(errno, ==, EPERM);
    qtest_writel(vm, SHMEM + SHM_SIZE - 4, 0x600dcafe);
    g_assert_cmphex(qtest_readl(vm, SHMEM + SHM_SIZE - 4), ==, 0x600dcafe);
}

static bool write_proc(const char *name, const char *text)
{
    g_autofree char *path = g_strdup_printf("/proc/self/%s", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = write(fd, text, strlen(text)) == strlen(text);

    close(fd);
    return written;
}

static bool become_root_of_namespace(void)
{
    g_autofree char *users = g_strdup_printf("0 %u 1", getuid());
    g_autofree char *groups = g_strdup_printf("0 %u 1", getgid());

    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_proc("uid_map", users) && write_proc("setgroups", "deny") &&
           write_proc("gid_map", groups);
}

static int open_file_in_tmpfs(const char *options, size_t size)
{
    g_autofree char *path = g_strdup_printf("%s/file", tmpdir);
    int fd;

    if (!become_root_of_namespace() ||
        mount("none", tmpdir, "tmpfs", 0, options) < 0) {
        return -1;
    }
    fd = open(path, O_CREAT | O_RDWR, 0600);
    return ftruncate(fd, size) == 0 ? fd : -1;
}

/*
 * A file of @size bytes in a file system of only 64 KiB, or -1 if users may not
 * mount one.  The child shares this process's file descriptors; its mount ends
 * with it.
 */
static int file_without_space(size_t size)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
    int status;

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        int file = open_file_in_tmpfs("size=64k", size);

        _exit(file < 0 || dup3(file, fd, O_CLOEXEC) < 0 || close(file) < 0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (status != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void test_memory_without_space(void)
{
    int fd = file_without_space(SHM_SIZE);
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *redirect = said_redirect();
    g_autoptr(Offer) offer = NULL;
    g_autoptr(QTestState) vm = NULL;

    if (fd < 0) {
        g_test_skip("no user namespaces to mount a small file system in");
        return;
    }
    offer = offer_new(3, 5, fd);
    vm = vm_start(server, offer, redirect);
    assert_said("flat: the shared memory needs 1048576 more bytes, but its "
                "file system has only 65536 left: QEMU will die of SIGBUS");
}

/*
 * The server leaves and returns
 */

static void server_go(FakeServer *server, QTestState *vm)
{
    fake_server_hang_up(server);
    WAIT_FOR(!connected(vm));
}

static void test_server_gone(void)
{
    g_autoptr(Offer) offer = first_offer();
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *redirect = said_redirect();
    g_autoptr(QTestState) vm = vm_start(server, offer, redirect);

    fake_server_hang_up(server);
    WAIT_FOR(said("server has gone"));
    g_assert_false(connected(vm));
    g_assert_cmpuint(qom_get_number(vm, "peers"), ==, 1);
    ring(vm, 5, 0);
    WAIT_FOR(fake_peer_rung(offer->peer, 0));
    ring(vm, 3, 0);
    WAIT_FOR(irq_pending(vm, IRQ_LINE));
    qtest_writel(vm, SHMEM, 0x600dcafe);
    g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x600dcafe);
}

/* QEMU's mappings of the server's memory, one per line */
static char *mappings(QTestState *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", qtest_pid(vm));
    GString *found = g_string_new("");
    g_autofree char *maps = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(g_file_get_contents(path, &maps, NULL, NULL));
    lines = g_strsplit(maps, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (strstr(*line, "memfd:" FAKE_SHM_NAME)) {
            g_string_append_printf(found, "%s\n", *line);
        }
    }
    g_assert_cmpuint(found->len, >, 0);
    return g_string_free(found, false);
}

static bool has_one_mapping(QTestState *vm)
{
    g_autofree char *all = mappings(vm);

    return strchr(all, '\n') == strrchr(all, '\n');
}

static void test_server_back_with_same_memory(void)
{
    g_autoptr(Offer) first = first_offer();
    g_autoptr(Offer) second = second_offer(dup(first->shm_fd));
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(QTestState) vm = vm_start(server, first, "");
    g_autofree char *before = mappings(vm);
    g_autofree char *after = NULL;

    qtest_writel(vm, SHMEM, 0x600dcafe);
    server_go(server, vm);
    fake_server_expect(server, talk_offer, second);

    assert_taken(vm, second);
    g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x600dcafe);
    after = mappings(vm);
    g_assert_cmpstr(before, ==, after);
}

static void test_server_back_with_other_memory(void)
{
    const uint32_t word = cpu_to_le32(0x600dcafe);
    g_autoptr(Offer) first = first_offer();
    g_autoptr(Offer) second = second_offer(fake_shm_new(SHM_SIZE));
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(QTestState) vm = vm_start(server, first, "");

    qtest_writel(vm, SHMEM, 0xdeadbeef);
    server_go(server, vm);
    g_assert_cmpint(pwrite(second->shm_fd, &word, sizeof(word), 0), ==,
                    sizeof(word));
    fake_server_expect(server, talk_offer, second);

    assert_taken(vm, second);
    g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x600dcafe);
    WAIT_FOR(has_one_mapping(vm));
}

static void test_server_back_with_other_size(void)
{
    g_autoptr(Offer) first = first_offer();
    g_autoptr(Offer) second = second_offer(fake_shm_new(2 * SHM_SIZE));
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *redirect = said_redirect();
    g_autoptr(QTestState) vm = vm_start(server, first, redirect);

    qtest_writel(vm, SHMEM, 0x600dcafe);
    server_go(server, vm);
    fake_server_expect(server, talk_offer, second);

    WAIT_FOR(said("shmem-size is 1048576 bytes, but server's shared memory "
                  "has 2097152"));
    assert_taken(vm, second);
    g_assert_cmphex(qtest_readl(vm, SHMEM), ==, 0x600dcafe);
}

static void talk_another_version(FakeServer *server, void *opaque)
{
    fake_server_send(server, 1, -1);
}

static void test_server_back_after_bad_one(void)
{
    g_autoptr(Offer) first = first_offer();
    g_autoptr(Offer) second = second_offer(fake_shm_new(SHM_SIZE));
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autofree char *redirect = said_redirect();
    g_autoptr(QTestState) vm = vm_start(server, first, redirect);

    server_go(server, vm);
    fake_server_expect(server, talk_another_version, NULL);
    WAIT_FOR(said("server sent protocol version 1"));
    fake_server_join(server);
    WAIT_FOR(fake_server_client_left(server));
    server_go(server, vm);
    g_assert_cmpuint(own_id(vm), ==, 3);

    fake_server_expect(server, talk_offer, second);
    assert_taken(vm, second);
}

typedef struct Visit {
    Offer *offer;
    pid_t vm;
} Visit;

/* QEMU is stopped until everything has been sent */
static void talk_and_leave(FakeServer *server, void *opaque)
{
    Visit *visit = opaque;

    kill(visit->vm, SIGSTOP);
    talk_offer(server, visit->offer);
    fake_server_hang_up(server);
    kill(visit->vm, SIGCONT);
}

static void test_server_back_for_a_moment(void)
{
    g_autoptr(Offer) first = first_offer();
    g_autoptr(Offer) second = second_offer(fake_shm_new(SHM_SIZE));
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(QTestState) vm = vm_start(server, first, "");
    Visit visit = { .offer = second, .vm = qtest_pid(vm) };

    server_go(server, vm);
    fake_server_expect(server, talk_and_leave, &visit);
    WAIT_FOR(own_id(vm) == second->own->id);
    WAIT_FOR(!connected(vm));
    g_assert_cmpuint(qom_get_number(vm, "peers"), ==, 1);
    ring(vm, second->peer->id, 0);
    WAIT_FOR(fake_peer_rung(second->peer, 0));
}

/* The first to notice the hang-up may be a guest that rings an absent peer */
static void test_server_back_after_ring_of_absent(void)
{
    g_autoptr(Offer) first = first_offer();
    g_autoptr(Offer) second = second_offer(fake_shm_new(SHM_SIZE));
    g_autoptr(FakeServer) server = fake_server_new(tmpdir);
    g_autoptr(QTestState) vm = vm_start(server, first, "");

    kill(qtest_pid(vm), SIGSTOP);
    fake_server_hang_up(server);
    kill(qtest_pid(vm), SIGCONT);
    ring(vm, 4, 0);
    WAIT_FOR(!connected(vm));

    fake_server_expect(server, talk_offer, second);
    assert_taken(vm, second);
}

/* Without the socket the device cannot start and does not wait */
static void test_reconnect_needs_server(void)
{
    g_autofree char *arguments =
        g_strdup_printf("-chardev socket,path=%s/nobody,id=iv," RECONNECT " "
                        "-device 'ivshmem-flat,chardev=iv," PLACED "'",
                        tmpdir);

    assert_refused(arguments, "chardev 'iv' is not connected: "
                   "start the ivshmem server first");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_machine("mps2-an385")) {
        return 0;
    }

    qtest_add_func("ivshmem-flat/doorbell/rung-before-qemu-starts",
                   test_rung_before_qemu_starts);
    qtest_add_func("ivshmem-flat/memory/sealed", test_memory_is_sealed);
    qtest_add_func("ivshmem-flat/memory/without-space",
                   test_memory_without_space);
    qtest_add_func("ivshmem-flat/server/gone", test_server_gone);
    qtest_add_func("ivshmem-flat/server/back-with-same-memory",
                   test_server_back_with_same_memory);
    qtest_add_func("ivshmem-flat/server/back-with-other-memory",
                   test_server_back_with_other_memory);
    qtest_add_func("ivshmem-flat/server/back-with-other-size",
                   test_server_back_with_other_size);
    qtest_add_func("ivshmem-flat/server/back-for-a-moment",
                   test_server_back_for_a_moment);
    qtest_add_func("ivshmem-flat/server/back-after-bad-one",
                   test_server_back_after_bad_one);
    qtest_add_func("ivshmem-flat/server/back-after-ring-of-absent",
                   test_server_back_after_ring_of_absent);
    qtest_add_func("ivshmem-flat/server/reconnect-needs-server",
                   test_reconnect_needs_server);

    return run_tests();
}
