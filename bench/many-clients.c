/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * many-clients SOCKET: many clients of an ivshmem server, in one process.
 *
 * Each line on stdin is a command. The answer is one line with the time of each
 * repetition in seconds.
 *
 *   join N      N clients connect in turn, until all know each other
 *   newcomer N  N times: a client connects, leaves when it knows all others
 *   announce N  N times: a client connects, leaves when all others know it
 *   stall       one more client connects, and never reads
 *   hang-up     the client that never reads leaves
 *
 * The server must give each client one vector. Each client checks all messages,
 * and keeps no eventfd: it reads without space for fds, so the kernel closes
 * them immediately, and reports that there was one.
 */

#define _GNU_SOURCE /* recvmmsg() */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define BATCH 64
#define IDS 65536
#define MEMORY (-1) /* the number that comes with the shared memory */

typedef enum Expected { VERSION, OWN_ID, MEMORY_FD, PEERS } Expected;

typedef struct Client {
    int socket;
    Expected expected;
    int64_t id;
    unsigned known;         /* how many clients it knows, itself included */
    uint8_t knows[IDS / 8]; /* a bit for each ID */
} Client;

static const char *path;
static int epoll;
static unsigned connected; /* all, whether they read or not */
static unsigned reading;   /* those that read messages as they arrive */
static uint64_t known;     /* the sum of client->known of those */

static _Noreturn void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "many-clients: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static Client *client_new(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    Client *client = calloc(1, sizeof(*client));

    if (!client) {
        fail("no memory for client %u", connected);
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        fail("%s is too long for a UNIX socket", path);
    }
    strcpy(address.sun_path, path);
    client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->socket < 0 ||
        connect(client->socket, (struct sockaddr *)&address,
                sizeof(address)) < 0) {
        fail("client %u cannot connect to %s: %s", connected, path,
             strerror(errno));
    }
    connected++;
    return client;
}

static void client_free(Client *client)
{
    close(client->socket);
    free(client);
    connected--;
}

static bool client_knows_all(const Client *client)
{
    return client->known == connected;
}

static bool client_knows(const Client *client, int64_t id)
{
    return client->knows[id / 8] >> id % 8 & 1;
}

static void client_hear_peer(Client *client, int64_t id, bool has_fd)
{
    if (id < 0 || id >= IDS || client_knows(client, id) == has_fd) {
        fail("client %lld: unexpected message that peer %lld has %s",
             (long long)client->id, (long long)id, has_fd ? "joined" : "left");
    }
    client->knows[id / 8] ^= 1 << id % 8;
    client->known += has_fd ? 1 : -1;
}

static void client_hear(Client *client, int64_t value, bool has_fd)
{
    switch (client->expected) {
    case VERSION:
        if (value != 0 || has_fd) {
            fail("the server speaks protocol version %lld, not 0",
                 (long long)value);
        }
        break;
    case OWN_ID:
        client->id = value;
        break;
    case MEMORY_FD:
        if (value != MEMORY || !has_fd) {
            fail("client %lld: the server sent %lld instead of the memory",
                 (long long)client->id, (long long)value);
        }
        break;
    case PEERS:
        client_hear_peer(client, value, has_fd);
        return;
    }
    client->expected++;
}

/* Read up to BATCH messages, without waiting. */
static void client_read(Client *client)
{
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    int64_t value[BATCH];
    int i, got;

    memset(message, 0, sizeof(message));
    for (i = 0; i < BATCH; i++) {
        part[i] = (struct iovec) { &value[i], sizeof(value[i]) };
        message[i].msg_hdr.msg_iov = &part[i];
        message[i].msg_hdr.msg_iovlen = 1;
    }
    got = recvmmsg(client->socket, message, BATCH, MSG_DONTWAIT, NULL);
    if (got < 0 && errno != EAGAIN) {
        fail("client %lld: %s", (long long)client->id, strerror(errno));
    }
    for (i = 0; i < got; i++) {
        if (message[i].msg_len != sizeof(value[i])) {
            fail("client %lld: %s", (long long)client->id, message[i].msg_len ?
                 "the server sent part of a message" : "the server hung up");
        }
        client_hear(client, le64toh(value[i]),
                    message[i].msg_hdr.msg_flags & MSG_CTRUNC);
    }
}

/* From now on, read this client's messages as soon as they arrive. */
static void client_watch(Client *client)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->socket, &event) < 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
    reading++;
    known += client->known;
}

/* Wait until a client gets a message. */
static void read_some(void)
{
    struct epoll_event event[BATCH];
    int i, ready = epoll_wait(epoll, event, BATCH, PATIENCE_MS);

    if (ready <= 0) {
        fail("no client got a message for %d s; %u of %u clients read, and "
             "know %.1f on average", PATIENCE_MS / 1000, reading, connected,
             (double)known / reading);
    }
    for (i = 0; i < ready; i++) {
        Client *client = event[i].data.ptr;

        known -= client->known;
        client_read(client);
        known += client->known;
    }
}

static void read_until_all_know_all(void)
{
    while (known != (uint64_t)reading * connected) {
        read_some();
    }
}

static void join(unsigned number)
{
    while (number-- > 0) {
        Client *client = client_new();

        client_watch(client);
        while (!client_knows_all(client)) {
            read_some();
        }
    }
}

/* A client that has been timed. Afterwards no client has unread messages. */
static void client_leave_again(Client *client)
{
    read_until_all_know_all();
    reading--;
    known -= client->known;
    client_free(client);
    read_until_all_know_all();
}

/* The others read later, so that they do not delay the newcomer. */
static double time_newcomer(void)
{
    double start = now(), end;
    Client *client = client_new();
    struct pollfd poll_fd = { .fd = client->socket, .events = POLLIN };

    while (!client_knows_all(client)) {
        if (poll(&poll_fd, 1, PATIENCE_MS) != 1) {
            fail("the newcomer knows %u of %u clients, and got no message "
                 "for %d s", client->known, connected, PATIENCE_MS / 1000);
        }
        client_read(client);
    }
    end = now();
    client_watch(client);
    client_leave_again(client);
    return end - start;
}

static double time_announcement(void)
{
    double start = now(), end;
    Client *client = client_new();

    client_watch(client);
    while (known - client->known != (uint64_t)(reading - 1) * connected) {
        read_some();
    }
    end = now();
    client_leave_again(client);
    return end - start;
}

static void repeat(double (*sample)(void), unsigned times)
{
    while (times-- > 0) {
        printf("%.6f ", sample());
    }
}

static void obey(const char *line)
{
    static Client *staller;
    char order[16];
    unsigned number = 0;
    int words = sscanf(line, "%15s %u", order, &number);
    double start = now();

    if (words == 2 && !strcmp(order, "newcomer")) {
        repeat(time_newcomer, number);
        return;
    }
    if (words == 2 && !strcmp(order, "announce")) {
        repeat(time_announcement, number);
        return;
    }
    if (words == 2 && !strcmp(order, "join")) {
        join(number);
    } else if (words == 1 && !strcmp(order, "stall") && !staller) {
        staller = client_new();
    } else if (words == 1 && !strcmp(order, "hang-up") && staller) {
        client_free(staller);
        staller = NULL;
    } else {
        fail("cannot run command '%s'", line);
    }
    read_until_all_know_all();
    printf("%.6f", now() - start);
}

int main(int argc, char **argv)
{
    char line[64];

    if (argc != 2) {
        fprintf(stderr, "usage: many-clients SOCKET\n");
        return 1;
    }
    path = argv[1];
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        fail("epoll_create1: %s", strerror(errno));
    }
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
