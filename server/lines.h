/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LINES_H
#define IVSHMEMD_LINES_H

#include <glib.h>
#include <stdbool.h>

/*
 * A client for a UNIX stream socket that carries lines of text both ways, such as
 * ivshmemd's control socket and QEMU's QMP. Parameters as for fd_connect().
 */
GIOChannel *lines_connect(const char *path, const char *hint, GError **error);

/* False if the other side hung up or does not read. @line ends with a newline. */
bool lines_send(GIOChannel *lines, const char *line);

/*
 * The next line, which the caller frees. NULL without an error if the other side hung
 * up, NULL with an error if no whole line arrived by @deadline.
 */
char *lines_read(GIOChannel *lines, gint64 deadline, GError **error);

#endif
