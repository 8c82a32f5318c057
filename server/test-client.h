/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients of a channel over socket pairs, for tests. Messages that a client reads are
 * written as words: the number, and '+' if an fd came with it.
 */
#ifndef IVSHMEMD_TEST_CLIENT_H
#define IVSHMEMD_TEST_CLIENT_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "fd.h"

/* Everything logged, except by g_info() */
static GString *logged;

static void note_log(const char *domain, GLogLevelFlags level, const char *message,
                     gpointer data)
{
    (void)domain;
    (void)data;
    if (!(level & G_LOG_LEVEL_INFO)) {
        g_string_append(logged, message);
    }
}

static void assert_logged(const char *text)
{
    g_assert_nonnull(strstr(logged->str, text));
    g_string_truncate(logged, 0);
}

typedef struct Fixture {
    Watches *watches;
    Channel *channel;
} Fixture;

static void fixture_init(Fixture *fixture, gconstpointer data)
{
    Memory *memory = memory_new(MEMORY_SEALED, NULL, 4096, NULL);

    (void)data;
    fixture->watches = watches_new(NULL);
    fixture->channel = channel_new("test", memory, 0, fixture->watches, NULL, NULL);
    g_assert_nonnull(fixture->channel);
}

static void fixture_clear(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpstr(logged->str, ==, "");
    if (fixture->channel) {
        channel_free(fixture->channel);
    }
    watches_free(fixture->watches);
}

/* The client's end. @id: of the socket, or -1; @full: with a tiny buffer. */
static int join(Fixture *fixture, int id, unsigned vectors, bool full)
{
    Door door = { (char *)"/test", id, vectors };
    int ends[2], least = 0;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                               ends), ==, 0);
    if (full) {
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
    }
    channel_join(fixture->channel, ends[0], &door);
    return ends[1];
}

static void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
        continue;
    }
}

/* Append one message to @words. False if there is none now. */
static bool read_message(int client, GString *words)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } control;
    int64_t value;
    struct iovec iov = { &value, sizeof(value) };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    bool has_fd;

    if (got < 0 && errno == EAGAIN) {
        return false;
    }
    if (got <= 0) {
        g_string_append(words, "end ");
        return false;
    }
    g_assert_cmpint(got, ==, sizeof(value));
    has_fd = message.msg_controllen > 0;
    if (has_fd) {
        int fd;

        g_assert_cmpint(control.header.cmsg_len, ==, CMSG_LEN(sizeof(int)));
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        close(fd);
    }
    g_string_append_printf(words, "%" G_GINT64_FORMAT "%s ",
                           (gint64)GINT64_FROM_LE(value), has_fd ? "+" : "");
    return true;
}

/* All messages for @client, until the server has no more */
static char *read_all(int client)
{
    GString *words = g_string_new(NULL);
    bool more = true;

    while (more) {
        more = false;
        turn();
        while (read_message(client, words)) {
            more = true;
        }
    }
    return g_string_free(words, FALSE);
}

static void assert_reads(int client, const char *expected)
{
    g_autofree char *words = read_all(client);

    g_assert_cmpstr(words, ==, expected);
}

/* Run all tests that were added, with the server's fd limit. */
static int run_tests(void)
{
    int result;

    fd_raise_limit();
    g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
    g_log_set_default_handler(note_log, NULL);
    logged = g_string_new(NULL);
    result = g_test_run();
    g_string_free(logged, TRUE);
    return result;
}

#endif
