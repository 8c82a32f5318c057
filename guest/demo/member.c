/* SPDX-License-Identifier: Apache-2.0 */
/* What protocol.h asks of a member, on any platform: see member.h. */

#include "member.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

_Static_assert(offsetof(struct demo_memory, seats) == 0x100, "layout");
_Static_assert(offsetof(struct demo_memory, mailboxes) == 0x1000, "layout");
_Static_assert(offsetof(struct demo_memory, blocks) == 0x100000, "layout");
_Static_assert(sizeof(struct demo_memory) == DEMO_MEMORY_BYTES, "layout");

static volatile struct demo_memory *memory;
static unsigned doorbells; /* heard */

static uint16_t own_id;
static unsigned own_slot;
static unsigned members;

/* What happened between this member and the one in each other slot. */
static struct {
    bool met;
    uint16_t id; /* once met */
    unsigned sent, received;
    bool acknowledged; /* all messages to it */
    bool verified;     /* its block, by us */
    bool verified_us;  /* our block, by it */
} with[DEMO_MEMBERS_MAX];

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    demo_print(format, arguments);
    va_end(arguments);
}

/*
 * Ends the demo on this member: says why, and wakes the other members, who stop
 * too instead of waiting for one that has given up.
 */
__attribute__((format(printf, 1, 2), noreturn)) static void
failed(const char *format, ...)
{
    va_list arguments;

    if (members != 0) {
        demo_store(&memory->seats[own_slot].state, DEMO_FAILED);
    }
    print("demo: FAILED ");
    va_start(arguments, format);
    demo_print(format, arguments);
    va_end(arguments);
    print("\n");

    for (unsigned slot = 0; slot < members; slot++) {
        if (with[slot].met) {
            demo_ring(with[slot].id);
        }
    }
    demo_give_up();
}

/* Works at step until it says that it is complete, asleep in between. */
static void until(bool (*step)(void))
{
    while (!step()) {
        doorbells += demo_wait();
    }
}

static void copy_words(volatile demo_word *to, const volatile demo_word *from,
                       unsigned bytes)
{
    for (unsigned word = 0; word < bytes / 4; word++) {
        to[word].le = from[word].le;
    }
}

/* Copies a string into words, filling up with zeros. Returns its length. */
static unsigned copy_string(demo_word *words, unsigned bytes,
                            const char *string)
{
    char *text = (char *)words;
    unsigned length = 0;

    while (string[length] != '\0' && length < bytes) {
        text[length] = string[length];
        length++;
    }
    for (unsigned i = length; i < bytes; i++) {
        text[i] = '\0';
    }
    return length;
}

/* Increments lobby.claimed. Returns what it was. */
static unsigned claim_slot(void)
{
    volatile demo_word *claimed = &memory->lobby.claimed;
    uint32_t before = claimed->le, after;

    do {
        after = ivshmem_flat_le32(ivshmem_flat_le32(before) + 1);
    } while (!__atomic_compare_exchange_n(&claimed->le, &before, after, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return ivshmem_flat_le32(before);
}

/* The ID of the member in a slot. */
static uint16_t seat_id(unsigned slot)
{
    unsigned id = demo_load(&memory->seats[slot].id);

    if (id > UINT16_MAX) {
        failed("slot %u says that its ID is %u", slot, id);
    }
    return (uint16_t)id;
}

/*
 * Claims a slot and rings those who are there.  The barrier between saying "I
 * am here" and looking makes sure that of two who join at once, one at least
 * sees the other.
 */
static void join(const char *own_name)
{
    volatile struct demo_seat *seat;
    demo_word name[DEMO_NAME_BYTES / 4];
    unsigned expected = demo_load(&memory->lobby.expected);

    if (expected == 0) {
        expected = DEMO_MEMBERS_DEFAULT;
    }
    if (expected < 2 || expected > DEMO_MEMBERS_MAX) {
        failed("the lobby expects %u members, must be 2 to %u", expected,
               DEMO_MEMBERS_MAX);
    }

    own_slot = claim_slot();
    if (own_slot >= expected) {
        failed("the lobby is full, %u of %u slots are taken: restart the "
               "server for new memory", own_slot, expected);
    }
    if (demo_load(&memory->lobby.claimed) <= own_slot) {
        failed("writing to 0x%x has no effect: there is no shared memory",
               (unsigned)(uintptr_t)memory);
    }

    members = expected;
    seat = &memory->seats[own_slot];
    copy_string(name, sizeof(name), own_name);
    copy_words(seat->name, name, sizeof(name));
    demo_store(&seat->id, own_id);
    print("id %u: sits in slot %u of %u\n", own_id, own_slot, members);
    demo_store(&seat->state, DEMO_PRESENT);
    ivshmem_flat_barrier();
    for (unsigned slot = 0; slot < members; slot++) {
        if (slot != own_slot &&
            demo_load(&memory->seats[slot].state) != DEMO_ABSENT) {
            demo_ring(seat_id(slot));
        }
    }
}

/* Takes note of the member that has appeared in a slot. */
static void meet(unsigned slot)
{
    const volatile struct demo_seat *seat = &memory->seats[slot];
    demo_word name[DEMO_NAME_BYTES / 4 + 1];
    uint16_t id = seat_id(slot);

    for (unsigned other = 0; other < members; other++) {
        if (other == own_slot ? id == own_id
                              : with[other].met && with[other].id == id) {
            failed("slots %u and %u both say that their ID is %u", other, slot,
                   id);
        }
    }
    copy_words(name, seat->name, DEMO_NAME_BYTES);
    ((char *)name)[DEMO_NAME_BYTES] = '\0';
    with[slot].met = true;
    with[slot].id = id;
    print("id %u: meets id %u, %s, in slot %u\n", own_id, id,
          (const char *)name, slot);
}

/* The lobby must still say what it said, and nobody may have given up. */
static void check_seat(unsigned slot)
{
    unsigned state = demo_load(&memory->seats[slot].state);
    unsigned id = demo_load(&memory->seats[slot].id);

    if (state == DEMO_FAILED) {
        failed("id %u gave up", with[slot].id);
    }
    if (id != with[slot].id) {
        failed("the ID in slot %u was %u and is %u now", slot, with[slot].id,
               id);
    }
}

static bool everyone_is_here(void)
{
    bool complete = true;

    for (unsigned slot = 0; slot < members; slot++) {
        if (slot == own_slot) {
            continue;
        }
        if (!with[slot].met) {
            if (demo_load(&memory->seats[slot].state) == DEMO_ABSENT) {
                complete = false;
                continue;
            }
            meet(slot);
        }
        check_seat(slot);
    }
    return complete;
}

/* Puts the next message into the mailbox where the last one was taken. */
static bool send_next(unsigned slot)
{
    static const char *const texts[DEMO_MESSAGES] = {
        "Hello! Is this memory yours as well as mine?",
        "This window is all that we share. And a doorbell each.",
        "You are asleep until I ring. So am I.",
        "One word stored here is one word loaded there.",
        "Last one. A megabyte follows, count its bytes.",
    };
    volatile struct demo_mailbox *box = &memory->mailboxes[own_slot][slot];
    demo_word text[DEMO_TEXT_BYTES / 4];
    unsigned acknowledged = demo_load(&box->acknowledged);
    unsigned length;

    if (with[slot].acknowledged) {
        return true;
    }
    if (acknowledged > with[slot].sent) {
        failed("id %u acknowledged message %u when %u were sent",
               with[slot].id, acknowledged, with[slot].sent);
    }
    if (acknowledged < with[slot].sent) {
        return false;
    }
    if (with[slot].sent == DEMO_MESSAGES) {
        with[slot].acknowledged = true;
        print("id %u: id %u has acknowledged all of %u messages\n", own_id,
              with[slot].id, with[slot].sent);
        return true;
    }

    length = copy_string(text, sizeof(text), texts[with[slot].sent]);
    copy_words(box->text, text, sizeof(text));
    demo_store(&box->length, length);
    demo_store(&box->checksum, demo_checksum(text, length));
    with[slot].sent++;
    demo_store(&box->sequence, with[slot].sent);
    demo_ring(with[slot].id);
    return false;
}

/* Takes the message that lies in the mailbox, if there is a new one. */
static bool receive_next(unsigned slot)
{
    volatile struct demo_mailbox *box = &memory->mailboxes[slot][own_slot];
    demo_word text[DEMO_TEXT_BYTES / 4 + 1];
    unsigned sequence = demo_load(&box->sequence);
    unsigned length, checksum, computed;

    if (sequence == with[slot].received) {
        return sequence == DEMO_MESSAGES;
    }
    if (sequence != with[slot].received + 1 || sequence > DEMO_MESSAGES) {
        failed("message %u from id %u, expected %u", sequence,
               with[slot].id, with[slot].received + 1);
    }
    length = demo_load(&box->length);
    if (length < 1 || length > DEMO_TEXT_BYTES) {
        failed("message %u from id %u is %u bytes long, must be 1 to %u",
               sequence, with[slot].id, length, DEMO_TEXT_BYTES);
    }
    copy_words(text, box->text, DEMO_TEXT_BYTES);
    checksum = demo_load(&box->checksum);
    computed = demo_checksum(text, length);
    if (checksum != computed) {
        failed("message %u from id %u has checksum 0x%x, its text has 0x%x",
               sequence, with[slot].id, checksum, computed);
    }
    ((char *)text)[length] = '\0';
    print("id %u: message %u of %u from id %u: \"%s\"\n", own_id, sequence,
          DEMO_MESSAGES, with[slot].id, (const char *)text);

    with[slot].received++;
    demo_store(&box->acknowledged, sequence);
    demo_ring(with[slot].id);
    return sequence == DEMO_MESSAGES;
}

static bool all_messages_exchanged(void)
{
    bool complete = true;

    for (unsigned slot = 0; slot < members; slot++) {
        if (slot != own_slot) {
            check_seat(slot);
            complete &= receive_next(slot);
            complete &= send_next(slot);
        }
    }
    return complete;
}

static void fill_own_block(void)
{
    volatile demo_word *block = memory->blocks[own_slot];
    uint32_t word = demo_pattern_start(own_id, own_slot);

    for (unsigned i = 0; i < DEMO_BLOCK_BYTES / 4; i++) {
        word = demo_pattern_next(word);
        block[i].le = ivshmem_flat_le32(word);
    }
    print("id %u: filled a block of %u bytes, rings\n", own_id,
          DEMO_BLOCK_BYTES);
    demo_store(&memory->seats[own_slot].filled, DEMO_BLOCK_BYTES);
    for (unsigned slot = 0; slot < members; slot++) {
        if (slot != own_slot) {
            demo_ring(with[slot].id);
        }
    }
}

/* Compares a block of another member with what its generator gives. */
static void verify_block(unsigned slot)
{
    const volatile demo_word *block = memory->blocks[slot];
    uint32_t word = demo_pattern_start(with[slot].id, slot);

    for (unsigned i = 0; i < DEMO_BLOCK_BYTES / 4; i++) {
        unsigned found = ivshmem_flat_le32(block[i].le);

        word = demo_pattern_next(word);
        if (found != word) {
            failed("block of id %u holds 0x%x at byte %u, expected 0x%x",
                   with[slot].id, found, i * 4, (unsigned)word);
        }
    }
    print("id %u: verified %u bytes of id %u, answers\n", own_id,
          DEMO_BLOCK_BYTES, with[slot].id);
}

static bool all_blocks_verified(void)
{
    volatile struct demo_seat *own_seat = &memory->seats[own_slot];
    bool complete = true;

    for (unsigned slot = 0; slot < members; slot++) {
        const volatile struct demo_seat *seat = &memory->seats[slot];

        if (slot == own_slot) {
            continue;
        }
        check_seat(slot);
        if (!with[slot].verified &&
            demo_load(&seat->filled) == DEMO_BLOCK_BYTES) {
            verify_block(slot);
            with[slot].verified = true;
            demo_store(&own_seat->verified[slot], DEMO_BLOCK_BYTES);
            demo_ring(with[slot].id);
        }
        if (!with[slot].verified_us &&
            demo_load(&seat->verified[own_slot]) == DEMO_BLOCK_BYTES) {
            with[slot].verified_us = true;
            print("id %u: id %u has verified the block of id %u\n", own_id,
                  with[slot].id, own_id);
        }
        complete &= with[slot].verified && with[slot].verified_us;
    }
    return complete;
}

/* Adds up what was done, for the machine that reads the console. */
static void report(void)
{
    unsigned peers = 0, sent = 0, received = 0, bytes = 0;
    uint16_t id_now = demo_own_id();
    unsigned id_seat = demo_load(&memory->seats[own_slot].id);

    if (id_now != own_id || id_seat != own_id) {
        failed("own ID was %u; now IVPOSITION reads %u and the lobby says %u",
               own_id, id_now, id_seat);
    }
    for (unsigned slot = 0; slot < members; slot++) {
        peers += with[slot].met;
        sent += with[slot].sent;
        received += with[slot].received;
        bytes += with[slot].verified ? DEMO_BLOCK_BYTES : 0;
    }
    demo_store(&memory->seats[own_slot].state, DEMO_DONE);
    print("id %u: done, heard %u doorbells\n", own_id, doorbells);
    print("demo: ok id=%u peers=%u sent=%u received=%u bytes=%u\n", own_id,
          peers, sent, received, bytes);
}

void demo_run(const char *name, volatile struct demo_memory *shared)
{
    memory = shared;
    own_id = demo_own_id();
    print("id %u: %s is up\n", own_id, name);

    join(name);
    until(everyone_is_here);
    until(all_messages_exchanged);
    fill_own_block();
    until(all_blocks_verified);
    report();
}
