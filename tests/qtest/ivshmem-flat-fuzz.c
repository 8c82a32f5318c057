/*
 * Random input for fuzzers of ivshmem-flat, and a VM to send it to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include "qemu/bswap.h"
#include "ivshmem-flat-fuzz.h"
#include "ivshmem-flat-wait.h"

#define DEFAULT_SECONDS 15

unsigned pick(unsigned n)
{
    return g_test_rand_int_range(0, n);
}

bool one_in(unsigned n)
{
    return pick(n) == 0;
}

uint32_t random_u32(void)
{
    return g_test_rand_int();
}

uint64_t random_u64(void)
{
    return (uint64_t)random_u32() << 32 | random_u32();
}

/*
 * Limits of a run
 */

Run run_start(const char *what, unsigned max_rounds)
{
    const char *wanted = g_getenv("FUZZ_SECONDS");
    double seconds = DEFAULT_SECONDS;
    gint64 now = g_get_monotonic_time();

    if (wanted && *wanted) {
        seconds = g_ascii_strtod(wanted, NULL);
        max_rounds = UINT_MAX;
    }
    if (seconds <= 0) {
        g_error("FUZZ_SECONDS=%s: must be a number of seconds", wanted);
    }
    return (Run) {
        .what = what,
        .start = now,
        .end = now + seconds * G_TIME_SPAN_SECOND,
        .max_rounds = max_rounds,
    };
}

bool run_on(Run *run)
{
    /* libqtest waits forever for a VM that hangs */
    alarm(60);
    if (run->rounds == run->max_rounds || g_get_monotonic_time() >= run->end) {
        return false;
    }
    run->rounds++;
    return true;
}

double run_seconds(const Run *run)
{
    return (g_get_monotonic_time() - run->start) / (double)G_TIME_SPAN_SECOND;
}

/*
 * A VM, its fake server, and the state that both should have
 */

static void world_greet(FakeServer *server, void *opaque)
{
    World *w = opaque;

    fake_server_greet(server, w->own->id, w->shm_fd);
    fake_server_announce(server, w->own);
}

World *world_new(void)
{
    World *w = g_new0(World, 1);
    g_autofree char *socket = NULL;

    w->server = fake_server_new(tmpdir);
    socket = g_strdup_printf("%s," RECONNECT, fake_server_socket(w->server));
    w->own = fake_peer_new(random_u32(), LINES);
    w->shm_fd = fake_shm_new(SHMEM_SIZE);
    w->shm = mmap(NULL, SHMEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                  w->shm_fd, 0);
    g_assert(w->shm != MAP_FAILED);
    fake_server_expect(w->server, world_greet, w);
    w->vm = vm_start_on(socket, "mps2-an385", PLACED, "2>/dev/null");
    fake_server_join(w->server);
    return w;
}

void world_free(World *w)
{
    qtest_quit(w->vm);
    for (unsigned i = 0; i < w->n_peers; i++) {
        fake_peer_free(w->peers[i].fake);
    }
    fake_peer_free(w->own);
    fake_server_free(w->server);
    munmap(w->shm, SHMEM_SIZE);
    close(w->shm_fd);
    g_free(w);
}

void world_sync(World *w)
{
    WAIT_FOR(fake_server_all_read(w->server));
}

Peer *world_find_peer(World *w, unsigned id)
{
    for (unsigned i = 0; i < w->n_peers; i++) {
        if (w->peers[i].fake->id == id) {
            return &w->peers[i];
        }
    }
    return NULL;
}

Peer *world_join(World *w, unsigned id)
{
    Peer *p = &w->peers[w->n_peers++];

    *p = (Peer) { .fake = fake_peer_new(id, 1 + pick(MAX_VECTORS)) };
    fake_server_announce(w->server, p->fake);
    return p;
}

void world_leave(World *w, Peer *p)
{
    fake_server_send(w->server, p->fake->id, -1);
    w->gone = p->fake->id;
    fake_peer_free(p->fake);
    *p = w->peers[--w->n_peers];
}

void world_return(World *w)
{
    fake_server_hang_up(w->server);
    WAIT_FOR(!connected(w->vm));
    while (w->n_peers) {
        fake_peer_free(w->peers[--w->n_peers].fake);
    }
    fake_peer_free(w->own);
    w->own = fake_peer_new(random_u32(), LINES);
    fake_server_expect(w->server, world_greet, w);
    fake_server_join(w->server);
    world_sync(w);
    WAIT_FOR(irq_pending(w->vm, FIRST_LINE));
}

static void world_check_lines(World *w)
{
    for (unsigned i = 0; i < LINES; i++) {
        irq_clear(w->vm, FIRST_LINE + i);
        ring(w->vm, w->own->id, i);
        WAIT_FOR(irq_pending(w->vm, FIRST_LINE + i));
        irq_clear(w->vm, FIRST_LINE + i);
        fake_peer_ring(w->own, i);
        WAIT_FOR(irq_pending(w->vm, FIRST_LINE + i));
    }
}

void world_check(World *w)
{
    unsigned id = w->own->id ^ 0x5555;
    uint32_t value = random_u32();
    Peer *p;

    world_sync(w);
    reg_write(w->vm, INTRMASK, value);
    g_assert_cmphex(reg_read(w->vm, INTRMASK), ==, value);
    reg_write(w->vm, INTRSTATUS, ~value);
    g_assert_cmphex(reg_read(w->vm, INTRSTATUS), ==, ~value);
    g_assert_cmphex(reg_read(w->vm, INTRSTATUS), ==, 0);
    g_assert_cmpuint(own_id(w->vm), ==, w->own->id);
    w->intrmask = value;
    w->intrstatus = 0;

    stl_le_p(w->shm + SHMEM_SIZE - 4, value);
    g_assert_cmphex(qtest_readl(w->vm, SHMEM + SHMEM_SIZE - 4), ==, value);
    qtest_writel(w->vm, SHMEM, ~value);
    g_assert_cmphex((uint32_t)ldl_le_p(w->shm), ==, ~value);

    world_check_lines(w);

    g_assert_null(world_find_peer(w, id));
    p = world_join(w, id);
    ring(w->vm, id, p->fake->n_vectors - 1);
    g_assert_cmpuint(fake_peer_rung(p->fake, p->fake->n_vectors - 1), ==, 1);
    world_leave(w, p);
    world_sync(w);
}

unsigned world_count_fds(World *w)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", qtest_pid(w->vm));
    g_autoptr(GDir) dir = NULL;
    unsigned count = 0;

    /* The reply comes after the last message has been processed */
    world_sync(w);
    reg_read(w->vm, INTRMASK);
    dir = g_dir_open(path, 0, NULL);
    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        count++;
    }
    return count;
}

/*
 * Eventfds of peers that never read
 */

/* Only the kernel, for asynchronous I/O, can make an eventfd overflow */
static void overflow_eventfd(int fd)
{
    static aio_context_t context;
    struct iocb request = {
        .aio_lio_opcode = IOCB_CMD_PREAD,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = fd,
    };
    struct iocb *requests[] = { &request };
    struct io_event event;

    if (!context) {
        g_assert_cmpint(syscall(SYS_io_setup, 1, &context), ==, 0);
    }
    request.aio_fildes = open("/dev/null", O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(syscall(SYS_io_submit, context, 1, requests), ==, 1);
    g_assert_cmpint(syscall(SYS_io_getevents, context, 1, 1, &event, NULL),
                    ==, 1);
    close(request.aio_fildes);
}

void fill_eventfd(int fd, bool overflow)
{
    const uint64_t full = UINT64_MAX - 1;

    g_assert_cmpint(write(fd, &full, sizeof(full)), ==, sizeof(full));
    g_assert_true(g_unix_set_fd_nonblocking(fd, false, NULL));
    if (overflow) {
        overflow_eventfd(fd);
    }
}
