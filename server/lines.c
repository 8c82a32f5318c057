/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines are short, and nobody sends without reading: a socket's buffer has room. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "deadline.h"
#include "error.h"
#include "fd.h"
#include "lines.h"

GIOChannel *lines_connect(const char *path, GError **error)
{
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    GIOChannel *lines;

    if (g_strlcpy(un.sun_path, path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
        fail(error, "%s: the path is too long for a socket", path);
        return NULL;
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        fail(error, "%s: %s", path, g_strerror(errno));
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
            fail(error, "it did not answer in time");
            return NULL;
        }
    }
    return status == G_IO_STATUS_NORMAL ? line : NULL;
}
