/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A table of names in the memory that guests of an ivshmem server share: which
 * guest has which peer ID, and whether both ends of a link are ready for a new session.
 *
 * IDs count from 0 in the order in which guests connect, and a guest that is
 * started anew gets another one. A name stays. The same code serves bare metal,
 * Zephyr and Linux: the table is the same for all of them.
 *
 * The table is 1 KiB of shared memory, at an offset that all agree on, usually 0.
 * All zeros, as a server hands out its memory, is a table with no names in it.
 * Numbers are of 32 bits and little-endian. The compiler is GCC or clang.
 *
 * A name is one end of one link: the guest that enters it has one peer there. A
 * guest that talks to two others enters two names.
 *
 * Meeting: when either end of a link has been started anew, what the two left in
 * shared memory belongs to nobody. Before the ends open a session, they meet:
 *
 * 1. Each closes the session that it has open, if any, and says so:
 *    ivshmem_names_closed(). From here on nobody reads or writes what is left.
 * 2. When it is true of both, each clears the part that it is in charge of, and
 *    says so: ivshmem_names_clean().
 * 3. When it is true of both, both open the session.
 *
 * Should ivshmem_names_restarted() become true of the peer at any time, begin
 * with step 1 again. Nothing here waits: call the functions of steps 1 and 2 until
 * they are true, with whatever pause and limit suits you.
 */

#ifndef IVSHMEM_NAMES_H
#define IVSHMEM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVSHMEM_NAMES_ENTRIES 16
#define IVSHMEM_NAME_BYTES    32 /* with the zero at the end */
#define IVSHMEM_NAMES_BYTES   (IVSHMEM_NAMES_ENTRIES * sizeof(struct ivshmem_name))

struct ivshmem_name {
    uint32_t owner;  /* 0: free. Else 1 + the ID that took this entry */
    uint32_t id;     /* 0: no name yet. Else 1 + the ID that has the name now */
    uint32_t starts; /* how often the name has been entered */
    uint32_t closed; /* for which start of the peer this end has no session */
    uint32_t clean;  /* for which start of the peer this end has cleared its part */
    uint32_t unused[3];
    char name[IVSHMEM_NAME_BYTES];
};

/* Whether an entry has this name. */
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

/* The entry with this name, or NULL if nobody has entered it. */
static inline struct ivshmem_name *ivshmem_names_find(struct ivshmem_name *table,
                                                      const char *name)
{
    for (size_t i = 0; i < IVSHMEM_NAMES_ENTRIES; i++) {
        if (__atomic_load_n(&table[i].id, __ATOMIC_ACQUIRE) != 0 &&
            ivshmem_names_is(&table[i], name)) {
            return &table[i];
        }
    }
    return NULL;
}

/*
 * Enters a name of 1 to 31 characters for the guest with this ID, at each start
 * of the guest. Returns its entry, or NULL if the table is full.
 */
static inline struct ivshmem_name *ivshmem_names_enter(struct ivshmem_name *table,
                                                       const char *name, uint16_t id)
{
    struct ivshmem_name *entry = ivshmem_names_find(table, name);

    for (size_t i = 0; entry == NULL && i < IVSHMEM_NAMES_ENTRIES; i++) {
        uint32_t nobody = 0;

        if (__atomic_compare_exchange_n(&table[i].owner, &nobody, id + 1u, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            entry = &table[i];
            for (size_t j = 0; j < IVSHMEM_NAME_BYTES - 1 && name[j]; j++) {
                entry->name[j] = name[j];
            }
        }
    }
    if (entry != NULL) {
        /* The peer that sees a new start sees that nothing is said for it yet. */
        __atomic_store_n(&entry->closed, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->clean, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->starts, entry->starts + 1, __ATOMIC_RELEASE);
        __atomic_store_n(&entry->id, id + 1u, __ATOMIC_RELEASE);
    }
    return entry;
}

/* The ID that has the name of this entry now. */
static inline uint16_t ivshmem_names_id(const struct ivshmem_name *entry)
{
    return (uint16_t)(__atomic_load_n(&entry->id, __ATOMIC_ACQUIRE) - 1);
}

/*
 * Whether an entry is this guest's. It no longer is when the server has restarted and
 * brought new memory or another ID: enter the name again then, and meet. A count of
 * starts that was taken before means nothing.
 */
static inline bool ivshmem_names_holds(const struct ivshmem_name *entry,
                                       const char *name, uint16_t id)
{
    return __atomic_load_n(&entry->id, __ATOMIC_ACQUIRE) == id + 1u &&
           ivshmem_names_is(entry, name);
}

/* Which start this is: keep it, and ask whether the peer has restarted. */
static inline uint32_t ivshmem_names_start(const struct ivshmem_name *entry)
{
    return __atomic_load_n(&entry->starts, __ATOMIC_ACQUIRE);
}

static inline bool ivshmem_names_restarted(const struct ivshmem_name *peer,
                                           uint32_t start)
{
    return ivshmem_names_start(peer) != start;
}

/* Step 1: says that this end has no session, and returns whether both say so. */
static inline bool ivshmem_names_closed(struct ivshmem_name *own,
                                        const struct ivshmem_name *peer,
                                        uint32_t start_of_peer)
{
    __atomic_store_n(&own->closed, start_of_peer, __ATOMIC_RELEASE);
    return __atomic_load_n(&peer->closed, __ATOMIC_ACQUIRE) == own->starts;
}

/* Step 2: says that this end is clean, and returns whether both say so. */
static inline bool ivshmem_names_clean(struct ivshmem_name *own,
                                       const struct ivshmem_name *peer,
                                       uint32_t start_of_peer)
{
    __atomic_store_n(&own->clean, start_of_peer, __ATOMIC_RELEASE);
    return __atomic_load_n(&peer->clean, __ATOMIC_ACQUIRE) == own->starts;
}

#endif
