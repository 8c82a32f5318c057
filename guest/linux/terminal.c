/* SPDX-License-Identifier: Apache-2.0 */
/* A pseudo-terminal for other programs: see terminal.h. */

#define _GNU_SOURCE /* cfmakeraw() */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"

/* For the signal handler */
static const char *own_link;
static char own_name[64];

__attribute__((format(printf, 2, 3))) static int
fail(struct terminal *terminal, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(terminal->error, sizeof(terminal->error), format, arguments);
    va_end(arguments);
    return -1;
}

/*
 * The link
 */

static bool leads_to(const char *link, const char *name)
{
    char target[PATH_MAX];
    ssize_t length = readlink(link, target, sizeof(target));

    return length >= 0 && (size_t)length == strlen(name) &&
           memcmp(target, name, (size_t)length) == 0;
}

/* Another process may have replaced the link. */
static void remove_link(void)
{
    if (leads_to(own_link, own_name)) {
        unlink(own_link);
    }
}

static void end(int number)
{
    remove_link();
    signal(number, SIG_DFL);
    raise(number);
}

/* A killed process leaves a link to a terminal that no longer exists. */
static bool is_left_over(const char *link)
{
    static const char terminals[] = "/dev/pts/";
    const size_t size = strlen(terminals);
    char target[PATH_MAX];

    return readlink(link, target, sizeof(target)) >= (ssize_t)size &&
           memcmp(target, terminals, size) == 0 && access(link, F_OK) < 0;
}

static int make_link(struct terminal *terminal, const char *link)
{
    static const int ends[] = { SIGHUP, SIGINT, SIGTERM };

    if (is_left_over(link)) {
        unlink(link);
    }
    if (!leads_to(link, terminal->name) && symlink(terminal->name, link) < 0) {
        return fail(terminal, "cannot make the link %s: %s", link,
                    strerror(errno));
    }
    own_link = link;
    strcpy(own_name, terminal->name);
    atexit(remove_link);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct sigaction action;

        sigaction(ends[i], NULL, &action);
        if (action.sa_handler == SIG_DFL) { /* not ignored, as by nohup */
            action.sa_handler = end;
            sigaction(ends[i], &action, NULL);
        }
    }
    return 0;
}

/*
 * The terminal
 */

/*
 * A terminal keeps its mode when the last program closes it.  Until a program
 * has opened and closed it, the kernel does not report that none has it open.
 */
static int make_raw(const char *name)
{
    int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), result = -1;
    struct termios mode;

    if (fd >= 0 && tcgetattr(fd, &mode) == 0) {
        cfmakeraw(&mode);
        result = tcsetattr(fd, TCSANOW, &mode);
    }
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

int terminal_open(struct terminal *terminal, const char *link)
{
    terminal->dropped = 0;
    terminal->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (terminal->fd < 0 || grantpt(terminal->fd) < 0 ||
        unlockpt(terminal->fd) < 0 ||
        ptsname_r(terminal->fd, terminal->name, sizeof(terminal->name)) != 0 ||
        make_raw(terminal->name) < 0) {
        return fail(terminal, "cannot make a pseudo-terminal: %s: it needs the "
                    "file system devpts at /dev/pts", strerror(errno));
    }
    return link != NULL ? make_link(terminal, link) : 0;
}

bool terminal_is_open(const struct terminal *terminal)
{
    struct pollfd fd = { .fd = terminal->fd };

    return poll(&fd, 1, 0) == 0;
}

size_t terminal_read(struct terminal *terminal, void *data, size_t size)
{
    ssize_t length = read(terminal->fd, data, size);

    return length > 0 ? (size_t)length : 0;
}

/* Returns whether there is room within timeout milliseconds. */
static bool wait_for_room(const struct terminal *terminal, int timeout)
{
    struct pollfd fd = { .fd = terminal->fd, .events = POLLOUT };

    return poll(&fd, 1, timeout) > 0 && !(fd.revents & POLLHUP);
}

void terminal_write(struct terminal *terminal, const void *data, size_t length,
                    int timeout)
{
    const char *rest = data;

    while (length > 0) {
        ssize_t written = write(terminal->fd, rest, length);

        if (written > 0) {
            rest += written;
            length -= (size_t)written;
        } else if (terminal->dropped > 0 || !wait_for_room(terminal, timeout)) {
            break;
        }
    }
    if (length > 0 && terminal->dropped == 0) {
        printf("no program reads %s: dropping what does not fit\n",
               terminal->name);
    } else if (length == 0 && terminal->dropped > 0) {
        printf("%zu bytes were dropped\n", terminal->dropped);
        terminal->dropped = 0;
    }
    terminal->dropped += length;
}
