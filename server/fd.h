/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_FD_H
#define IVSHMEMD_FD_H

#include <glib.h>
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

/*
 * Connect to the UNIX stream socket at @path. It never waits, not even for a process that
 * accepts nobody, and the fd does not block. -1: @hint says what to do where nobody listens.
 */
int fd_connect(const char *path, const char *hint, GError **error);

/* An int that is closed when it goes out of scope; begin with -1. */
#define AUTO_FD __attribute__((cleanup(fd_close), unused)) int

#endif
