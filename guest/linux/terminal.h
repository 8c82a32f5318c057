/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pseudo-terminal that other programs open like a serial port: a terminal
 * program, or a shell with "<" and ">".  They may close it and open it again.
 * A process can have only one.
 */

#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct terminal {
    char name[64];   /* what others open, such as /dev/pts/3 */
    int fd;          /* our end, for poll() */
    size_t dropped;  /* bytes dropped since the last write that fit */
    char error[512]; /* why terminal_open() failed */
};

/*
 * Creates a pseudo-terminal in raw mode.  If link is not NULL, a symbolic link
 * of that name points to it until the process exits, or is ended by SIGHUP,
 * SIGINT or SIGTERM.  Returns 0, or -1 with the reason in error.
 */
int terminal_open(struct terminal *terminal, const char *link);

/* Whether another program has it open. */
bool terminal_is_open(const struct terminal *terminal);

/* Reads typed bytes into data and returns how many; never blocks. */
size_t terminal_read(struct terminal *terminal, void *data, size_t size);

/*
 * Writes bytes to the terminal.  The kernel keeps some KiB for a program that
 * opens the terminal later.  The rest is dropped, with a message on standard
 * output: at once if no program has the terminal open, otherwise if none reads
 * for timeout milliseconds.
 */
void terminal_write(struct terminal *terminal, const void *data, size_t length,
                    int timeout);

#endif /* TERMINAL_H */
