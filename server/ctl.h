/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of ivshmemctl have in common */
#ifndef IVSHMEMD_CTL_H
#define IVSHMEMD_CTL_H

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"

/* What scripts can tell apart */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,       /* it cannot be done, or the server said no */
    EXIT_USAGE = 2,
    EXIT_NO_SERVER = 3,     /* nobody answered, or the server hung up */
    EXIT_TIME_LIMIT = 4,    /* what was waited for did not happen */
};

#define MAX_ID 65535

/* The command line. Numbers that were not given are negative. */
typedef struct Ctl {
    char *control;
    char *server;           /* NULL: top asks the control socket */
    char **qmp;             /* NULL, or ends with NULL */
    char *file;
    char *reply_at;
    gboolean json;
    gboolean watch;
    gboolean hex;
    gboolean text;
    gboolean word;
    gboolean big_endian;
    double timeout;         /* in seconds, as is the interval */
    double interval;
    int64_t count;
    int64_t answer;
    char **words;           /* the command's, after its name; ends with NULL */
} Ctl;

/* Each returns one of EXIT_*, with an error set unless it is EXIT_DONE. */
int ctl_list(const Ctl *ctl, GError **error);
int ctl_reload(const Ctl *ctl, GError **error);
int ctl_top(const Ctl *ctl, GError **error);
int ctl_info(const Ctl *ctl, GError **error);
int ctl_peers(const Ctl *ctl, GError **error);
int ctl_listen(const Ctl *ctl, GError **error);
int ctl_ring(const Ctl *ctl, GError **error);
int ctl_ping(const Ctl *ctl, GError **error);
int ctl_read(const Ctl *ctl, GError **error);
int ctl_dump(const Ctl *ctl, GError **error);
int ctl_write(const Ctl *ctl, GError **error);
int ctl_wait(const Ctl *ctl, GError **error);

/*
 * The channels of the ivshmemd at @path, in ctl-control.c; they belong to @parser. NULL,
 * with *@result: it did not answer, or refused.
 */
JsonArray *ctl_channels(const char *path, JsonParser *parser, int *result, GError **error);

/* --- for the commands themselves, in ctl-common.c */

/* --timeout from now on, or @seconds if it was not given: no limit if they are negative */
gint64 ctl_deadline(const Ctl *ctl, double seconds);

/* Join the server, which has 5 s for all it has to say. NULL: EXIT_NO_SERVER */
Client *ctl_join(const Ctl *ctl, GError **error);

/* The same, and learn of the peers and vectors that are there. */
Client *ctl_join_peers(const Ctl *ctl, GError **error);

/* A number in C's notation, from 0 to @most. @what names it in the error. */
bool ctl_number(const char *what, const char *text, uint64_t most, uint64_t *number,
                GError **error);

/* An object of a line of its own is begun, and printed. */
JsonBuilder *ctl_json_new(void);
void ctl_json_int(JsonBuilder *builder, const char *name, int64_t value);
void ctl_json_string(JsonBuilder *builder, const char *name, const char *value);
void ctl_json_double(JsonBuilder *builder, const char *name, double value);
void ctl_json_print(JsonBuilder *builder);

/* Of g_get_real_time(), as people read it, to the microsecond. To be freed. */
char *ctl_time(gint64 real_time);

/* Have standard output written. EXIT_DONE, or EXIT_REFUSED if it cannot be. */
int ctl_flush(GError **error);

#endif
