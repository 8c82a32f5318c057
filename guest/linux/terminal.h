/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pseudo-terminal, which other programs open as they would a serial port: a
 * terminal program, or a shell with "<" and ">".  They may close it and open it
 * again.  There is one in a process.
 */

#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct terminal {
    char name[64];   /* what others open, as in /dev/pts/3 */
    int fd;          /* our side, for poll() */
    size_t dropped;  /* bytes, since what was written last had room */
    char error[512]; /* why terminal_open() failed */
};

/*
 * Makes one, in raw mode.  If link is not NULL, a symbolic link of that name
 * leads there until the process exits, or SIGHUP, SIGINT or SIGTERM ends it.
 * Returns 0, or -1 with the reason in error.
 */
int terminal_open(struct terminal *terminal, const char *link);

/* Whether another program has it open. */
bool terminal_is_open(const struct terminal *terminal);

/* Returns how many bytes were typed and are now in data; never waits. */
size_t terminal_read(struct terminal *terminal, void *data, size_t size);

/*
 * Shows bytes.  The kernel keeps some KiB for a program that opens the terminal
 * later.  What has no room is dropped, with a message on standard output: at
 * once if no program has the terminal open, else if it does not read for
 * timeout milliseconds.
 */
void terminal_write(struct terminal *terminal, const void *data, size_t length,
                    int timeout);

#endif /* TERMINAL_H */
