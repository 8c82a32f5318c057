/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_FD_H
#define IVSHMEMD_FD_H

#include <glib.h>
#include <stdbool.h>
#include <unistd.h>

/* Close *@fd, unless negative, and set it to -1. Keeps errno. */
void fd_close(int *fd);

/* Pass *@fd on: returns it and sets it to -1. */
static inline int fd_steal(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* Let this process have as many fds as its hard limit allows. */
void fd_raise_limit(void);

bool fd_is_socket(int fd);

/* The path that the socket @fd is bound to, or NULL. The caller frees it. */
char *fd_socket_path(int fd);

/*
 * Connect to the UNIX stream socket at @path. The fd is non-blocking, and this never
 * blocks, even if the server does not accept. -1 on error: @hint says what to do if
 * nobody listens.
 */
int fd_connect(const char *path, const char *hint, GError **error);

/* An int that is closed when it goes out of scope; initialize it, for example to -1. */
#define AUTO_FD __attribute__((cleanup(fd_close), unused)) int

#endif
