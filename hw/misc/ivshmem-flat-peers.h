/*
 * Peers of an ivshmem-flat and the eventfds that ring them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * A server that shuts down may announce the departure of each client before it
 * hangs up on the next.  So a departed peer can still be rung for one second.
 * If the server hangs up within that time, the departure is undone.
 *
 * Everything here runs with the big lock held.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_PEERS_H
#define HW_MISC_IVSHMEM_FLAT_PEERS_H

#include "qemu/timer.h"

/* The most that MSI-X gives a PCI peer */
#define IVSHMEM_FLAT_MAX_VECTORS 2048

typedef struct IvshmemFlatPeers {
    GHashTable *table;
    QEMUTimer departure_timer;
} IvshmemFlatPeers;

void ivshmem_flat_peers_init(IvshmemFlatPeers *peers);

/* Does nothing if ivshmem_flat_peers_init() was not called */
void ivshmem_flat_peers_free(IvshmemFlatPeers *peers);

/* The number of a peer's vectors, 0 if it is not connected */
unsigned ivshmem_flat_peers_count_vectors(IvshmemFlatPeers *peers, uint16_t id);

/*
 * Adds the next vector of a peer; its first one adds the peer.  @eventfd is -1
 * for a vector that cannot be rung.
 */
void ivshmem_flat_peers_add_vector(IvshmemFlatPeers *peers, uint16_t id,
                                   int eventfd);

/* Notes that a connected peer has departed */
void ivshmem_flat_peers_depart(IvshmemFlatPeers *peers, uint16_t id);

/* Whether any peer departed within the last second */
bool ivshmem_flat_peers_has_departures(IvshmemFlatPeers *peers);

/* Undoes the departures of the last second */
void ivshmem_flat_peers_undo_departures(IvshmemFlatPeers *peers);

/* Forgets departed peers and closes their eventfds */
void ivshmem_flat_peers_forget_departed(IvshmemFlatPeers *peers);

/* Forgets all peers */
void ivshmem_flat_peers_clear(IvshmemFlatPeers *peers);

/* The number of connected peers */
unsigned ivshmem_flat_peers_count(IvshmemFlatPeers *peers);

/* The eventfd, which @peers still owns, or -1 */
int ivshmem_flat_peers_find_vector(IvshmemFlatPeers *peers, uint16_t id,
                                   uint16_t vector);

#endif /* HW_MISC_IVSHMEM_FLAT_PEERS_H */
