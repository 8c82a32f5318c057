/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CONTROL_H
#define IVSHMEMD_CONTROL_H

#include <glib.h>
#include <stdbool.h>

#include "server.h"

typedef struct Control Control;

/*
 * Reload the server. Returns only if that failed, with *@error set, and then all goes
 * on as before.
 */
typedef void ControlReload(void *data, GError **error);

/*
 * Listen at @path, mode 0600, for ivshmemctl(1). @generation says how often this
 * process was reloaded.
 */
Control *control_new(const char *path, Server *server, Handover *handover,
                     unsigned generation, ControlReload *reload, void *data,
                     GError **error);

/* Closes all; @remove also removes the socket from the file system. */
void control_free(Control *control, bool remove);

/* Name the listening socket. */
void control_hand_over(const Control *control, Handover *handover);

/*
 * Answer one request, a line of JSON without its end: {"command": "list"}, "status"
 * or "reload". The answer, to be freed, is a line, too: {"return": ...} or
 * {"error": "..."}.
 */
char *control_answer(Control *control, const char *line);

#endif
