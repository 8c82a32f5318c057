/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_MEMORY_H
#define IVSHMEMD_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum MemoryKind {
    MEMORY_SEALED,      /* a memfd that nobody can resize */
    MEMORY_OBJECT,      /* a POSIX object, which others can open by name */
    MEMORY_FILE,        /* a file in a directory: disk, tmpfs or huge pages */
} MemoryKind;

typedef struct Memory {
    MemoryKind kind;
    char *path;         /* of the object or file; NULL for a memfd */
    uint64_t size;      /* bytes, a power of two */
    int fd;             /* the fd for clients */
    int lock;           /* locked while this server lives; -1 for a memfd */
    bool is_new;        /* this process made the object or file */
} Memory;

/*
 * Create the memory, or take over what a dead server left at @path, and reserve all of
 * its space. @size is rounded up, which is logged. Fails if the owner of @path is
 * alive, if the existing memory has another size, or if there is too little space.
 *
 * @path: of the object or file, absolute; NULL for a memfd.
 */
Memory *memory_new(MemoryKind kind, const char *path, uint64_t size, GError **error);

/*
 * The same memory in a new process. Its kind and path are those of @fd, which may differ
 * from @kind and @path, the settings of this process. Takes ownership of @fd and @lock,
 * even on failure: they are not what memory_new() made.
 */
Memory *memory_restore(MemoryKind kind, const char *path, int fd, int lock,
                       GError **error);

/* @size, rounded up to a size that this kind of memory can have */
uint64_t memory_round_up(const Memory *memory, uint64_t size);

/* Remove an object or file that memory_new() has just made. */
void memory_undo(const Memory *memory);

/* Closes the fds. An object or file stays, with its contents. */
void memory_free(Memory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Memory, memory_free)

/* The path of the POSIX object @name, which may contain a slash only at the start. */
char *memory_object_path(const char *name);

/*
 * The path in @directory of the memory of the server on @socket: each socket has its
 * own file.
 */
char *memory_file_path(const char *directory, const char *socket);

/*
 * A description for the user: "sealed memfd", "object /dev/shm/NAME", ... The caller
 * frees it.
 */
char *memory_describe(const Memory *memory);

#endif
