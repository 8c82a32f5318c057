/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_HANDOVER_H
#define IVSHMEMD_HANDOVER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "notify.h"

/* What a handed-over fd is for, according to its name */
typedef enum FdKind {
    FD_LEDGER,          /* "0/ledger", of the channel with the tag 0 */
    FD_MEMORY,          /* "0/memory" */
    FD_LOCK,            /* "0/lock" */
    FD_CLIENT,          /* "0/17": the client that joined in event 17 */
    FD_VECTOR,          /* "0/17/3": its vector 3 */
    FD_LISTENER,        /* any other name; identified by its address */
} FdKind;

typedef struct FdName {
    FdKind kind;
    uint32_t tag;
    uint64_t joined;
    uint32_t vector;
} FdName;

/* Any text is a valid name, of a listener if nothing else. */
FdName fd_name_parse(const char *text);

/*
 * The text, which the caller frees. A listener that we opened is "listener/@joined",
 * where @joined is the inode of its socket file.
 */
char *fd_name_format(FdKind kind, uint32_t tag, uint64_t joined, uint32_t vector);

/* Named fds, from another process or for one */
typedef struct Handover Handover;

Handover *handover_new(void);

/* Closes the fds that nobody has taken, if they came from another process. */
void handover_free(Handover *handover);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Handover, handover_free)

/*
 * The fds from the previous process or the service manager. Cleans up the environment
 * variables and closes every other fd above 2. Fails if the variables are invalid.
 */
Handover *handover_receive(GError **error);

/* Did the fds come from handover_exec(), that is from this same process? */
bool handover_is_reload(const Handover *handover);

/* Number of such reloads since the process started */
unsigned handover_generation(const Handover *handover);

/* Take the fd of that name. The caller owns it; -1 if there is none. */
int handover_take(Handover *handover, FdKind kind, uint32_t tag, uint64_t joined,
                  uint32_t vector);

/* A tag that no name has */
uint32_t handover_next_tag(const Handover *handover);

/* Any remaining fd of that kind, and its name; -1 if there is none. */
int handover_take_any(Handover *handover, FdKind kind, FdName *name);

/*
 * A socket that listens on @path, or any if @path is NULL; -1 if there is none. *@inode
 * is that of its file if a server opened it, 0 if a service manager did.
 */
int handover_take_listener(Handover *handover, const char *path, uint64_t *inode);

/*
 * The path of the first socket opened by a service manager, or NULL. The caller frees
 * it.
 */
char *handover_activated_path(const Handover *handover);

/*
 * Close everything left except listeners, end the connections among it, and make
 * @notify drop it.
 */
void handover_discard_rest(Handover *handover, Notify *notify);

/* Hand @fd over. The caller keeps it. @name is copied. */
void handover_add(Handover *handover, const char *name, int fd);

/*
 * Execute @argv in place of this process and pass on what was added. Returns only on
 * failure, even if @program turns out to be unsuitable. Nothing has changed then.
 */
bool handover_exec(Handover *handover, const char *program, char **argv,
                   unsigned generation, GError **error);

#endif
