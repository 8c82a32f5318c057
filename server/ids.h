/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_IDS_H
#define IVSHMEMD_IDS_H

#include <glib.h>
#include <stdbool.h>

/* Peer IDs are 0 to 65535: DOORBELL has 16 bits for them. */
#define IDS_NUMBER 65536

typedef struct Ids Ids;

Ids *ids_new(void);
void ids_free(Ids *ids);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ids, ids_free)

/* @id belongs to a socket: ids_take() never returns it. */
void ids_reserve(Ids *ids, unsigned id);

/* The lowest ID never used, otherwise the one free for longest; -1 if none is free. */
int ids_take(Ids *ids);

/* Free @id, which ids_take() returned or ids_use() named. */
void ids_give(Ids *ids, unsigned id);

/* @id is in use: a client with that ID was restored or has its own socket. */
void ids_use(Ids *ids, unsigned id);

#endif
