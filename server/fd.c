/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The type shows who owns a file descriptor: AUTO_FD owns it, fd_steal() passes it on,
 * and a plain int borrows it.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "error.h"
#include "fd.h"

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
    errno = saved;
}

void fd_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

bool fd_is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

char *fd_socket_path(int fd)
{
    struct sockaddr_un un = { 0 };
    socklen_t length = sizeof(un) - 1;

    if (getsockname(fd, (struct sockaddr *)&un, &length) < 0 ||
        un.sun_family != AF_UNIX || !*un.sun_path) {
        return NULL;
    }
    return g_strdup(un.sun_path);
}

int fd_connect(const char *path, const char *hint, GError **error)
{
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (g_strlcpy(un.sun_path, path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
        fail(error, "%s: the path is too long for a socket", path);
        return -1;
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
        return fd_steal(&fd);
    }
    if (errno == EAGAIN) {
        fail(error, "%s: its connection queue is full: the program that listens there is "
             "stopped or stuck. Continue or restart it", path);
    } else {
        fail(error, "%s: %s. %s", path, g_strerror(errno), hint);
    }
    return -1;
}
