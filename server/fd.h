/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_FD_H
#define IVSHMEMD_FD_H

#include <stdbool.h>
#include <unistd.h>

/* Close *@fd, if it is one, and make it -1. errno stays as it was. */
void fd_close(int *fd);

/* Give *@fd away: returns it, and leaves -1. */
static inline int fd_steal(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

bool fd_is_socket(int fd);

/* The path that the socket @fd is bound to, or NULL. To be freed. */
char *fd_socket_path(int fd);

/* An int that is closed when it goes out of scope; begin with -1. */
#define AUTO_FD __attribute__((cleanup(fd_close), unused)) int

#endif
