/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GLib's main loop passes every fd to poll() in each iteration. With 5,000 clients,
 * that costs more than everything else when one of them sends something. So all fds are
 * in one epoll set, and the main loop sees only the fd of that set.
 *
 * Events are taken in batches. A watch removed during a batch is removed from the
 * batch, too, so its owner can be freed at once.
 */
#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#include "error.h"
#include "watch.h"

#define BATCH 64

struct Watches {
    int epoll;
    guint source;
    struct epoll_event batch[BATCH];
    int n_batch;
};

static gboolean watches_dispatch(gint fd, GIOCondition condition, gpointer opaque)
{
    Watches *watches = opaque;
    int i;

    (void)condition;
    watches->n_batch = epoll_wait(fd, watches->batch, BATCH, 0);
    for (i = 0; i < watches->n_batch; i++) {
        Watch *watch = watches->batch[i].data.ptr;

        if (watch) {
            watch->func(watch, watches->batch[i].events);
        }
    }
    watches->n_batch = 0;
    return G_SOURCE_CONTINUE;
}

Watches *watches_new(GError **error)
{
    Watches *watches = g_new0(Watches, 1);

    watches->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (watches->epoll < 0) {
        fail(error, "cannot wait for events: epoll_create1: %s", g_strerror(errno));
        g_free(watches);
        return NULL;
    }
    watches->source = g_unix_fd_add(watches->epoll, G_IO_IN, watches_dispatch,
                                    watches);
    return watches;
}

void watches_free(Watches *watches)
{
    g_source_remove(watches->source);
    close(watches->epoll);
    g_free(watches);
}

bool watch_add(Watches *watches, Watch *watch, int fd, uint32_t events,
               WatchFunc *func, void *data)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    *watch = (Watch) {
        .watches = watches, .fd = fd, .events = events, .func = func, .data = data,
    };
    if (epoll_ctl(watches->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        watch->watches = NULL;
        return false;
    }
    return true;
}

void watch_change(Watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    if (watch->watches && watch->events != events) {
        epoll_ctl(watch->watches->epoll, EPOLL_CTL_MOD, watch->fd, &event);
        watch->events = events;
    }
}

void watch_remove(Watch *watch)
{
    Watches *watches = watch->watches;
    int i;

    if (!watches) {
        return;
    }
    epoll_ctl(watches->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    for (i = 0; i < watches->n_batch; i++) {
        if (watches->batch[i].data.ptr == watch) {
            watches->batch[i].data.ptr = NULL;
        }
    }
    watch->watches = NULL;
}
