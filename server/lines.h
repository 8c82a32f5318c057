/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LINES_H
#define IVSHMEMD_LINES_H

#include <glib.h>
#include <stdbool.h>

/*
 * The client of a UNIX stream socket over which lines of text go both ways, as they do
 * with ivshmemd's control socket and QEMU's QMP. As fd_connect().
 */
GIOChannel *lines_connect(const char *path, const char *hint, GError **error);

/* False if the other side hung up, or reads nothing. @line ends with a newline. */
bool lines_send(GIOChannel *lines, const char *line);

/*
 * The next line, to be freed. NULL if the other side hung up, which sets no error, or
 * has sent no whole line by @deadline.
 */
char *lines_read(GIOChannel *lines, gint64 deadline, GError **error);

#endif
