/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines are short and each waits for its answer, so the socket's buffer has room. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "deadline.h"
#include "error.h"
#include "fd.h"
#include "lines.h"

GIOChannel *lines_connect(const char *path, const char *hint, GError **error)
{
    AUTO_FD fd = fd_connect(path, hint, error);
    GIOChannel *lines;

    if (fd < 0) {
        return NULL;
    }
    lines = g_io_channel_unix_new(fd_steal(&fd));
    g_io_channel_set_close_on_unref(lines, TRUE);
    g_io_channel_set_encoding(lines, NULL, NULL);
    g_io_channel_set_flags(lines, G_IO_FLAG_NONBLOCK, NULL);
    return lines;
}

bool lines_send(GIOChannel *lines, const char *line)
{
    size_t size = strlen(line);

    return send(g_io_channel_unix_get_fd(lines), line, size, MSG_NOSIGNAL) ==
           (ssize_t)size;
}

char *lines_read(GIOChannel *lines, gint64 deadline, GError **error)
{
    char *line = NULL;
    GIOStatus status;

    while ((status = g_io_channel_read_line(lines, &line, NULL, NULL, NULL)) ==
           G_IO_STATUS_AGAIN) {
        if (!deadline_poll(g_io_channel_unix_get_fd(lines), POLLIN, deadline)) {
            fail(error, "no answer in time");
            return NULL;
        }
    }
    return status == G_IO_STATUS_NORMAL ? line : NULL;
}
