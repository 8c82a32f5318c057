/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_MEMORY_H
#define IVSHMEMD_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum MemoryKind {
    MEMORY_SEALED,      /* a memfd that nobody can resize */
    MEMORY_OBJECT,      /* a POSIX object, which others can open by its name */
    MEMORY_FILE,        /* a file in a directory: disk, tmpfs or huge pages */
} MemoryKind;

typedef struct Memory {
    MemoryKind kind;
    char *path;         /* of the object or file; NULL for a memfd */
    uint64_t size;      /* bytes, a power of two */
    int fd;             /* what clients are given */
    int lock;           /* held while this server lives; -1 for a memfd */
} Memory;

/*
 * Make the memory, or take over what a dead server left at @path, and reserve all
 * of its space. @size is rounded up, which is logged. Fails when the owner of @path
 * is alive, when what is there has another size, or when there is too little space.
 *
 * @path: of the object or file, absolute; NULL for a memfd.
 */
Memory *memory_new(MemoryKind kind, const char *path, uint64_t size, GError **error);

/*
 * The same memory again in a new process. Takes @fd and @lock, also when it fails,
 * which is when they are not what memory_new() made.
 */
Memory *memory_restore(MemoryKind kind, const char *path, int fd, int lock,
                       GError **error);

/* Closes the fds. An object or file stays, with what is in it. */
void memory_free(Memory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Memory, memory_free)

/* Where POSIX puts the object @name, which has no slash but perhaps a first one. */
char *memory_object_path(const char *name);

/*
 * Where in @directory the memory of the server on @socket lies: every socket has a
 * file of its own.
 */
char *memory_file_path(const char *directory, const char *socket);

/* How to say it to a user: "sealed memfd", "object /dev/shm/NAME", ... To be freed. */
char *memory_describe(const Memory *memory);

#endif
