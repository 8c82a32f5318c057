/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A table of names in the memory that the guests of an ivshmem server share. It tells
 * which guest has which peer ID, and whether both ends of a link are ready for a new
 * session. It needs ivshmem-flat.h, C99 or C++11, GCC or clang, and a CPU that can
 * compare and swap a word (a Cortex-M0 cannot).
 *
 *     table = (struct ivshmem_name *)ivshmem_flat_at(&shm, 0, IVSHMEM_NAMES_BYTES);
 *     own = ivshmem_names_enter(table, "sensor", ivshmem_flat_own_id(&shm));
 *     ...
 *     peer = ivshmem_names_find(table, "logger");
 *     if (peer != NULL) {
 *         ivshmem_flat_ring(&shm, ivshmem_names_id(peer), 0);
 *     }
 *
 * IDs count from 0 in the order in which guests connect, and a guest that restarts gets
 * a new ID. Its name stays the same. The table has the same format for bare metal,
 * Zephyr and Linux, on CPUs of either byte order. It is a convention between the
 * guests: neither the device nor the server knows about it.
 *
 * The table is at an offset that all guests agree on, usually 0, and has 16 entries of
 * 64 bytes each. All-zero memory, as provided by a new server, is an empty table.
 * Layout of an entry, with all numbers little-endian:
 *
 *     0x00  0: the entry is free. Else 1 + the ID that took it
 *     0x04  0: no name yet. Else 1 + the ID that has the name now
 *     0x08  how many times the name was entered
 *     0x0C  for which start of the peer this end has no session
 *     0x10  for which start of the peer this end has cleared its part
 *     0x20  the name, then zeros
 *
 * A name stands for one end of one link, which has one peer. A guest that talks to two
 * others enters two names. A name has 1 to 31 characters.
 *
 * Meeting: when one end of a link has restarted, what both ends left in the shared
 * memory is no longer valid. Before the ends open a session, they meet:
 *
 * 1. Each end closes its session, if it has one, and says so with
 *    ivshmem_names_closed(). From then on, neither end reads or writes the old data.
 * 2. When both have said so, each end clears its own part of the memory, and says so
 *    with ivshmem_names_clean().
 * 3. When both have said so, both open the session.
 *
 * If ivshmem_names_restarted() returns true for the peer, begin again with step 1. No
 * function waits: call the functions of steps 1 and 2 until they return true. Use a
 * timer, or ring the peer after each call and call again when the peer rings.
 *
 * Two guests with one name: the name belongs to the guest that entered it last, so that
 * a guest can take over the name of the guest it replaces. If the older guest is still
 * running, ivshmem_names_taken() tells it.
 *
 * Context: "any context" means that interrupt handlers and several threads may call the
 * function at the same time.
 */

#ifndef IVSHMEM_NAMES_H
#define IVSHMEM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ivshmem-flat.h"

#define IVSHMEM_NAMES_ENTRIES 16
#define IVSHMEM_NAME_BYTES    32 /* with the zero at the end */
#define IVSHMEM_NAMES_BYTES   (IVSHMEM_NAMES_ENTRIES * sizeof(struct ivshmem_name))

/* One entry, in the shared memory. Use the functions below: numbers are little-endian. */
struct ivshmem_name {
    uint32_t owner;
    uint32_t id;
    uint32_t starts;
    uint32_t closed;
    uint32_t clean;
    uint32_t unused[3];
    char name[IVSHMEM_NAME_BYTES];
};

/* Returns whether an entry that was once entered has this name. Any context. */
static inline bool ivshmem_names_is(const struct ivshmem_name *entry,
                                    const char *name)
{
    size_t i = 0;

    while (i < IVSHMEM_NAME_BYTES - 1 && name[i] != '\0' &&
           entry->name[i] == name[i]) {
        i++;
    }
    return entry->name[i] == name[i];
}

/*
 * Returns the entry with this name, or NULL if no guest has entered it. The entry stays
 * when its guest ends, so it does not tell whether the guest is running. The pointer is
 * valid until the server replaces the shared memory, so call this again after each
 * doorbell.
 *
 * table is IVSHMEM_NAMES_BYTES of the shared memory, aligned to 4 bytes. Any context.
 */
static inline struct ivshmem_name *ivshmem_names_find(struct ivshmem_name *table,
                                                      const char *name)
{
    for (size_t i = 0; i < IVSHMEM_NAMES_ENTRIES; i++) {
        if (ivshmem_flat_load32(&table[i].id) != 0 &&
            ivshmem_names_is(&table[i], name)) {
            return &table[i];
        }
    }
    return NULL;
}

/*
 * Enters a name for the guest with this ID. Returns its entry, which only this guest
 * changes, or NULL if all 16 entries have other names. If the name has a session, ends
 * it.
 *
 * name has 1 to 31 characters and is copied. id is the device's own ID. Call this at
 * each start of the guest, and again when ivshmem_names_holds() returns false. One
 * caller at a time for each name; several names can be entered at the same time. May be
 * called in an interrupt handler.
 */
static inline struct ivshmem_name *ivshmem_names_enter(struct ivshmem_name *table,
                                                       const char *name, uint16_t id)
{
    const uint32_t key = id + 1u;
    struct ivshmem_name *entry = ivshmem_names_find(table, name);

    for (size_t i = 0; entry == NULL && i < IVSHMEM_NAMES_ENTRIES; i++) {
        uint32_t nobody = 0;

        if (__atomic_compare_exchange_n(&table[i].owner, &nobody,
                                        ivshmem_flat_le32(key), false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            entry = &table[i];
            for (size_t j = 0; j < IVSHMEM_NAME_BYTES - 1 && name[j] != '\0'; j++) {
                entry->name[j] = name[j];
            }
        }
    }
    if (entry != NULL) {
        /* The peer that sees a new start sees that nothing is said for it yet. */
        ivshmem_flat_store32(&entry->closed, 0);
        ivshmem_flat_store32(&entry->clean, 0);
        ivshmem_flat_store32(&entry->starts, ivshmem_flat_load32(&entry->starts) + 1);
        ivshmem_flat_store32(&entry->id, key);
    }
    return entry;
}

/* Returns the ID that the name of this entry has now. Any context. */
static inline uint16_t ivshmem_names_id(const struct ivshmem_name *entry)
{
    return (uint16_t)(ivshmem_flat_load32(&entry->id) - 1);
}

/*
 * Returns whether an entry has this name and this ID. Call this with the entry that
 * ivshmem_names_enter() returned and the device's own ID. If the result is false, the
 * server has restarted with new memory or another ID, or the name is taken. If it is
 * not taken, enter it again and meet the peer: counts of starts that were read before
 * are no longer valid.
 *
 * Any context.
 */
static inline bool ivshmem_names_holds(const struct ivshmem_name *entry,
                                       const char *name, uint16_t id)
{
    return ivshmem_flat_load32(&entry->id) == id + 1u &&
           ivshmem_names_is(entry, name);
}

/*
 * Returns whether another guest has entered the name that this guest entered with this
 * ID. If so, two guests have the same name, and peers find the other one.
 *
 * id is the ID that was passed to ivshmem_names_enter(), even if the device's own ID
 * has changed since. Any context.
 */
static inline bool ivshmem_names_taken(struct ivshmem_name *table,
                                       const char *name, uint16_t id)
{
    const struct ivshmem_name *entry = ivshmem_names_find(table, name);

    return entry != NULL && ivshmem_names_id(entry) != id;
}

/*
 * Returns how many times the name of this entry was entered, modulo 2^32. Keep the
 * peer's number for the functions below. Any context.
 */
static inline uint32_t ivshmem_names_start(const struct ivshmem_name *entry)
{
    return ivshmem_flat_load32(&entry->starts);
}

/* Returns whether the peer has restarted since it had this number. Any context. */
static inline bool ivshmem_names_restarted(const struct ivshmem_name *peer,
                                           uint32_t start)
{
    return ivshmem_names_start(peer) != start;
}

/*
 * Step 1: says that this end has no session. Returns whether both ends have said so.
 *
 * own is this guest's entry, and start_of_peer is the peer's number. One caller at a
 * time for each own. May be called in an interrupt handler.
 */
static inline bool ivshmem_names_closed(struct ivshmem_name *own,
                                        const struct ivshmem_name *peer,
                                        uint32_t start_of_peer)
{
    ivshmem_flat_store32(&own->closed, start_of_peer);
    return ivshmem_flat_load32(&peer->closed) == ivshmem_names_start(own);
}

/*
 * Step 2: says that this end has cleared its part, and that the peer can use it: do not
 * clear it again. Returns whether both ends have said so. The arguments and callers are
 * as in step 1.
 */
static inline bool ivshmem_names_clean(struct ivshmem_name *own,
                                       const struct ivshmem_name *peer,
                                       uint32_t start_of_peer)
{
    ivshmem_flat_store32(&own->clean, start_of_peer);
    return ivshmem_flat_load32(&peer->clean) == ivshmem_names_start(own);
}

#endif /* IVSHMEM_NAMES_H */
