/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LOG_H
#define IVSHMEMD_LOG_H

#include <glib.h>
#include <stdbool.h>

/* Where GLib's messages go, and ours, which are made with g_warning() and so on */
typedef struct Log {
    int fd;                 /* borrowed: stderr, or a socket of syslog's */
    bool verbose;           /* g_info(), too */
    bool journal;           /* begin lines with <LEVEL>, as journald reads them */
    bool syslog;            /* as datagrams of syslog(3) */
    unsigned lost;          /* lines that there was no room for */
} Log;

/* @log, which must stay, gets all messages of the process. */
void log_init(Log *log);

/* To syslog from now on: a daemon has no stderr. */
void log_to_syslog(Log *log);

#endif
