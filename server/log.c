/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line per event. If the reader has no room for a line, it is dropped and counted:
 * a reader that stops must not stop the VMs. If poll() reports a pipe or terminal as
 * writable, it accepts PIPE_BUF bytes without blocking; for a socket, use MSG_DONTWAIT.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"

#define LINE_LENGTH 1024

G_STATIC_ASSERT(LINE_LENGTH <= PIPE_BUF);

static int priority_of(GLogLevelFlags level)
{
    switch (level & G_LOG_LEVEL_MASK) {
    case G_LOG_LEVEL_ERROR:
    case G_LOG_LEVEL_CRITICAL:
        return LOG_ERR;
    case G_LOG_LEVEL_WARNING:
        return LOG_WARNING;
    case G_LOG_LEVEL_MESSAGE:
        return LOG_NOTICE;
    case G_LOG_LEVEL_INFO:
        return LOG_INFO;
    default:
        return LOG_DEBUG;
    }
}

static bool log_connect(Log *log)
{
    const struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

    return connect(log->fd, (const struct sockaddr *)&un, sizeof(un)) == 0;
}

/* Not connected yet, or connected to a syslog that has ended? */
static bool log_is_lost(const Log *log)
{
    return log->syslog &&
           (errno == ENOTCONN || errno == ECONNREFUSED || errno == ECONNRESET);
}

static bool log_write(Log *log, const char *line)
{
    struct pollfd poll_fd = { .fd = log->fd, .events = POLLOUT };
    size_t length = strlen(line);

    if (send(log->fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
        (log_is_lost(log) && log_connect(log) &&
         send(log->fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)) {
        return true;
    }
    if (errno != ENOTSOCK) {
        return false;
    }
    return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLOUT &&
           write(log->fd, line, length) >= 0;
}

static void log_line(Log *log, int priority, const char *message)
{
    char line[LINE_LENGTH];

    if (log->syslog) {
        g_snprintf(line, sizeof(line), "<%d>ivshmemd[%d]: %s", LOG_DAEMON | priority,
                   getpid(), message);
    } else if (log->journal) {
        g_snprintf(line, sizeof(line) - 1, "<%d>%s", priority, message);
    } else {
        g_snprintf(line, sizeof(line) - 1, "ivshmemd: %s", message);
    }
    if (!log->syslog) {
        strcat(line, "\n");
    }
    log->lost += !log_write(log, line);
}

static GLogWriterOutput log_writer(GLogLevelFlags level, const GLogField *fields,
                                   gsize n_fields, gpointer opaque)
{
    Log *log = opaque;
    int priority = priority_of(level);
    gsize i;

    if (priority == LOG_DEBUG || (priority == LOG_INFO && !log->verbose)) {
        return G_LOG_WRITER_HANDLED;
    }
    if (log->lost) {
        unsigned lost = log->lost;
        g_autofree char *text = g_strdup_printf("log lines lost: %u", lost);

        log_line(log, LOG_WARNING, text);
        if (log->lost > lost) {
            return G_LOG_WRITER_HANDLED;
        }
        log->lost = 0;
    }
    for (i = 0; i < n_fields; i++) {
        if (!strcmp(fields[i].key, "MESSAGE")) {
            log_line(log, priority, fields[i].value);
        }
    }
    return G_LOG_WRITER_HANDLED;
}

/* Is this the journal's stream? Programs started in a service inherit the variable. */
static bool log_is_journal(int fd)
{
    const char *stream = g_getenv("JOURNAL_STREAM");
    g_autofree char *ours = NULL;
    struct stat st;

    if (!stream || fstat(fd, &st) < 0) {
        return false;
    }
    ours = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                           (guint64)st.st_dev, (guint64)st.st_ino);
    return !strcmp(stream, ours);
}

void log_init(Log *log)
{
    log->journal = log_is_journal(log->fd);
    g_log_set_writer_func(log_writer, log, NULL);
}

void log_to_syslog(Log *log)
{
    log->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    log->syslog = true;
}
