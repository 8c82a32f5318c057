/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CONTROL_H
#define IVSHMEMD_CONTROL_H

#include <glib.h>
#include <stdbool.h>

#include "server.h"

typedef struct Control Control;

/* Reload the server. Returns only on failure, with *@error set and nothing changed. */
typedef void ControlReload(void *data, GError **error);

/*
 * Listen on @path, mode 0600, for ivshmemctl(1). @generation: how many times this
 * process was reloaded.
 */
Control *control_new(const char *path, Server *server, Handover *handover,
                     unsigned generation, ControlReload *reload, void *data,
                     GError **error);

/* Closes everything; @remove also removes the socket file. */
void control_free(Control *control, bool remove);

/* Add the listening socket. */
void control_hand_over(const Control *control, Handover *handover);

/*
 * Answer one request, a line of JSON without its newline: {"command": "list"}, "status"
 * or "reload". The answer is also a line: {"return": ...} or {"error": "..."}. The
 * caller frees it.
 */
char *control_answer(Control *control, const char *line);

#endif
