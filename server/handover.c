/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named fds reach the next process in two ways, and both give the same list.
 *
 * A service manager, for socket activation or from its fd store, passes fds from 3 on
 * with LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
 *
 * A process that re-executes itself leaves every fd where it is and writes a table, one
 * "FD NAME" per line, to a memfd whose number is in IVSHMEMD_HANDOVER. A variable is
 * limited to 128 KiB, too little for the names of 10,000 fds. The fds keep their
 * numbers because nothing may change if the exec fails.
 *
 * A successful exec cannot be undone. So check the program first: a script, another
 * program or a partial copy would end all connections. It cannot be test-run, because
 * the sandbox allows no new process.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "error.h"
#include "fd.h"
#include "handover.h"

#define FIRST_FD 3
#define TABLE_VARIABLE "IVSHMEMD_HANDOVER"
#define LISTENER_PREFIX "listener/"

extern char **environ;

typedef struct NamedFd {
    char *name;
    int fd;
} NamedFd;

struct Handover {
    GHashTable *fds;        /* of NamedFd by name, without listeners */
    GPtrArray *listeners;   /* of NamedFd */
    GString *table;         /* what was passed to handover_add() */
    bool reload;
    unsigned generation;
};

FdName fd_name_parse(const char *text)
{
    FdName name = { .kind = FD_LISTENER };
    guint64 tag, joined, vector;
    g_auto(GStrv) part = g_strsplit(text, "/", 4);
    guint parts = g_strv_length(part);

    if (parts < 2 || parts > 3 ||
        !g_ascii_string_to_unsigned(part[0], 10, 0, UINT32_MAX, &tag, NULL)) {
        return name;
    }
    name.tag = tag;
    if (parts == 2 && !strcmp(part[1], "ledger")) {
        name.kind = FD_LEDGER;
    } else if (parts == 2 && !strcmp(part[1], "memory")) {
        name.kind = FD_MEMORY;
    } else if (parts == 2 && !strcmp(part[1], "lock")) {
        name.kind = FD_LOCK;
    } else if (g_ascii_string_to_unsigned(part[1], 10, 1, UINT64_MAX, &joined, NULL)) {
        if (parts == 2) {
            name.kind = FD_CLIENT;
            name.joined = joined;
        } else if (g_ascii_string_to_unsigned(part[2], 10, 0, UINT32_MAX, &vector,
                                              NULL)) {
            name.kind = FD_VECTOR;
            name.joined = joined;
            name.vector = vector;
        }
    }
    return name;
}

char *fd_name_format(FdKind kind, uint32_t tag, uint64_t joined, uint32_t vector)
{
    switch (kind) {
    case FD_LEDGER:
        return g_strdup_printf("%u/ledger", tag);
    case FD_MEMORY:
        return g_strdup_printf("%u/memory", tag);
    case FD_LOCK:
        return g_strdup_printf("%u/lock", tag);
    case FD_CLIENT:
        return g_strdup_printf("%u/%" G_GUINT64_FORMAT, tag, joined);
    case FD_VECTOR:
        return g_strdup_printf("%u/%" G_GUINT64_FORMAT "/%u", tag, joined, vector);
    case FD_LISTENER:
        return g_strdup_printf(LISTENER_PREFIX "%" G_GUINT64_FORMAT, joined);
    }
    g_assert_not_reached();
}

static void named_fd_free(gpointer opaque)
{
    NamedFd *named = opaque;

    fd_close(&named->fd);
    g_free(named->name);
    g_free(named);
}

Handover *handover_new(void)
{
    Handover *handover = g_new0(Handover, 1);

    handover->fds = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                          named_fd_free);
    handover->listeners = g_ptr_array_new_with_free_func(named_fd_free);
    handover->table = g_string_new(NULL);
    return handover;
}

void handover_free(Handover *handover)
{
    g_hash_table_destroy(handover->fds);
    g_ptr_array_free(handover->listeners, TRUE);
    g_string_free(handover->table, TRUE);
    g_free(handover);
}

static void handover_put(Handover *handover, const char *name, int fd)
{
    NamedFd *named = g_new0(NamedFd, 1);

    named->name = g_strdup(name);
    named->fd = fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (fd_name_parse(name).kind == FD_LISTENER) {
        g_ptr_array_add(handover->listeners, named);
    } else {
        g_hash_table_replace(handover->fds, named->name, named);
    }
}

static bool parse_fd(const char *text, int *fd)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, FIRST_FD, INT_MAX, &value, NULL) ||
        fcntl(value, F_GETFD) < 0) {
        return false;
    }
    *fd = value;
    return true;
}

static char *table_read(int fd)
{
    off_t length = lseek(fd, 0, SEEK_END);
    char *text;

    if (length < 0 || length > INT_MAX) {
        return NULL;
    }
    text = g_malloc0(length + 1);
    if (pread(fd, text, length, 0) != length) {
        g_free(text);
        return NULL;
    }
    return text;
}

static bool handover_read_table(Handover *handover, const char *variable,
                                GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    AUTO_FD table = -1;
    unsigned i;
    int fd;

    if (parse_fd(variable, &fd)) {
        table = fd;
        text = table_read(table);
    }
    if (!text) {
        return fail(error, TABLE_VARIABLE "=%s is not a table of file descriptors: unset "
                    "it", variable);
    }
    lines = g_strsplit(text, "\n", -1);
    handover->reload = true;
    handover->generation = g_ascii_strtoull(lines[0] ? lines[0] : "", NULL, 10);
    for (i = 1; lines[0] && lines[i] && *lines[i]; i++) {
        char *space = strchr(lines[i], ' ');

        if (space) {
            *space = 0;
        }
        if (!space || !parse_fd(lines[i], &fd)) {
            return fail(error, "line %u of the table of file descriptors is invalid",
                        i + 1);
        }
        handover_put(handover, space + 1, fd);
    }
    return true;
}

static bool handover_read_listen_fds(Handover *handover, GError **error)
{
    const char *pid = g_getenv("LISTEN_PID");
    const char *fds = g_getenv("LISTEN_FDS");
    const char *fdnames = g_getenv("LISTEN_FDNAMES");
    g_auto(GStrv) names = g_strsplit(fdnames ? fdnames : "", ":", -1);
    guint n_names = g_strv_length(names);
    guint64 number, listen_pid, i;

    if (!pid || !fds) {
        return true;
    }
    if (!g_ascii_string_to_unsigned(pid, 10, 1, INT_MAX, &listen_pid, NULL) ||
        !g_ascii_string_to_unsigned(fds, 10, 0, INT_MAX - FIRST_FD, &number, NULL)) {
        return fail(error, "LISTEN_PID=%s LISTEN_FDS=%s are not numbers: unset them", pid,
                    fds);
    }
    if (listen_pid != (guint64)getpid()) {
        return true;        /* meant for another process */
    }
    for (i = 0; i < number; i++) {
        int fd = FIRST_FD + i;

        if (fcntl(fd, F_GETFD) < 0) {
            return fail(error, "LISTEN_FDS=%s, but file descriptor %d is not open", fds,
                        fd);
        }
        handover_put(handover, i < n_names ? names[i] : "", fd);
    }
    return true;
}

static gint compare_fds(gconstpointer a, gconstpointer b)
{
    return *(const int *)a - *(const int *)b;
}

/* Inherit nothing but what was handed over. */
static void close_all_but(const Handover *handover)
{
    g_autoptr(GArray) keep = g_array_new(FALSE, FALSE, sizeof(int));
    int next = FIRST_FD;
    GHashTableIter iter;
    NamedFd *named;
    guint i;

    g_hash_table_iter_init(&iter, handover->fds);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&named)) {
        g_array_append_val(keep, named->fd);
    }
    for (i = 0; i < handover->listeners->len; i++) {
        named = g_ptr_array_index(handover->listeners, i);
        g_array_append_val(keep, named->fd);
    }
    g_array_sort(keep, compare_fds);
    for (i = 0; i < keep->len; i++) {
        int fd = g_array_index(keep, int, i);

        if (fd > next) {
            close_range(next, fd - 1, 0);
        }
        next = fd + 1;
    }
    close_range(next, ~0u, 0);
}

Handover *handover_receive(GError **error)
{
    g_autoptr(Handover) handover = handover_new();
    const char *table = g_getenv(TABLE_VARIABLE);
    bool ok;

    if (table) {
        ok = handover_read_table(handover, table, error);
    } else {
        ok = handover_read_listen_fds(handover, error);
    }
    g_unsetenv(TABLE_VARIABLE);
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    if (!ok) {
        return NULL;
    }
    close_all_but(handover);
    return g_steal_pointer(&handover);
}

bool handover_is_reload(const Handover *handover)
{
    return handover->reload;
}

unsigned handover_generation(const Handover *handover)
{
    return handover->generation;
}

static int handover_take_named(Handover *handover, const char *name)
{
    NamedFd *named = g_hash_table_lookup(handover->fds, name);
    int fd;

    if (!named) {
        return -1;
    }
    fd = fd_steal(&named->fd);
    g_hash_table_remove(handover->fds, name);
    return fd;
}

int handover_take(Handover *handover, FdKind kind, uint32_t tag, uint64_t joined,
                  uint32_t vector)
{
    g_autofree char *name = fd_name_format(kind, tag, joined, vector);

    return handover_take_named(handover, name);
}

uint32_t handover_next_tag(const Handover *handover)
{
    uint32_t tag = 0;
    GHashTableIter iter;
    const char *name;

    g_hash_table_iter_init(&iter, handover->fds);
    while (g_hash_table_iter_next(&iter, (gpointer *)&name, NULL)) {
        tag = MAX(tag, fd_name_parse(name).tag + 1);
    }
    return tag;
}

int handover_take_any(Handover *handover, FdKind kind, FdName *name)
{
    GHashTableIter iter;
    const char *text;

    g_hash_table_iter_init(&iter, handover->fds);
    while (g_hash_table_iter_next(&iter, (gpointer *)&text, NULL)) {
        *name = fd_name_parse(text);
        if (name->kind == kind) {
            return handover_take_named(handover, text);
        }
    }
    return -1;
}

/* 0 if no server opened it */
static uint64_t inode_of(const NamedFd *named)
{
    guint64 inode = 0;

    if (g_str_has_prefix(named->name, LISTENER_PREFIX)) {
        g_ascii_string_to_unsigned(named->name + strlen(LISTENER_PREFIX), 10, 1,
                                   UINT64_MAX, &inode, NULL);
    }
    return inode;
}

int handover_take_listener(Handover *handover, const char *path, uint64_t *inode)
{
    guint i;

    for (i = 0; i < handover->listeners->len; i++) {
        NamedFd *named = g_ptr_array_index(handover->listeners, i);
        g_autofree char *bound = fd_socket_path(named->fd);

        if (!path || !g_strcmp0(bound, path)) {
            int fd = fd_steal(&named->fd);

            *inode = inode_of(named);
            g_ptr_array_remove_index(handover->listeners, i);
            return fd;
        }
    }
    return -1;
}

char *handover_activated_path(const Handover *handover)
{
    guint i;

    for (i = 0; i < handover->listeners->len; i++) {
        const NamedFd *named = g_ptr_array_index(handover->listeners, i);

        if (!inode_of(named)) {
            return fd_socket_path(named->fd);
        }
    }
    return NULL;
}

void handover_discard_rest(Handover *handover, Notify *notify)
{
    GHashTableIter iter;
    NamedFd *named;

    g_hash_table_iter_init(&iter, handover->fds);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&named)) {
        shutdown(named->fd, SHUT_RDWR);
        notify_forget(notify, named->name);
        g_hash_table_iter_remove(&iter);
    }
}

void handover_add(Handover *handover, const char *name, int fd)
{
    g_string_append_printf(handover->table, "%d %s\n", fd, name);
}

static void set_inheritable(const Handover *handover, bool inheritable)
{
    g_auto(GStrv) lines = g_strsplit(handover->table->str, "\n", -1);
    unsigned i;

    for (i = 0; lines[i] && *lines[i]; i++) {
        fcntl(atoi(lines[i]), F_SETFD, inheritable ? 0 : FD_CLOEXEC);
    }
}

/* Is this a complete program that reads a table of fds? */
static bool can_take_over(const char *file, gsize length)
{
    const ElfW(Ehdr) *header = (const void *)file;

    return length >= sizeof(*header) && !memcmp(file, ELFMAG, SELFMAG) &&
           header->e_shoff <= length &&
           (gsize)header->e_shnum * header->e_shentsize <= length - header->e_shoff &&
           memmem(file, length, TABLE_VARIABLE, strlen(TABLE_VARIABLE));
}

/* If the program cannot be read, let execve() report why. */
static bool check_program(const char *program, GError **error)
{
    g_autofree char *file = NULL;
    gsize length;

    if (g_file_get_contents(program, &file, &length, NULL) &&
        !can_take_over(file, length)) {
        return fail(error, "%s is not a complete ivshmemd, so it cannot take over "
                    "the clients: install it again", program);
    }
    return true;
}

bool handover_exec(Handover *handover, const char *program, char **argv,
                   unsigned generation, GError **error)
{
    g_autofree char *first = g_strdup_printf("%u\n", generation);
    AUTO_FD table = memfd_create("ivshmemd-handover", 0);
    char number[16];
    int saved;

    if (!check_program(program, error)) {
        return false;
    }
    g_string_prepend(handover->table, first);
    if (table < 0 || write(table, handover->table->str, handover->table->len) !=
                     (ssize_t)handover->table->len) {
        return fail(error, "cannot write the table of file descriptors: %s",
                    g_strerror(errno));
    }
    g_string_erase(handover->table, 0, strlen(first));
    g_snprintf(number, sizeof(number), "%d", table);
    g_setenv(TABLE_VARIABLE, number, TRUE);
    set_inheritable(handover, true);
    execve(program, argv, environ);
    saved = errno;
    set_inheritable(handover, false);
    g_unsetenv(TABLE_VARIABLE);
    return fail(error, "cannot execute %s: %s", program, g_strerror(saved));
}
