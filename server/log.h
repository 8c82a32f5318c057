/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LOG_H
#define IVSHMEMD_LOG_H

#include <glib.h>
#include <stdbool.h>

/* Where our messages, made with g_warning() and so on, and GLib's go */
typedef struct Log {
    int fd;                 /* borrowed: stderr, or a socket of syslog's */
    bool verbose;           /* log g_info(), too */
    bool journal;           /* prefix lines with <LEVEL>, as for journald */
    bool syslog;            /* send datagrams as syslog(3) does */
    unsigned lost;          /* number of dropped lines */
} Log;

/* @log, which must stay valid, gets all messages of the process. */
void log_init(Log *log);

/* Log to syslog from now on: a daemon has no stderr. */
void log_to_syslog(Log *log);

#endif
