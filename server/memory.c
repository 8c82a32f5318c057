/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shared memory of a channel. Its space is reserved here, so that lack of space is
 * an error now, not a SIGBUS in a VM later. A memfd is sealed: no client can resize it
 * or add a harmful seal.
 *
 * An object or file has a name, so another server can open it. Its owner holds a
 * flock() on it, which the kernel releases when the process ends for any reason. The
 * lock belongs to the open file description. So clients get another description of the
 * file; otherwise they would hold the lock, and a dead server would seem alive. The
 * server that gets the lock owns the memory, which is new or left by a dead server. It
 * is never resized, because VMs may still have it mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "error.h"
#include "fd.h"
#include "memory.h"
#include "size.h"

#define MEBIBYTE (UINT64_C(1) << 20)
#define OBJECTS "/dev/shm/"
#define REMOVED " (deleted)"     /* what the kernel appends to the path */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Bytes available without killing other processes; unlimited if not known */
static uint64_t memory_available(void)
{
    g_autofree char *text = NULL;
    uint64_t total = 0;
    const char *line;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL)) {
        return UINT64_MAX;
    }
    for (line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (g_str_has_prefix(line, "MemAvailable:") ||
            g_str_has_prefix(line, "SwapFree:")) {
            total += 1024 * g_ascii_strtoull(strchr(line, ':') + 1, NULL, 10);
        }
    }
    return total;
}

static bool memory_reserve(int fd, uint64_t size, const char *where, GError **error)
{
    g_autofree char *text = size_format(size);
    int result;

    do {
        result = fallocate(fd, 0, 0, size);
    } while (result < 0 && errno == EINTR);

    if (!result) {
        return true;
    }
    if (errno == EOPNOTSUPP) {
        return fail(error, "%s: this file system cannot reserve space: use another "
                    "directory, or leave out -m to use a memfd", where);
    }
    return fail(error, "%s: cannot reserve %s: %s. Choose a smaller size with -l, or "
                "free some space", where, text, g_strerror(errno));
}

static void memory_log_rounding(uint64_t asked, uint64_t size)
{
    g_autofree char *asked_text = size_format(asked);
    g_autofree char *size_text = size_format(size);

    if (asked != size) {
        g_message("memory of %s is rounded up to %s: a power of two, in whole pages",
                  asked_text, size_text);
    }
}

static bool memory_make_sealed(Memory *memory, uint64_t asked, GError **error)
{
    uint64_t available = memory_available();

    memory->size = size_round_up(asked, sysconf(_SC_PAGESIZE));
    if (memory->size > available) {
        g_autofree char *size = size_format(memory->size);
        g_autofree char *rest = size_format(available / MEBIBYTE * MEBIBYTE);

        return fail(error, "cannot reserve memory of %s: this machine has %s left. "
                    "Choose a smaller size with -l", size, rest);
    }
    memory->fd = memfd_create("ivshmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory->fd < 0) {
        return fail(error, "cannot create memory: memfd_create: %s",
                    g_strerror(errno));
    }
    if (!memory_reserve(memory->fd, memory->size, "memfd", error)) {
        return false;
    }
    if (fcntl(memory->fd, F_ADD_SEALS, SEALS) < 0) {
        return fail(error, "cannot seal memory: %s", g_strerror(errno));
    }
    memory_log_rounding(asked, memory->size);
    return true;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Open @path and lock it. If the file was removed or replaced before the lock was held,
 * try again.
 */
static bool memory_lock(Memory *memory, struct stat *st, GError **error)
{
    for (;;) {
        AUTO_FD fd = open(memory->path,
                          O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        struct stat now;

        if (fd < 0) {
            return fail(error, "cannot open memory %s: %s", memory->path,
                        g_strerror(errno));
        }
        if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
            return fail(error, "cannot use %s as memory: it is not a file", memory->path);
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            return fail(error, "memory %s is used by a running server: stop "
                        "that server, or choose another name", memory->path);
        }
        if (stat(memory->path, &now) == 0 && same_file(st, &now)) {
            fstat(fd, st);
            memory->lock = fd_steal(&fd);
            return true;
        }
    }
}

static uint64_t memory_page_size(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
        return fs.f_bsize;
    }
    return sysconf(_SC_PAGESIZE);
}

uint64_t memory_round_up(const Memory *memory, uint64_t size)
{
    return size_round_up(size, memory_page_size(memory->fd));
}

static bool memory_make_named(Memory *memory, uint64_t asked, GError **error)
{
    struct stat st, client;
    bool is_new;

    if (!memory_lock(memory, &st, error)) {
        return false;
    }
    is_new = st.st_size == 0;
    memory->size = size_round_up(asked, memory_page_size(memory->lock));
    if (!is_new && (uint64_t)st.st_size != memory->size) {
        g_autofree char *has = size_format(st.st_size);
        g_autofree char *want = size_format(memory->size);

        return fail(error, "memory %s exists from an earlier run and has %s, not %s: "
                    "keep it with -l %s, or remove it with: rm %s", memory->path, has, want,
                    has, memory->path);
    }
    if (!memory_reserve(memory->lock, memory->size, memory->path, error)) {
        if (is_new) {
            unlink(memory->path);
        }
        return false;
    }
    memory->fd = open(memory->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (memory->fd < 0 || fstat(memory->fd, &client) < 0 || !same_file(&st, &client)) {
        return fail(error, "cannot open memory %s: it was replaced", memory->path);
    }
    memory->is_new = is_new;
    memory_log_rounding(asked, memory->size);
    if (!is_new) {
        g_message("memory %s exists from an earlier run: its contents are kept",
                  memory->path);
    }
    return true;
}

static Memory *memory_alloc(MemoryKind kind, const char *path, int fd, int lock)
{
    Memory *memory = g_new0(Memory, 1);

    memory->kind = kind;
    memory->path = g_strdup(path);
    memory->fd = fd;
    memory->lock = lock;
    return memory;
}

Memory *memory_new(MemoryKind kind, const char *path, uint64_t size, GError **error)
{
    g_autoptr(Memory) memory = memory_alloc(kind, path, -1, -1);
    bool ok;

    if (kind == MEMORY_SEALED) {
        ok = memory_make_sealed(memory, size, error);
    } else {
        ok = memory_make_named(memory, size, error);
    }
    return ok ? g_steal_pointer(&memory) : NULL;
}

/* The path of an open file, also of a removed one; NULL for a memfd */
static char *memory_path_of(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = g_file_read_link(link, NULL);

    if (!path || g_str_has_prefix(path, "/memfd:")) {
        return NULL;
    }
    if (g_str_has_suffix(path, REMOVED)) {
        path[strlen(path) - strlen(REMOVED)] = 0;
    }
    return g_steal_pointer(&path);
}

Memory *memory_restore(MemoryKind kind, const char *path, int fd, int lock,
                       GError **error)
{
    g_autoptr(Memory) memory = memory_alloc(kind, path, fd, lock);
    g_autofree char *actual = NULL;
    struct stat st, owner, wanted;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
        fail(error, "the previous process's memory is invalid");
        return NULL;
    }
    actual = memory_path_of(fd);
    if (actual && (fstat(lock, &owner) < 0 || !same_file(&st, &owner) ||
                   flock(lock, LOCK_EX | LOCK_NB) < 0)) {
        fail(error, "the previous process's memory %s is not locked", actual);
        return NULL;
    }
    if (!actual || !path ||
        (strcmp(path, actual) && (stat(path, &wanted) < 0 || !same_file(&st, &wanted)))) {
        memory->kind = !actual ? MEMORY_SEALED :
                       g_str_has_prefix(actual, OBJECTS) ? MEMORY_OBJECT : MEMORY_FILE;
        g_free(memory->path);
        memory->path = g_steal_pointer(&actual);
    }
    memory->size = st.st_size;
    return g_steal_pointer(&memory);
}

void memory_undo(const Memory *memory)
{
    if (memory->is_new) {
        unlink(memory->path);
    }
}

void memory_free(Memory *memory)
{
    fd_close(&memory->fd);
    fd_close(&memory->lock);
    g_free(memory->path);
    g_free(memory);
}

char *memory_object_path(const char *name)
{
    return g_build_filename(OBJECTS, name, NULL);
}

char *memory_file_path(const char *directory, const char *socket)
{
    g_autofree char *absolute = g_canonicalize_filename(socket, NULL);
    g_autoptr(GString) name = g_string_new("ivshmem");
    const char *c;

    for (c = absolute; *c; c++) {
        if (*c == '/') {
            g_string_append_c(name, '-');
        } else if (g_ascii_isalnum(*c) || *c == '.' || *c == '_') {
            g_string_append_c(name, *c);
        } else {
            g_string_append_printf(name, "%%%02x", (unsigned char)*c);
        }
    }
    return g_build_filename(directory, name->str, NULL);
}

char *memory_describe(const Memory *memory)
{
    switch (memory->kind) {
    case MEMORY_SEALED:
        return g_strdup("sealed memfd");
    case MEMORY_OBJECT:
        return g_strdup_printf("object %s", memory->path);
    case MEMORY_FILE:
        return g_strdup_printf("file %s", memory->path);
    }
    g_assert_not_reached();
}
