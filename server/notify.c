/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol of sd_notify(3): datagrams of VARIABLE=VALUE lines, with fds for
 * systemd's fd store. Order matters, and the service manager may be slower than this
 * process. What its socket has no room for waits in a queue, with a duplicate of its
 * fd, until the socket is writable.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fd.h"
#include "notify.h"

#define RETRY_MS 20

typedef struct Message {
    char *text;
    int fd;
} Message;

struct Notify {
    struct sockaddr_un address;
    socklen_t length;       /* of the address */
    int socket;
    bool failed;            /* already logged */
    Watch watch;
    GQueue queue;
    guint retry;
};

static void message_free(gpointer opaque)
{
    Message *message = opaque;

    g_free(message->text);
    fd_close(&message->fd);
    g_free(message);
}

static bool notify_connect(Notify *notify)
{
    return connect(notify->socket, (struct sockaddr *)&notify->address,
                   notify->length) == 0;
}

/* Has another service manager replaced this one? */
static bool notify_is_lost(int error)
{
    return error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET;
}

/* True if it was sent, or can never be sent */
static bool notify_send(Notify *notify, const char *text, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { (char *)text, strlen(text) };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    if (sendmsg(notify->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
        (notify_is_lost(errno) && notify_connect(notify) &&
         sendmsg(notify->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)) {
        notify->failed = false;
        return true;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ETOOMANYREFS ||
        errno == ENOBUFS || errno == ENOMEM) {
        return false;
    }
    if (!notify->failed) {
        g_warning("cannot notify the service manager: %s", g_strerror(errno));
    }
    notify->failed = true;
    return true;
}

static void notify_flush(Notify *notify);

static gboolean notify_again(gpointer opaque)
{
    Notify *notify = opaque;

    notify->retry = 0;
    notify_flush(notify);
    return G_SOURCE_REMOVE;
}

static void notify_flush(Notify *notify)
{
    while (!g_queue_is_empty(&notify->queue)) {
        Message *message = g_queue_peek_head(&notify->queue);

        if (!notify_send(notify, message->text, message->fd)) {
            /* poll() does not show the limit on fds in flight. */
            if (errno != EAGAIN && !notify->retry) {
                notify->retry = g_timeout_add(RETRY_MS, notify_again, notify);
            }
            watch_change(&notify->watch, errno == EAGAIN ? EPOLLOUT : 0);
            return;
        }
        message_free(g_queue_pop_head(&notify->queue));
    }
    watch_change(&notify->watch, 0);
}

static void notify_writable(Watch *watch, uint32_t events)
{
    (void)events;
    notify_flush(watch->data);
}

static void notify_queue(Notify *notify, char *text, int fd)
{
    Message *message = g_new0(Message, 1);

    message->text = text;
    message->fd = -1;
    if (fd >= 0) {
        message->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (message->fd < 0) {
            g_warning("cannot store a file descriptor: %s", g_strerror(errno));
            message_free(message);
            return;
        }
    }
    g_queue_push_tail(&notify->queue, message);
    if (g_queue_get_length(&notify->queue) == 1) {
        notify_flush(notify);
    }
}

Notify *notify_new(Watches *watches, const char *address)
{
    g_autoptr(Notify) notify = g_new0(Notify, 1);
    size_t length = strlen(address);

    g_queue_init(&notify->queue);
    notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if ((*address != '/' && *address != '@') ||
        length >= sizeof(notify->address.sun_path)) {
        g_warning("NOTIFY_SOCKET is neither a path nor '@' and a name: %s", address);
        return NULL;
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, address, length);
    notify->length = offsetof(struct sockaddr_un, sun_path) + length;
    if (*address == '@') {
        notify->address.sun_path[0] = 0;
    }
    if (notify->socket < 0 || !notify_connect(notify) ||
        !watch_add(watches, &notify->watch, notify->socket, 0, notify_writable,
                   notify)) {
        g_warning("cannot reach the service manager at %s: %s", address,
                  g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&notify);
}

void notify_free(Notify *notify)
{
    watch_remove(&notify->watch);
    if (notify->retry) {
        g_source_remove(notify->retry);
    }
    g_queue_clear_full(&notify->queue, message_free);
    fd_close(&notify->socket);
    g_free(notify);
}

void notify_state(Notify *notify, const char *state)
{
    if (notify) {
        notify_queue(notify, g_strdup(state), -1);
    }
}

void notify_keep(Notify *notify, const char *name, int fd)
{
    if (notify) {
        notify_queue(notify, g_strdup_printf("FDSTORE=1\nFDNAME=%s", name), fd);
    }
}

void notify_forget(Notify *notify, const char *name)
{
    if (notify) {
        notify_queue(notify, g_strdup_printf("FDSTOREREMOVE=1\nFDNAME=%s", name), -1);
    }
}

bool notify_is_behind(const Notify *notify)
{
    return notify && notify->queue.length > 0;
}

void notify_drain(Notify *notify, unsigned milliseconds)
{
    gint64 end = g_get_monotonic_time() + milliseconds * INT64_C(1000);

    while (notify_is_behind(notify)) {
        struct pollfd poll_fd = { .fd = notify->socket, .events = POLLOUT };

        if (g_get_monotonic_time() > end) {
            g_warning("the service manager is slow: it may not store all clients");
            return;
        }
        poll(&poll_fd, 1, RETRY_MS);
        notify_flush(notify);
    }
}
