/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_NOTIFY_H
#define IVSHMEMD_NOTIFY_H

#include <glib.h>
#include <stdbool.h>

#include "watch.h"

/* How long to wait for a service manager that is behind */
#define NOTIFY_PATIENCE_MS 1000

/* The service manager. All functions but the first do nothing for NULL. */
typedef struct Notify Notify;

/*
 * The one at @address, as NOTIFY_SOCKET has it: an absolute path, or '@' and an
 * abstract name. NULL with a warning if nobody listens there.
 */
Notify *notify_new(Watches *watches, const char *address);
void notify_free(Notify *notify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Notify, notify_free)

/* Tell a line like "READY=1". */
void notify_state(Notify *notify, const char *state);

/* Have @fd kept as @name for the next process of this service. */
void notify_keep(Notify *notify, const char *name, int fd);

/* What is kept as @name is no longer needed. */
void notify_forget(Notify *notify, const char *name);

/* Is something still on its way? A crash now would lose it. */
bool notify_is_behind(const Notify *notify);

/*
 * Before this process is replaced: wait until all has gone out, for @milliseconds at
 * most. Warns if that was not enough.
 */
void notify_drain(Notify *notify, unsigned milliseconds);

#endif
