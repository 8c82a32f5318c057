/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_WATCH_H
#define IVSHMEMD_WATCH_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

typedef struct Watches Watches;
typedef struct Watch Watch;

/* Called with the EPOLL* bits of @watch's fd; may remove any watch. */
typedef void WatchFunc(Watch *watch, uint32_t events);

/* Embedded in its owner: a client or a listener. Initialize it with zeroes. */
struct Watch {
    Watches *watches;
    int fd;
    uint32_t events;
    WatchFunc *func;
    void *data;
};

/* Attach to the default main context. Fails if there is no fd left. */
Watches *watches_new(GError **error);
void watches_free(Watches *watches);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Watches, watches_free)

/*
 * Call @func whenever @fd has one of @events. The caller keeps @fd. False, with errno
 * set, if the kernel cannot watch it.
 */
bool watch_add(Watches *watches, Watch *watch, int fd, uint32_t events,
               WatchFunc *func, void *data);

/* Watch for other @events; does nothing if they are the same. */
void watch_change(Watch *watch, uint32_t events);

/* Call before closing the fd. @func is not called again. */
void watch_remove(Watch *watch);

#endif
