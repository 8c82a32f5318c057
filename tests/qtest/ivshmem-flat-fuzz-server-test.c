/*
 * QTest fuzzers for ivshmem-flat: a server's messages and handshakes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include "qemu/bswap.h"
#include "ivshmem-flat-fuzz.h"
#include "ivshmem-flat-wait.h"

#define ROUNDS     1000000
#define HANDSHAKES 300

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
    static const Test tests[] = {
        { "fuzz/server", test_server },
        { "fuzz/handshake", test_handshake },
    };

    g_test_init(&argc, &argv, NULL);
    add_tests("mps2-an385", tests, ARRAY_SIZE(tests));

    return run_tests();
}
