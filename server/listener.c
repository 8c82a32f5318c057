/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A listening socket in the file system. To find out whether a path is in use, connect
 * a datagram socket to it: connect() fails with EPROTOTYPE if a stream socket is bound
 * to the file, and with ECONNREFUSED if its process has died. The other process does
 * not notice. A lock on the directory serializes servers that start at the same time.
 *
 * A socket file must have its mode and group before anybody can connect. So listen()
 * comes last.
 *
 * A crash loses a client that was accepted but that the service manager does not keep
 * yet. It does not lose a client that is waiting to be accepted. So while the service
 * manager is behind, newcomers wait, for at most a second.
 *
 * accept() needs a free fd even to refuse a client, and a client that is not accepted
 * would wake us again and again. So one fd is kept in reserve.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "error.h"
#include "fd.h"
#include "listener.h"

/* After these, other sources have their turn */
#define ACCEPTS_AT_ONCE 16

#define LOCK_PATIENCE_MS 2000
#define PAUSE_MS 2

struct Listener {
    char *path;
    int fd;
    int *spare;
    Notify *notify;
    guint pause;            /* timer while newcomers wait, or 0 */
    unsigned paused_ms;     /* total, since the service manager fell behind */
    uint64_t inode;         /* of its file; 0 if a service manager opened it */
    Watch watch;
    ListenerFunc *func;
    void *data;
};

/*
 * Refuse a client. False if none is waiting: without a free fd, accept() does not say.
 */
static bool listener_refuse(Listener *listener)
{
    bool anybody;
    int socket;

    fd_close(listener->spare);
    socket = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    anybody = socket >= 0;
    fd_close(&socket);
    *listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!anybody) {
        return false;
    }
    g_message("refused a client at %s: this process is out of file descriptors: "
              "raise 'ulimit -Hn', or LimitNOFILE= of the service", listener->path);
    return true;
}

static gboolean listener_resume(gpointer opaque)
{
    Listener *listener = opaque;

    listener->pause = 0;
    listener->paused_ms += PAUSE_MS;
    watch_change(&listener->watch, EPOLLIN);
    return G_SOURCE_REMOVE;
}

static bool listener_must_wait(Listener *listener)
{
    if (!notify_is_behind(listener->notify)) {
        listener->paused_ms = 0;
        return false;
    }
    if (listener->paused_ms >= NOTIFY_PATIENCE_MS) {
        return false;
    }
    watch_change(&listener->watch, 0);
    listener->pause = g_timeout_add(PAUSE_MS, listener_resume, listener);
    return true;
}

static void listener_event(Watch *watch, uint32_t events)
{
    Listener *listener = watch->data;
    unsigned i;

    (void)events;
    for (i = 0; i < ACCEPTS_AT_ONCE && !listener_must_wait(listener); i++) {
        int socket = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (socket >= 0) {
            listener->func(socket, listener->data);
        } else if (errno == EMFILE || errno == ENFILE) {
            if (!listener_refuse(listener)) {
                return;
            }
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static bool to_address(const char *path, struct sockaddr_un *un, GError **error)
{
    *un = (struct sockaddr_un) { .sun_family = AF_UNIX };
    if (!*path || strlen(path) >= sizeof(un->sun_path)) {
        return fail(error, "'%s' is not a socket path: use 1 to %zu bytes",
                    path, sizeof(un->sun_path) - 1);
    }
    g_strlcpy(un->sun_path, path, sizeof(un->sun_path));
    return true;
}

/* Remove a dead socket at the address. Fails if a live process has it. */
static bool clear_path(const struct sockaddr_un *un, GError **error)
{
    AUTO_FD probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const char *path = un->sun_path;
    struct stat st;

    if (lstat(path, &st) < 0) {
        return true;        /* bind() reports problems with the directory */
    }
    if (!S_ISSOCK(st.st_mode)) {
        return fail(error, "cannot listen on %s: it exists and is not a socket: "
                    "remove it, or choose another path", path);
    }
    if (connect(probe, (const struct sockaddr *)un, sizeof(*un)) == 0 ||
        errno != ECONNREFUSED) {
        if (errno == EACCES) {
            return fail(error, "cannot listen on %s: it is another user's socket, which "
                        "may be in use: choose another path", path);
        }
        return fail(error, "cannot listen on %s: a running server uses it: stop "
                    "that server, or choose another path with -S", path);
    }
    if (unlink(path) < 0) {
        return fail(error, "cannot replace %s, which a killed server left: %s", path,
                    g_strerror(errno));
    }
    g_message("replaced %s, which a killed server left", path);
    return true;
}

/* -1 if the directory cannot be locked: continue without the lock. */
static int lock_directory(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);
    AUTO_FD fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gint64 end = g_get_monotonic_time() + LOCK_PATIENCE_MS * 1000;

    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (g_get_monotonic_time() > end) {
            return -1;
        }
        g_usleep(1000);
    }
    return fd_steal(&fd);
}

static bool set_owner(const ListenerAddress *address, GError **error)
{
    if (address->group) {
        const struct group *group = getgrnam(address->group);

        if (!group) {
            return fail(error, "socket %s: there is no group '%s'", address->path,
                        address->group);
        }
        if (chown(address->path, -1, group->gr_gid) < 0) {
            return fail(error, "socket %s: cannot give it to the group '%s', of which "
                        "you must be a member: %s", address->path, address->group,
                        g_strerror(errno));
        }
    }
    if (address->mode >= 0 && chmod(address->path, address->mode) < 0) {
        return fail(error, "socket %s: cannot set its mode: %s", address->path,
                    g_strerror(errno));
    }
    return true;
}

static int open_socket(const ListenerAddress *address, GError **error)
{
    AUTO_FD lock = lock_directory(address->path);
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un un;

    if (fd < 0) {
        fail(error, "cannot create a socket: %s", g_strerror(errno));
        return -1;
    }
    if (!to_address(address->path, &un, error) || !clear_path(&un, error)) {
        return -1;
    }
    if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        fail(error, "cannot listen on %s: %s", address->path, g_strerror(errno));
        return -1;
    }
    if (!set_owner(address, error)) {
        unlink(address->path);
        return -1;
    }
    if (listen(fd, SOMAXCONN) < 0) {
        fail(error, "cannot listen on %s: %s", address->path, g_strerror(errno));
        unlink(address->path);
        return -1;
    }
    return fd_steal(&fd);
}

static uint64_t inode_at(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

static void listener_forget(Notify *notify, uint64_t inode)
{
    g_autofree char *name = fd_name_format(FD_LISTENER, 0, inode, 0);

    notify_forget(notify, name);
}

/*
 * A socket that was handed over is useless if its file is gone or now belongs to
 * another socket.
 */
static int take_socket(const char *path, Handover *handover, Notify *notify,
                       uint64_t *inode)
{
    uint64_t now = inode_at(path);

    for (;;) {
        AUTO_FD fd = handover_take_listener(handover, path, inode);

        if (fd < 0) {
            return -1;
        }
        if (now && (*inode == now || !*inode)) {
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            return fd_steal(&fd);
        }
        if (*inode) {
            listener_forget(notify, *inode);
        }
    }
}

Listener *listener_new(const ListenerAddress *address, Handover *handover,
                       Watches *watches, Notify *notify, int *spare,
                       ListenerFunc *func, void *data, GError **error)
{
    uint64_t inode = 0;
    AUTO_FD fd = take_socket(address->path, handover, notify, &inode);
    Listener *listener;

    if (fd < 0) {
        g_autofree char *name = NULL;

        fd = open_socket(address, error);
        if (fd < 0) {
            return NULL;
        }
        inode = inode_at(address->path);
        name = fd_name_format(FD_LISTENER, 0, inode, 0);
        notify_keep(notify, name, fd);
    } else if (inode && !set_owner(address, error)) {
        unlink(address->path);
        listener_forget(notify, inode);
        return NULL;
    }
    listener = g_new0(Listener, 1);
    if (!watch_add(watches, &listener->watch, fd, EPOLLIN, listener_event, listener)) {
        fail(error, "cannot listen on %s: %s", address->path, g_strerror(errno));
        g_free(listener);
        return NULL;
    }
    listener->path = g_strdup(address->path);
    listener->fd = fd_steal(&fd);
    listener->spare = spare;
    listener->notify = notify;
    listener->inode = inode;
    listener->func = func;
    listener->data = data;
    return listener;
}

void listener_free(Listener *listener, bool remove)
{
    watch_remove(&listener->watch);
    if (listener->pause) {
        g_source_remove(listener->pause);
    }
    if (remove && listener->inode && inode_at(listener->path) == listener->inode) {
        unlink(listener->path);
    }
    fd_close(&listener->fd);
    g_free(listener->path);
    g_free(listener);
}

void listener_hand_over(const Listener *listener, Handover *handover)
{
    g_autofree char *name = fd_name_format(FD_LISTENER, 0, listener->inode, 0);

    handover_add(handover, listener->inode ? name : "activated", listener->fd);
}

void listener_discard_rest(Handover *handover, Notify *notify)
{
    uint64_t inode;
    int fd;

    while ((fd = handover_take_listener(handover, NULL, &inode)) >= 0) {
        g_autofree char *path = fd_socket_path(fd);

        if (path && inode) {
            g_message("socket %s is no longer configured: closed", path);
            listener_forget(notify, inode);
            if (inode_at(path) == inode) {
                unlink(path);
            }
        } else {
            g_warning("closing a socket of the service manager that no channel uses: %s",
                      path ? path : "it has no path");
        }
        fd_close(&fd);
    }
}
