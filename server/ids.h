/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_IDS_H
#define IVSHMEMD_IDS_H

#include <glib.h>
#include <stdbool.h>

/* IDs of peers are 0 to 65535: DOORBELL has 16 bits for them. */
#define IDS_NUMBER 65536

typedef struct Ids Ids;

Ids *ids_new(void);
void ids_free(Ids *ids);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ids, ids_free)

/* @id belongs to a socket: ids_take() never gives it out. */
void ids_reserve(Ids *ids, unsigned id);

/*
 * The lowest ID that was never used, else the one that has been free for the
 * longest time; -1 if none is free.
 */
int ids_take(Ids *ids);

/* @id, which ids_take() gave out or ids_use() named, is free again. */
void ids_give(Ids *ids, unsigned id);

/* @id is in use: a client with that ID was restored or has its own socket. */
void ids_use(Ids *ids, unsigned id);

#endif
