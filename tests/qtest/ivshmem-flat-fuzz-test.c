/*
 * QTest fuzzers for ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Three fuzzers try to harm the VM: with a guest's accesses, with a server's
 * messages and with a server's handshakes.  Each ends after a number of rounds
 * or after some time, whichever is first.  The environment variable
 * FUZZ_SECONDS sets the time and removes the limit of rounds.
 *
 * The random numbers come from GLib: every run prints its "random seed", and
 * --seed=SEED repeats the run.
 */

#include "qemu/osdep.h"
#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "ivshmem-flat-fake-server.h"
#include "ivshmem-flat-vm.h"
#include "ivshmem-flat-wait.h"

#define MMR_SIZE    0x10
#define SHMEM_SIZE  (64 * KiB)
#define LINES       2
#define FIRST_LINE  24
#define PLACED      "x-bus-qompath=/sysbus," \
                    "x-irq-qompath=nvic/unnamed-gpio-in[24];" \
                    "nvic/unnamed-gpio-in[25]," \
                    AT_SHMEM ",shmem-size=64K"

#define ROUNDS          1000000
#define HANDSHAKES      300
#define DEFAULT_SECONDS 15

/*
 * Random numbers
 */

/* 0 to n - 1 */
static unsigned pick(unsigned n)
{
    return g_test_rand_int_range(0, n);
}

static bool one_in(unsigned n)
{
    return pick(n) == 0;
}

static uint32_t random_u32(void)
{
    return g_test_rand_int();
}

static uint64_t random_u64(void)
{
    return (uint64_t)random_u32() << 32 | random_u32();
}

/*
 * Limits of a run
 */

typedef struct Run {
    const char *what;
    gint64 start, end;
    unsigned rounds, max_rounds;
} Run;

static Run run_start(const char *what, unsigned max_rounds)
{
    const char *wanted = g_getenv("FUZZ_SECONDS");
    double seconds = DEFAULT_SECONDS;
    gint64 now = g_get_monotonic_time();

    if (wanted && *wanted) {
        seconds = g_ascii_strtod(wanted, NULL);
        max_rounds = UINT_MAX;
    }
    if (seconds <= 0) {
        g_error("FUZZ_SECONDS is '%s', must be a number of seconds", wanted);
    }
    return (Run) {
        .what = what,
        .start = now,
        .end = now + seconds * G_TIME_SPAN_SECOND,
        .max_rounds = max_rounds,
    };
}

/* Ends the test if the VM hangs: libqtest would wait forever */
static bool run_on(Run *run)
{
    alarm(60);
    if (run->rounds == run->max_rounds || g_get_monotonic_time() >= run->end) {
        return false;
    }
    run->rounds++;
    return true;
}

static double run_seconds(const Run *run)
{
    return (g_get_monotonic_time() - run->start) / (double)G_TIME_SPAN_SECOND;
}

/*
 * A VM, its fake server, and the state that both should have
 */

#define MAX_PEERS   16
#define MAX_VECTORS 4

typedef struct Peer {
    FakePeer *fake;
    bool deaf;                          /* eventfds full, writers block */
    uint64_t rings[MAX_VECTORS];        /* sent by the guest */
} Peer;

typedef struct World {
    FakeServer *server;
    QTestState *vm;
    int shm_fd;
    uint8_t *shm;
    FakePeer *own;
    Peer peers[MAX_PEERS];
    unsigned n_peers;
    uint16_t gone;                      /* the last peer that left */
    uint32_t intrmask, intrstatus;
} World;

static void world_greet(FakeServer *server, void *opaque)
{
    World *w = opaque;

    fake_server_greet(server, w->own->id, w->shm_fd);
    fake_server_announce(server, w->own);
}

static World *world_new(void)
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

static void world_free(World *w)
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

G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

/* After this, a command finds that QEMU knows all the server has sent */
static void world_sync(World *w)
{
    WAIT_FOR(fake_server_all_read(w->server));
}

static Peer *world_find_peer(World *w, unsigned id)
{
    for (unsigned i = 0; i < w->n_peers; i++) {
        if (w->peers[i].fake->id == id) {
            return &w->peers[i];
        }
    }
    return NULL;
}

static Peer *world_join(World *w, unsigned id)
{
    Peer *p = &w->peers[w->n_peers++];

    *p = (Peer) { .fake = fake_peer_new(id, 1 + pick(MAX_VECTORS)) };
    fake_server_announce(w->server, p->fake);
    return p;
}

static void world_leave(World *w, Peer *p)
{
    fake_server_send(w->server, p->fake->id, -1);
    w->gone = p->fake->id;
    fake_peer_free(p->fake);
    *p = w->peers[--w->n_peers];
}

/* The server restarts with other IDs */
static void world_return(World *w)
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

/* Checks that everything in the device still works */
static void world_check(World *w)
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

static unsigned world_count_fds(World *w)
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
 * Guest: accesses of every size, aligned and not, in and around both windows
 */

static unsigned random_id(World *w)
{
    switch (pick(8)) {
    case 0:
        return random_u32() & 0xffff;
    case 1:
        return w->own->id;
    case 2:
        return w->gone;
    default:
        return w->n_peers ? w->peers[pick(w->n_peers)].fake->id : w->gone;
    }
}

static uint64_t random_value(World *w)
{
    uint32_t doorbell;

    switch (pick(8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return random_u64();
    default:
        doorbell = random_id(w) << 16 |
                   (one_in(8) ? random_u32() & 0xffff : pick(MAX_VECTORS + 1));
        /* Some at other byte offsets, where it is no doorbell */
        return (uint64_t)doorbell << pick(5) * 8 | doorbell;
    }
}

static uint64_t random_address(void)
{
    switch (pick(4)) {
    case 0:
        return SHMEM + pick(SHMEM_SIZE);
    case 1:
        return SHMEM + pick(2) * SHMEM_SIZE - 16 + pick(32);
    case 2:
        return MMR + (one_in(2) ? DOORBELL : pick(MMR_SIZE / 4) * 4);
    default:
        return MMR - 16 + pick(16 + MMR_SIZE + 16);
    }
}

static uint64_t vm_read(World *w, uint64_t address, unsigned size)
{
    switch (size) {
    case 1:
        return qtest_readb(w->vm, address);
    case 2:
        return qtest_readw(w->vm, address);
    case 4:
        return qtest_readl(w->vm, address);
    case 8:
        return qtest_readq(w->vm, address);
    }
    g_assert_not_reached();
}

static void vm_write(World *w, uint64_t address, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        qtest_writeb(w->vm, address, value);
        break;
    case 2:
        qtest_writew(w->vm, address, value);
        break;
    case 4:
        qtest_writel(w->vm, address, value);
        break;
    case 8:
        qtest_writeq(w->vm, address, value);
        break;
    default:
        g_assert_not_reached();
    }
}

static uint32_t expect_register_read(World *w, unsigned offset)
{
    uint32_t value = 0;

    switch (offset) {
    case INTRMASK:
        value = w->intrmask;
        break;
    case INTRSTATUS:
        value = w->intrstatus;
        w->intrstatus = 0;
        break;
    case IVPOSITION:
        value = w->own->id;
        break;
    }
    return value;
}

static void expect_register_write(World *w, unsigned offset, uint32_t value)
{
    unsigned vector = value & 0xffff;
    Peer *p = NULL;

    switch (offset) {
    case INTRMASK:
        w->intrmask = value;
        break;
    case INTRSTATUS:
        w->intrstatus = value;
        break;
    case DOORBELL:
        p = world_find_peer(w, value >> 16);
        if (p && vector < p->fake->n_vectors) {
            p->rings[vector]++;
        }
        break;
    }
}

/*
 * QEMU splits an access where the registers begin, and the rest into powers of
 * two.  The registers accept aligned pieces of 32 bits.
 */
static unsigned cut_access(uint64_t address, unsigned size, bool *is_register)
{
    unsigned piece = address - MMR < MMR_SIZE ? pow2floor(size) : 1;

    *is_register = piece == 4 && address % 4 == 0;
    return piece;
}

static void check_mmr_read(World *w, uint64_t address, unsigned size)
{
    uint8_t known[8] = { }, expected[8] = { };
    uint64_t value;
    bool is_register;
    unsigned piece;

    for (unsigned i = 0; i < size; i += piece) {
        piece = cut_access(address + i, size - i, &is_register);
        if (address + i - MMR < MMR_SIZE) {
            memset(known + i, 0xff, piece);
        }
        if (is_register) {
            stl_le_p(expected + i,
                     expect_register_read(w, address + i - MMR));
        }
    }

    value = vm_read(w, address, size);
    g_assert_cmphex(value & ldq_le_p(known), ==, ldq_le_p(expected));
}

static void check_mmr_write(World *w, uint64_t address, unsigned size)
{
    uint64_t value = random_value(w);
    bool is_register;
    unsigned piece;

    for (unsigned i = 0; i < size; i += piece) {
        piece = cut_access(address + i, size - i, &is_register);
        if (is_register) {
            expect_register_write(w, address + i - MMR, value >> i * 8);
        }
    }

    vm_write(w, address, value, size);
}

static void check_shmem_read(World *w, uint64_t address, unsigned size)
{
    uint64_t value = vm_read(w, address, size);

    for (unsigned i = 0; i < size; i++) {
        uint64_t offset = address + i - SHMEM;

        if (offset < SHMEM_SIZE) {
            g_assert_cmphex(value >> i * 8 & 0xff, ==, w->shm[offset]);
        }
    }
}

static void check_shmem_write(World *w, uint64_t address, unsigned size)
{
    uint64_t value = random_u64();

    vm_write(w, address, value, size);
    for (unsigned i = 0; i < size; i++) {
        uint64_t offset = address + i - SHMEM;

        if (offset < SHMEM_SIZE) {
            g_assert_cmphex(w->shm[offset], ==, value >> i * 8 & 0xff);
        }
    }
}

/* Each peer was rung as often as the guest rang it, and nobody else was */
static void check_rings(World *w)
{
    GPollFD fds[MAX_PEERS * MAX_VECTORS];
    uint64_t *rings[ARRAY_SIZE(fds)];
    unsigned count = 0;

    for (unsigned i = 0; i < w->n_peers; i++) {
        Peer *p = &w->peers[i];

        for (unsigned v = 0; v < p->fake->n_vectors && !p->deaf; v++) {
            fds[count] = (GPollFD) { p->fake->vectors[v], G_IO_IN };
            rings[count++] = &p->rings[v];
        }
    }
    g_poll(fds, count, 0);
    for (unsigned i = 0; i < count; i++) {
        uint64_t rung = 0;

        if (fds[i].revents) {
            g_assert_cmpint(read(fds[i].fd, &rung, sizeof(rung)), ==,
                            sizeof(rung));
        }
        g_assert_cmpuint(rung, ==, *rings[i]);
        *rings[i] = 0;
    }
}

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

/*
 * Makes @fd full, so that writers block.  After an overflow even writing 0
 * blocks.
 */
static void fill_eventfd(int fd, bool overflow)
{
    const uint64_t full = UINT64_MAX - 1;

    g_assert_cmpint(write(fd, &full, sizeof(full)), ==, sizeof(full));
    g_assert_true(g_unix_set_fd_nonblocking(fd, false, NULL));
    if (overflow) {
        overflow_eventfd(fd);
    }
}

static void peer_go_deaf(World *w, Peer *p)
{
    world_sync(w);
    p->deaf = true;
    for (unsigned i = 0; i < p->fake->n_vectors; i++) {
        fake_peer_rung(p->fake, i);
        fill_eventfd(p->fake->vectors[i], one_in(2));
    }
}

static void let_peers_act(World *w)
{
    unsigned id;

    switch (pick(5)) {
    case 0:
        id = random_u32() & 0xffff;
        if (w->n_peers < MAX_PEERS - 1 && id != w->own->id &&
            id != (w->own->id ^ 0x5555) && !world_find_peer(w, id)) {
            /* The peer that had this ID must have left */
            world_sync(w);
            world_join(w, id);
        }
        break;
    case 1:
        if (w->n_peers) {
            world_leave(w, &w->peers[pick(w->n_peers)]);
        }
        break;
    case 2:
        if (w->n_peers && one_in(4)) {
            Peer *p = &w->peers[pick(w->n_peers)];

            if (!p->deaf) {
                peer_go_deaf(w, p);
            }
        }
        break;
    case 3:
        fake_peer_ring(w->own, pick(LINES));
        break;
    case 4:
        irq_clear(w->vm, FIRST_LINE + pick(LINES));
        break;
    }
}

static void test_guest(void)
{
    g_autoptr(World) w = world_new();
    Run run = run_start("guest accesses", ROUNDS);
    unsigned returns = 0;
    unsigned fds;

    fds = world_count_fds(w);
    world_check(w);
    while (run_on(&run)) {
        uint64_t address = random_address();
        unsigned size = one_in(2) ? 4 : 1 << pick(4);

        if (address < MMR + 2 * MMR_SIZE) {
            (one_in(2) ? check_mmr_read : check_mmr_write)(w, address, size);
            check_rings(w);
        } else {
            (one_in(2) ? check_shmem_read : check_shmem_write)(w, address,
                                                               size);
        }
        if (one_in(64)) {
            let_peers_act(w);
        }
        if (one_in(4096)) {
            world_check(w);
        }
        if (one_in(20000)) {
            world_return(w);
            returns++;
        }
    }

    while (w->n_peers) {
        world_leave(w, w->peers);
    }
    world_check(w);
    /* Departed peers are kept for a moment */
    WAIT_FOR(world_count_fds(w) == fds);
    g_test_message("fuzz: %u %s in %.1f s, %u returns of the server",
                   run.rounds, run.what, run_seconds(&run), returns);
}

/*
 * Server: messages in pieces, with right and wrong file descriptors
 */

typedef enum {
    NO_FD,
    EVENT_FD,
    SHM_FD,
    FIRST_STRANGE_FD,
    OVERFLOWN_FD = FIRST_STRANGE_FD,
    SMALL_SHM_FD,
    EPOLL_FD,
    TIMER_FD,
    PIPE_READ_FD,
    PIPE_WRITE_FD,
    SOCKET_FD,
    OTHER_SOCKET_FD,
    NULL_FD,
    ZERO_FD,
    DIRECTORY_FD,
    FD_KINDS,
} FdKind;

static int all_fds[FD_KINDS];

static void open_all_fds(void)
{
    struct itimerspec often = {
        .it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000,
    };
    struct epoll_event always = { .events = EPOLLOUT };

    all_fds[NO_FD] = -1;
    all_fds[EVENT_FD] = eventfd(0, EFD_CLOEXEC);
    all_fds[OVERFLOWN_FD] = eventfd(0, EFD_CLOEXEC);
    fill_eventfd(all_fds[OVERFLOWN_FD], true);
    all_fds[SHM_FD] = fake_shm_new(SHMEM_SIZE);
    all_fds[SMALL_SHM_FD] = fake_shm_new(SHMEM_SIZE / 2);
    all_fds[EPOLL_FD] = epoll_create1(EPOLL_CLOEXEC);
    all_fds[TIMER_FD] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    g_assert_true(g_unix_open_pipe(all_fds + PIPE_READ_FD, FD_CLOEXEC, NULL));
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
                               all_fds + SOCKET_FD), ==, 0);
    all_fds[NULL_FD] = open("/dev/null", O_RDWR | O_CLOEXEC);
    all_fds[ZERO_FD] = open("/dev/zero", O_RDWR | O_CLOEXEC);
    all_fds[DIRECTORY_FD] = open(tmpdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = NO_FD + 1; i < FD_KINDS; i++) {
        g_assert_cmpint(all_fds[i], >=, 0);
    }

    /* Readable whenever QEMU looks */
    g_assert_cmpint(timerfd_settime(all_fds[TIMER_FD], 0, &often, NULL),
                    ==, 0);
    g_assert_cmpint(epoll_ctl(all_fds[EPOLL_FD], EPOLL_CTL_ADD,
                              all_fds[OTHER_SOCKET_FD], &always), ==, 0);
}

static void close_all_fds(void)
{
    for (unsigned i = NO_FD + 1; i < FD_KINDS; i++) {
        close(all_fds[i]);
    }
}

static FdKind random_fd_kind(void)
{
    switch (pick(10)) {
    case 0 ... 3:
        return NO_FD;
    case 4 ... 7:
        return EVENT_FD;
    case 8:
        return SHM_FD;
    default:
        return FIRST_STRANGE_FD + pick(FD_KINDS - FIRST_STRANGE_FD);
    }
}

static int64_t random_number(unsigned own_id)
{
    static const int64_t edges[] = {
        0, -1, -2, UINT16_MAX, UINT16_MAX + 1, INT16_MIN, INT32_MAX, INT32_MIN,
        UINT32_MAX, UINT32_MAX + 1ll, INT64_MAX, INT64_MIN, -65536,
    };

    switch (pick(8)) {
    case 0:
        return edges[pick(ARRAY_SIZE(edges))];
    case 1:
        return own_id;
    case 2:
        return random_u64();
    case 3:
        return random_u32() & 0xffff;
    default:
        return pick(32);
    }
}

/* Data to be sent in pieces of any size, whatever the size of a message */
typedef struct Stream {
    FakeServer *server;
    GByteArray *unsent;
} Stream;

static void stream_send(Stream *s, size_t size, const int *fds, unsigned n_fds)
{
    if (size) {
        fake_server_send_bytes(s->server, s->unsent->data, size, fds, n_fds);
        g_byte_array_remove_range(s->unsent, 0, size);
    }
}

static void stream_put(Stream *s, int64_t number, FdKind kind)
{
    int64_t wire = cpu_to_le64(number);
    unsigned before = s->unsent->len;
    int fds[3];

    g_byte_array_append(s->unsent, (uint8_t *)&wire, sizeof(wire));
    if (kind != NO_FD) {
        /* File descriptors come with any one of the bytes */
        stream_send(s, before + (one_in(2) ? 0 : pick(sizeof(wire))), NULL, 0);
        for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
            fds[i] = all_fds[kind];
        }
        stream_send(s, 1 + pick(s->unsent->len), fds,
                    one_in(8) ? ARRAY_SIZE(fds) : 1);
    } else if (one_in(2)) {
        stream_send(s, pick(s->unsent->len + 1), NULL, 0);
    }
}

static void stream_flush(Stream *s)
{
    stream_send(s, s->unsent->len, NULL, 0);
}

/* How many vectors the device may hold for each ID */
typedef struct Held {
    unsigned of[UINT16_MAX + 1];
    unsigned total;
    unsigned own;       /* never released */
} Held;

#define MAX_HELD        200
#define MAX_HELD_OWN    32

static void held_release(Held *held, Stream *stream)
{
    for (unsigned id = 0; id < ARRAY_SIZE(held->of); id++) {
        if (held->of[id]) {
            stream_put(stream, id, NO_FD);
            held->of[id] = 0;
        }
    }
    held->total = 0;
}

static void put_random_message(World *w, Stream *stream, Held *held)
{
    int64_t number = random_number(w->own->id);
    FdKind kind = random_fd_kind();

    if (number == w->own->id && kind != NO_FD && held->own++ >= MAX_HELD_OWN) {
        kind = NO_FD;
    }
    stream_put(stream, number, kind);
    if (number < 0 || number > UINT16_MAX || number == w->own->id) {
        return;
    }
    if (kind == NO_FD) {
        held->total -= held->of[number];
        held->of[number] = 0;
    } else {
        held->of[number]++;
        held->total++;
    }
    if (held->total > MAX_HELD) {
        held_release(held, stream);
    }
}

static void test_server(void)
{
    g_autoptr(World) w = world_new();
    g_autoptr(GByteArray) unsent = g_byte_array_new();
    g_autofree Held *held = g_new0(Held, 1);
    Stream stream = { w->server, unsent };
    Run run = run_start("server messages", ROUNDS);
    unsigned fds;

    open_all_fds();
    fds = world_count_fds(w);
    world_check(w);
    while (run_on(&run)) {
        put_random_message(w, &stream, held);
        if (one_in(256)) {
            ring(w->vm, random_number(w->own->id), pick(4));
        }
        if (one_in(16384)) {
            held_release(held, &stream);
            stream_flush(&stream);
            world_check(w);
        }
    }

    held_release(held, &stream);
    stream_flush(&stream);
    world_check(w);
    WAIT_FOR(world_count_fds(w) <= fds + MAX_HELD_OWN);
    close_all_fds();
    g_test_message("fuzz: %u %s in %.1f s", run.rounds, run.what,
                   run_seconds(&run));
}

/*
 * Handshakes with some faults
 */

typedef struct Message {
    int64_t number;
    FdKind kind;
} Message;

static GArray *random_handshake(void)
{
    unsigned own_id = random_u32() & 0xffff;
    unsigned peer = random_u32() & 0xffff;
    const Message good[] = {
        { 0 }, { own_id }, { -1, SHM_FD },
        { peer, EVENT_FD }, { peer, EVENT_FD },
        { own_id, EVENT_FD }, { own_id, EVENT_FD },
    };
    GArray *messages = g_array_new(false, false, sizeof(Message));

    g_array_append_vals(messages, good, ARRAY_SIZE(good));
    for (unsigned faults = pick(4); faults && messages->len; faults--) {
        unsigned n = pick(messages->len);
        Message *message = &g_array_index(messages, Message, n);
        Message other = { random_number(own_id), random_fd_kind() };

        switch (pick(6)) {
        case 0:
            message->number = other.number;
            break;
        case 1:
            message->kind = other.kind;
            break;
        case 2:
            other = *message;
            /* fall through */
        case 3:
            g_array_insert_val(messages, n, other);
            break;
        case 4:
            g_array_remove_index(messages, n);
            break;
        case 5:
            g_array_set_size(messages, n);
            break;
        }
    }
    return messages;
}

/* Hangs up at the end, so that QEMU does not wait for what is missing */
static void talk_handshake(FakeServer *server, void *opaque)
{
    GArray *messages = opaque;
    g_autoptr(GByteArray) unsent = g_byte_array_new();
    Stream stream = { server, unsent };

    for (unsigned i = 0; i < messages->len; i++) {
        Message *message = &g_array_index(messages, Message, i);

        stream_put(&stream, message->number, message->kind);
    }
    if (one_in(4)) {
        stream_send(&stream, pick(unsent->len + 1), NULL, 0);
    } else {
        stream_flush(&stream);
    }
    WAIT_FOR(fake_server_all_read(server));
    fake_server_hang_up(server);
}

/* QEMU must accept the device or give a reason for refusing it, in time */
static bool handshake_accepted(FakeServer *server)
{
    g_autofree char *path = said_path();
    g_autofree char *command = g_strdup_printf(
        "echo quit | timeout %d %s -display none -accel qtest -nodefaults "
        "-machine mps2-an385 -monitor stdio -chardev socket,path=%s,id=iv "
        "-device 'ivshmem-flat,chardev=iv," PLACED "' >%s 2>&1", TIMEOUT_S,
        g_getenv("QTEST_QEMU_BINARY"), fake_server_socket(server), path);
    g_autofree char *all = NULL;
    int status = system(command);

    g_assert_true(g_file_get_contents(path, &all, NULL, NULL));
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1 ||
        (WEXITSTATUS(status) == 1 && !strstr(all, ": chardev 'iv': "))) {
        g_error("QEMU ended with wait status 0x%x and said: %s", status, all);
    }
    return WEXITSTATUS(status) == 0;
}

static void test_handshake(void)
{
    Run run = run_start("handshakes", HANDSHAKES);
    unsigned accepted = 0;

    open_all_fds();
    while (run_on(&run)) {
        g_autoptr(GArray) messages = random_handshake();
        g_autoptr(FakeServer) server = fake_server_new(tmpdir);

        /* Only one thread at a time may use random numbers */
        fake_server_expect(server, talk_handshake, messages);
        accepted += handshake_accepted(server);
        fake_server_join(server);
    }
    close_all_fds();
    g_test_message("fuzz: %u %s in %.1f s, %u accepted", run.rounds, run.what,
                   run_seconds(&run), accepted);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_machine("mps2-an385")) {
        return 0;
    }

    qtest_add_func("ivshmem-flat/fuzz/guest", test_guest);
    qtest_add_func("ivshmem-flat/fuzz/server", test_server);
    qtest_add_func("ivshmem-flat/fuzz/handshake", test_handshake);

    return run_tests();
}
