/*
 * Peers of an ivshmem-flat and the eventfds that ring them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * A server that ends may announce each client's departure before it hangs up
 * on the next.  Therefore a peer that has departed can still be rung for a
 * second, and has not departed if the server hangs up within that time.
 *
 * All of it runs with the big lock held.
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

/* Does nothing where ivshmem_flat_peers_init() was not called */
void ivshmem_flat_peers_free(IvshmemFlatPeers *peers);

/* How many vectors a peer has, 0 where it is not connected */
unsigned ivshmem_flat_peers_count_vectors(IvshmemFlatPeers *peers, uint16_t id);

/* The next vector of a peer, which is a new one if it has none */
void ivshmem_flat_peers_add_vector(IvshmemFlatPeers *peers, uint16_t id,
                                   int eventfd);

/* The peer, which is connected, departs */
void ivshmem_flat_peers_depart(IvshmemFlatPeers *peers, uint16_t id);

/* Whether anybody departed within the last second */
bool ivshmem_flat_peers_has_departures(IvshmemFlatPeers *peers);

/* Who departed within the last second has not */
void ivshmem_flat_peers_undo_departures(IvshmemFlatPeers *peers);

/* Who departed is forgotten, and their eventfds closed */
void ivshmem_flat_peers_forget_departed(IvshmemFlatPeers *peers);

/* Everybody is forgotten */
void ivshmem_flat_peers_clear(IvshmemFlatPeers *peers);

/* How many are connected */
unsigned ivshmem_flat_peers_count(IvshmemFlatPeers *peers);

/* The eventfd, which stays theirs, or -1 */
int ivshmem_flat_peers_find_vector(IvshmemFlatPeers *peers, uint16_t id,
                                   uint16_t vector);

#endif /* HW_MISC_IVSHMEM_FLAT_PEERS_H */
