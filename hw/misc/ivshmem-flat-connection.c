/*
 * Connection to an ivshmem server: messages and their file descriptors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "chardev/char-socket.h"
#include "hw/misc/ivshmem-flat-connection.h"
#include "io/task.h"

const char *ivshmem_flat_connection_name(IvshmemFlatConnection *c)
{
    Chardev *chr = qemu_chr_fe_get_driver(&c->chardev);

    return chr ? chr->label : NULL;
}

static void close_socket(IvshmemFlatConnection *c)
{
    if (!c->socket) {
        return;
    }
    qemu_set_fd_handler(c->socket->fd, NULL, NULL, NULL);
    object_unref(OBJECT(c->socket));
    c->socket = NULL;
    if (c->msg_fd >= 0) {
        close(c->msg_fd);
    }
}

static bool open_socket(IvshmemFlatConnection *c, Error **errp)
{
    SocketChardev *chr = SOCKET_CHARDEV(qemu_chr_fe_get_driver(&c->chardev));
    int fd = fcntl(chr->sioc->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot duplicate the socket of chardev "
                         "'%s'", ivshmem_flat_connection_name(c));
        return false;
    }
    c->socket = qio_channel_socket_new_fd(fd, errp);
    if (!c->socket) {
        close(fd);
        return false;
    }
    c->msg_len = 0;
    c->msg_fd = -1;
    if (!qio_channel_has_feature(QIO_CHANNEL(c->socket),
                                 QIO_CHANNEL_FEATURE_FD_PASS)) {
        error_setg(errp, "chardev '%s' cannot pass file descriptors: "
                   "it must be a UNIX socket, given by path= or fd=",
                   ivshmem_flat_connection_name(c));
        close_socket(c);
        return false;
    }
    return true;
}

/*
 * With 'reconnect-ms' the chardev first connects in another thread.  That
 * thread reports through a source in the main loop, which does not run yet.
 */
static bool await_chardev(SocketChardev *chr, int timeout_ms)
{
    while (chr->connect_task &&
           !g_main_context_find_source_by_user_data(NULL, chr->connect_task)) {
        if (timeout_ms-- == 0) {
            return false;
        }
        g_usleep(1000);
    }
    if (chr->connect_task) {
        g_main_context_acquire(NULL);
        qio_task_wait_thread(chr->connect_task);
        g_main_context_release(NULL);
    }
    return true;
}

bool ivshmem_flat_connection_open(IvshmemFlatConnection *c, int timeout_ms,
                                  Error **errp)
{
    ERRP_GUARD();
    Chardev *chr;

    if (!qemu_chr_fe_backend_connected(&c->chardev)) {
        error_setg(errp, "chardev is missing");
        error_append_hint(errp, "Add -chardev socket,path=/tmp/ivshmem_socket,"
                          "id=ivshmem and chardev=ivshmem.\n");
        return false;
    }
    chr = qemu_chr_fe_get_driver(&c->chardev);
    if (!object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET)) {
        error_setg(errp, "chardev '%s' is a '%s', must be a UNIX socket",
                   chr->label, object_get_typename(OBJECT(chr)));
        error_append_hint(errp, "Use -chardev socket,path=/tmp/ivshmem_socket,"
                          "id=%s.\n", chr->label);
        return false;
    }
    if (SOCKET_CHARDEV(chr)->is_listen) {
        error_setg(errp, "chardev '%s' must be a client of an ivshmem server: "
                   "leave 'server' out", chr->label);
        return false;
    }
    if (!await_chardev(SOCKET_CHARDEV(chr), timeout_ms)) {
        error_setg(errp, "chardev '%s' is not connected after %d s: "
                   "the server does not accept connections, restart it",
                   chr->label, timeout_ms / 1000);
        return false;
    }
    if (!qemu_chr_fe_backend_open(&c->chardev)) {
        error_setg(errp, "chardev '%s' is not connected: "
                   "start the ivshmem server first", chr->label);
        return false;
    }
    return open_socket(c, errp);
}

bool ivshmem_flat_connection_is_open(IvshmemFlatConnection *c)
{
    return c->socket;
}

/*
 * Reads the rest of a message, or a part of it.  The kernel drops the fds for
 * which there is no room, and reports that.
 */
static ssize_t receive(IvshmemFlatConnection *c)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec rest = {
        .iov_base = c->msg + c->msg_len,
        .iov_len = sizeof(c->msg) - c->msg_len,
    };
    struct msghdr message = {
        .msg_iov = &rest,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_LEN(sizeof(int)),
    };
    ssize_t size = recvmsg(c->socket->fd, &message,
                           MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;

    if (size <= 0) {
        return size;
    }
    c->msg_len += size;
    if (message.msg_controllen >= CMSG_LEN(sizeof(int)) &&
        control.header.cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        if (c->msg_fd < 0) {
            c->msg_fd = fd;
        } else {
            close(fd);
        }
    } else if (message.msg_flags & MSG_CTRUNC && c->msg_fd < 0) {
        c->msg_fd = IVSHMEM_FLAT_LOST_FD;
    }
    return size;
}

IvshmemFlatRead ivshmem_flat_connection_read(IvshmemFlatConnection *c,
                                             int64_t *msg, int *fd)
{
    while (c->msg_len < sizeof(c->msg)) {
        ssize_t size;

        if (!c->socket) {
            return IVSHMEM_FLAT_HANG_UP;
        }
        size = receive(c);
        if (size < 0 && errno == EAGAIN) {
            return IVSHMEM_FLAT_NO_MESSAGE;
        }
        if (size <= 0) {
            close_socket(c);
            return IVSHMEM_FLAT_HANG_UP;
        }
    }
    *msg = ldq_le_p(c->msg);
    *fd = c->msg_fd;
    c->msg_len = 0;
    c->msg_fd = -1;
    return IVSHMEM_FLAT_MESSAGE;
}

unsigned ivshmem_flat_connection_count_unread(IvshmemFlatConnection *c)
{
    int size;

    if (!c->socket || ioctl(c->socket->fd, FIONREAD, &size) < 0) {
        return 0;
    }
    return (c->msg_len + size) / sizeof(c->msg);
}

void ivshmem_flat_connection_wait(IvshmemFlatConnection *c, int timeout_ms)
{
    GPollFD fd = { .fd = c->socket->fd, .events = G_IO_IN };

    g_poll(&fd, 1, timeout_ms);
}

static void chardev_event(void *opaque, QEMUChrEvent event)
{
    IvshmemFlatConnection *c = opaque;

    if (event == CHR_EVENT_OPENED) {
        c->reconnected(c->opaque);
    }
}

static void socket_readable(void *opaque)
{
    IvshmemFlatConnection *c = opaque;

    c->readable(c->opaque);
    /* The chardev may not have seen it yet, and never sees a half-close */
    if (!c->socket && qemu_chr_fe_backend_open(&c->chardev)) {
        qemu_chr_fe_disconnect(&c->chardev);
    }
}

void ivshmem_flat_connection_listen(IvshmemFlatConnection *c,
                                    void (*readable)(void *opaque),
                                    void (*reconnected)(void *opaque),
                                    void *opaque)
{
    c->readable = readable;
    c->reconnected = reconnected;
    c->opaque = opaque;
    qemu_set_fd_handler(c->socket->fd, socket_readable, NULL, c);
    qemu_chr_fe_set_handlers_full(&c->chardev, NULL, NULL, chardev_event, NULL,
                                  c, NULL, true, false);
}

bool ivshmem_flat_connection_reopen(IvshmemFlatConnection *c, Error **errp)
{
    close_socket(c);
    if (!open_socket(c, errp)) {
        return false;
    }
    qemu_set_fd_handler(c->socket->fd, socket_readable, NULL, c);
    return true;
}

void ivshmem_flat_connection_hang_up(IvshmemFlatConnection *c)
{
    close_socket(c);
    qemu_chr_fe_disconnect(&c->chardev);
}

void ivshmem_flat_connection_close(IvshmemFlatConnection *c)
{
    qemu_chr_fe_set_handlers(&c->chardev, NULL, NULL, NULL, NULL, NULL, NULL,
                             true);
    close_socket(c);
    /* A connection has one handshake: the next open needs a new connection */
    if (qemu_chr_fe_backend_open(&c->chardev)) {
        qemu_chr_fe_disconnect(&c->chardev);
    }
}
