/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual machines find each other, at the start and after the server or one of
 * them restarts.  IDs may then be different, and the memory may be new.
 * ivshmem-flat.h explains the rules under "NEW SESSIONS".
 *
 * Each VM is a member with a number that no restart changes.  Here each board
 * has its own number.  Shared memory, little-endian 32-bit words:
 *
 *     0       magic   MAGIC once the memory is set up
 *     1       epoch   how many times it was set up, never 0
 *     2...    for each member, in order:
 *             key     its ID plus 1
 *             epoch   the epoch that it has joined
 *             seen    the key of each member, as it last saw it
 *
 * Each word has one writer.  Each member writes its own words, and member 0 also
 * writes the first two.  A member has joined if its words hold its ID and the
 * memory's epoch.  New memory is all zeros, so no member has joined it.
 *
 * A doorbell can be too early: after a restart the ringing VM's QEMU may not
 * know the peer yet.  So each member rings all members that have not seen it
 * whenever it checks the memory.
 *
 * For QEMU to reconnect to the server, the chardev needs reconnect-ms.
 */

#include "board.h"
#include "console.h"
#include "device.h"

#define MAGIC 0x4A4F494Eu
#define MEMBERS 4

struct member {
    uint32_t key;
    uint32_t epoch;
    uint32_t seen[MEMBERS];
};

struct memory {
    uint32_t magic;
    uint32_t epoch;
    struct member members[MEMBERS];
};

static const char *const names[MEMBERS] = {
    "lm3s6965evb", "mps2-an385", "sifive_e", "leon3_generic",
};

static struct memory *memory;
static unsigned self; /* this VM's number */

static unsigned find_self(void)
{
    unsigned number = 0;

    while (!board_is(names[number])) {
        number++;
    }
    return number;
}

static void set_up(void)
{
    uint32_t epoch = ivshmem_flat_load32(&memory->epoch) + 1;

    print("rejoin: the memory is new, setting it up\n");
    /* Other data would be set up here. */
    ivshmem_flat_store32(&memory->epoch, epoch != 0 ? epoch : 1);
    ivshmem_flat_store32(&memory->magic, MAGIC);
}

/* Writes this member's words. Returns whether the memory is set up. */
static bool join(unsigned key)
{
    struct member *me = &memory->members[self];
    bool is_new = ivshmem_flat_load32(&me->key) != key;
    unsigned epoch;

    ivshmem_flat_store32(&me->key, key);
    /* Either this member finds the magic word, or member 0 finds the key. */
    ivshmem_flat_barrier();
    if (ivshmem_flat_load32(&memory->magic) != MAGIC) {
        if (self != 0) {
            return false;
        }
        set_up();
    }

    epoch = ivshmem_flat_load32(&memory->epoch);
    if (is_new || ivshmem_flat_load32(&me->epoch) != epoch) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            ivshmem_flat_store32(&me->seen[i], 0);
        }
        ivshmem_flat_store32(&me->epoch, epoch);
        print("rejoin: joined epoch %u as id %u\n", epoch, key - 1);
    }
    return true;
}

/* Looks for another member. own_key is this member's key. */
static void meet(unsigned number, unsigned own_key)
{
    const struct member *other = &memory->members[number];
    uint32_t *seen = &memory->members[self].seen[number];
    unsigned epoch = ivshmem_flat_load32(&other->epoch);
    unsigned key = ivshmem_flat_load32(&other->key);

    if (key == 0 || key > UINT16_MAX + 1u || key == own_key) {
        return; /* it never joined, has not joined again, or its key is invalid */
    }
    if (epoch == ivshmem_flat_load32(&memory->epoch) &&
        key != ivshmem_flat_load32(seen)) {
        print("rejoin: %s is id %u\n", names[number], key - 1);
        ivshmem_flat_store32(seen, key);
    }
    if (ivshmem_flat_load32(&other->seen[self]) != own_key) {
        ivshmem_flat_ring(&shm, (uint16_t)(key - 1), 0);
    }
}

/* Checks the memory after a doorbell. */
static void look(void)
{
    unsigned key = ivshmem_flat_own_id(&shm) + 1u;

    if (join(key)) {
        /* Of two that join at the same time, at least one finds the other. */
        ivshmem_flat_barrier();
        for (unsigned i = 0; i < MEMBERS; i++) {
            if (i != self) {
                meet(i, key);
            }
        }
    }
}

int main(void)
{
    uint32_t heard;

    find_device();
    count_doorbells();
    memory = ivshmem_flat_at(&shm, 0, sizeof(*memory));
    self = find_self();
    /* This VM may have joined before it restarted: it must join again. */
    ivshmem_flat_store32(&memory->members[self].epoch, 0);

    for (;;) {
        heard = doorbells;
        look();
        sleep_while(&doorbells, heard);
    }
}
