/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_HANDOVER_H
#define IVSHMEMD_HANDOVER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "notify.h"

/* What an fd that is handed over is for, as its name tells */
typedef enum FdKind {
    FD_LEDGER,          /* "0/ledger", of the channel with the tag 0 */
    FD_MEMORY,          /* "0/memory" */
    FD_LOCK,            /* "0/lock" */
    FD_CLIENT,          /* "0/17": the client that joined in event 17 */
    FD_VECTOR,          /* "0/17/3": its vector 3 */
    FD_LISTENER,        /* any other name: known by its address */
} FdKind;

typedef struct FdName {
    FdKind kind;
    uint32_t tag;
    uint64_t joined;
    uint32_t vector;
} FdName;

/* Any text is a name, of a listener if of nothing else. */
FdName fd_name_parse(const char *text);

/*
 * The text, to be freed. A listener that we opened is "listener/@joined", where
 * @joined is the inode of its socket file.
 */
char *fd_name_format(FdKind kind, uint32_t tag, uint64_t joined, uint32_t vector);

/* Fds with names, from another process or for one */
typedef struct Handover Handover;

Handover *handover_new(void);

/* Closes the fds that nobody took, if they came from another process. */
void handover_free(Handover *handover);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Handover, handover_free)

/*
 * What the process before handed over, or the service manager. Removes it from the
 * environment. Every other fd above 2 is closed. Fails if the environment makes no
 * sense.
 */
Handover *handover_receive(GError **error);

/* Did it come from handover_exec(), so from this very process? */
bool handover_is_reload(const Handover *handover);

/* How often that has happened since the process began */
unsigned handover_generation(const Handover *handover);

/* Take the fd of that name, which becomes the caller's; -1 if there is none. */
int handover_take(Handover *handover, FdKind kind, uint32_t tag, uint64_t joined,
                  uint32_t vector);

/* A tag that none of the names has */
uint32_t handover_next_tag(const Handover *handover);

/* Any fd of that kind that is left, and its name; -1 if none is. */
int handover_take_any(Handover *handover, FdKind kind, FdName *name);

/*
 * A listening socket at @path, or any if @path is NULL; -1 if there is none. *@inode
 * is that of its file if a server opened it, and 0 if a service manager did.
 */
int handover_take_listener(Handover *handover, const char *path, uint64_t *inode);

/* Where the first socket listens that a service manager opened, or NULL. To be freed. */
char *handover_activated_path(const Handover *handover);

/*
 * Close all that is left but listeners, end the connections among it, and have
 * @notify keep none of it.
 */
void handover_discard_rest(Handover *handover, Notify *notify);

/* Hand @fd over, which stays the caller's. @name is copied. */
void handover_add(Handover *handover, const char *name, int fd);

/*
 * Execute @argv in place of this process, which gets what was added. Returns only if
 * that failed, also where @program is seen to be none that can go on from here.
 * Everything is then as it was.
 */
bool handover_exec(Handover *handover, const char *program, char **argv,
                   unsigned generation, GError **error);

#endif
