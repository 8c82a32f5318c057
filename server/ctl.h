/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the commands of ivshmemctl */
#ifndef IVSHMEMD_CTL_H
#define IVSHMEMD_CTL_H

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"

/* Exit statuses, for scripts */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,       /* not possible, or refused by the server */
    EXIT_USAGE = 2,
    EXIT_NO_SERVER = 3,     /* no answer, or the server hung up */
    EXIT_TIME_LIMIT = 4,    /* nothing happened in time */
};

#define MAX_ID 65535

/* The command line. Numbers not given are negative. */
typedef struct Ctl {
    char *control;
    char *server;           /* NULL: top uses the control socket */
    char **qmp;             /* NULL-terminated, or NULL */
    char *file;
    char *reply_at;
    gboolean json;
    gboolean watch;
    gboolean hex;
    gboolean text;
    gboolean word;
    gboolean big_endian;
    double timeout;         /* in seconds, as is @interval */
    double interval;
    int64_t count;
    int64_t answer;
    char **words;           /* after the command's name; NULL-terminated */
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
 * The channels of the ivshmemd at @path; they belong to @parser. NULL if it did not
 * answer or refused: *@result says which. In ctl-control.c.
 */
JsonArray *ctl_channels(const char *path, JsonParser *parser, int *result, GError **error);

/* --- for the commands themselves, in ctl-common.c */

/* --timeout from now on, or @seconds if not given; no limit if negative */
gint64 ctl_deadline(const Ctl *ctl, double seconds);

/* Join the server, with a limit of 5 s. NULL: EXIT_NO_SERVER */
Client *ctl_join(const Ctl *ctl, GError **error);

/* The same, and read which peers and vectors there are. */
Client *ctl_join_peers(const Ctl *ctl, GError **error);

/* A number in C's notation, from 0 to @most. @what is its name in the error. */
bool ctl_number(const char *what, const char *text, uint64_t most, uint64_t *number,
                GError **error);

/*
 * A JSON object on a line of its own: ctl_json_new() starts it, ctl_json_print() prints
 * it.
 */
JsonBuilder *ctl_json_new(void);
void ctl_json_int(JsonBuilder *builder, const char *name, int64_t value);
void ctl_json_string(JsonBuilder *builder, const char *name, const char *value);
void ctl_json_double(JsonBuilder *builder, const char *name, double value);
void ctl_json_print(JsonBuilder *builder);

/*
 * A g_get_real_time() value in readable form, with microseconds. The caller frees it.
 */
char *ctl_time(gint64 real_time);

/* Flush standard output. EXIT_DONE, or EXIT_REFUSED on failure. */
int ctl_flush(GError **error);

#endif
