/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who owns a file descriptor is said by its type: AUTO_FD is the owner, fd_steal()
 * passes the ownership on, and a plain int borrows.
 */
#include <errno.h>
#include <glib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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
