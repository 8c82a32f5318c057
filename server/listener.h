/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LISTENER_H
#define IVSHMEMD_LISTENER_H

#include <glib.h>
#include <stdbool.h>

#include "handover.h"
#include "notify.h"
#include "watch.h"

typedef struct Listener Listener;

/* A client has connected. Takes ownership of @socket, which is non-blocking. */
typedef void ListenerFunc(int socket, void *data);

/* Where to listen and who may connect */
typedef struct ListenerAddress {
    const char *path;       /* at most 107 bytes */
    int mode;               /* permission bits; -1: 0777 less the umask */
    const char *group;      /* group name; NULL: ours */
} ListenerAddress;

/*
 * Listen on @address, on the socket that @handover has for that path, or else on a new
 * one. Replaces the socket of a dead server; fails if a live process has it. @spare is
 * an open fd shared by all listeners, closed for a moment to refuse a client when this
 * process is out of fds. @notify keeps a new socket.
 */
Listener *listener_new(const ListenerAddress *address, Handover *handover,
                       Watches *watches, Notify *notify, int *spare,
                       ListenerFunc *func, void *data, GError **error);

/* Closes the socket; @remove also removes its file if it is ours. */
void listener_free(Listener *listener, bool remove);

/* Hand the socket over. */
void listener_hand_over(const Listener *listener, Handover *handover);

/*
 * Close all listeners left in @handover, and remove the files of those that a server
 * opened.
 */
void listener_discard_rest(Handover *handover, Notify *notify);

#endif
