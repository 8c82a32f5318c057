/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LISTENER_H
#define IVSHMEMD_LISTENER_H

#include <glib.h>
#include <stdbool.h>

#include "handover.h"
#include "notify.h"
#include "watch.h"

typedef struct Listener Listener;

/* Somebody has connected: takes @socket, which does not block. */
typedef void ListenerFunc(int socket, void *data);

/* Where to listen and who may connect */
typedef struct ListenerAddress {
    const char *path;       /* at most 107 bytes */
    int mode;               /* permission bits; -1: what the umask leaves of 0777 */
    const char *group;      /* name of the group that owns it; NULL: ours */
} ListenerAddress;

/*
 * Listen at @address, on the socket that @handover has for that path, or else on a
 * new one. A socket that is left there by a dead server is replaced; one of a living
 * process is not touched, and this fails. @spare is an open fd, shared by all
 * listeners, which is given up for a moment to refuse a client when there is no
 * other. A new socket is kept by @notify.
 */
Listener *listener_new(const ListenerAddress *address, Handover *handover,
                       Watches *watches, Notify *notify, int *spare,
                       ListenerFunc *func, void *data, GError **error);

/* Closes the socket; @remove also removes it from the file system if it is ours. */
void listener_free(Listener *listener, bool remove);

/* Hand it over under its name. */
void listener_hand_over(const Listener *listener, Handover *handover);

/*
 * Close all listeners that are left in @handover, as nobody wants them any more, and
 * remove those from the file system that a server opened.
 */
void listener_discard_rest(Handover *handover, Notify *notify);

#endif
