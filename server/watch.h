/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_WATCH_H
#define IVSHMEMD_WATCH_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

typedef struct Watches Watches;
typedef struct Watch Watch;

/* Called with the EPOLL* bits that @watch's fd has; may remove any watch. */
typedef void WatchFunc(Watch *watch, uint32_t events);

/* Lives inside what it belongs to: a client, a listener. Begin with zeroes. */
struct Watch {
    Watches *watches;
    int fd;
    uint32_t events;
    WatchFunc *func;
    void *data;
};

/* Attach to the default main context. Fails when there is no fd left. */
Watches *watches_new(GError **error);
void watches_free(Watches *watches);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Watches, watches_free)

/*
 * Call @func whenever @fd, which stays the caller's, has one of @events. False
 * with errno set if the kernel cannot watch it.
 */
bool watch_add(Watches *watches, Watch *watch, int fd, uint32_t events,
               WatchFunc *func, void *data);

/* Watch for other @events. Nothing happens when they are the same. */
void watch_change(Watch *watch, uint32_t events);

/* Before the fd is closed. @func is not called again. */
void watch_remove(Watch *watch);

#endif
