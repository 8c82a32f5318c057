/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_NOTIFY_H
#define IVSHMEMD_NOTIFY_H

#include <glib.h>
#include <stdbool.h>

#include "watch.h"

/* Time limit for a service manager that is behind */
#define NOTIFY_PATIENCE_MS 1000

/* The service manager. All functions except notify_new() do nothing for NULL. */
typedef struct Notify Notify;

/*
 * Connect to the one at @address, as in NOTIFY_SOCKET: an absolute path, or '@' and an
 * abstract name. NULL with a warning if nobody listens there.
 */
Notify *notify_new(Watches *watches, const char *address);
void notify_free(Notify *notify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Notify, notify_free)

/* Send a line such as "READY=1". */
void notify_state(Notify *notify, const char *state);

/* Keep @fd as @name for the next process of this service. */
void notify_keep(Notify *notify, const char *name, int fd);

/* The fd kept as @name is no longer needed. */
void notify_forget(Notify *notify, const char *name);

/* Are messages still queued? A crash now would lose them. */
bool notify_is_behind(const Notify *notify);

/*
 * Before this process is replaced: wait until everything has been sent, for at most
 * @milliseconds. Warns on timeout.
 */
void notify_drain(Notify *notify, unsigned milliseconds);

#endif
