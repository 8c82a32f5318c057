/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the members of the demo agree on in the shared memory.  Plain C99, for
 * firmware and for programs on any operating system.  member.c is a member for
 * all of them.
 *
 * THE MEMORY, 4 MiB, all zero when the first member starts, except for what the
 * host may have set in the lobby:
 *
 *     0x000000  lobby
 *     0x000100  three seats, 64 bytes each (member n sits in slot n)
 *     0x001000  mailboxes [from slot][to slot], 256 bytes each
 *     0x100000  three blocks of 1 MiB (block n is filled by slot n)
 *
 * Every field is a 32-bit word at a multiple of 4, and is read and written as
 * such, never in smaller or larger pieces: that works on any kind of memory.
 * Words are little-endian on every CPU: demo_load() and demo_store() convert
 * them.  Text is in words too, first character at the lowest address.  Each word
 * has one writer, except for lobby.claimed, which is incremented atomically.
 *
 * DOORBELLS (vector 0) mean "look again", nothing more.  Several may become
 * one, so words in memory always tell what happened: a member writes its data,
 * then (full barrier) the word that announces it, then rings.  A member that
 * waits for a word sleeps until its doorbell rings, and then looks at everything
 * that it waits for.
 *
 * THE STEPS of the demo, the same for every member:
 *
 * 1. Join.  Increment lobby.claimed atomically: its old value is your slot.  If
 *    it is not below the number of members expected, the lobby is full: give up.
 *    Fill the seat, set its state to DEMO_PRESENT, (full barrier), and ring
 *    every member already present.  Go on when all seats are present.  The ID
 *    to ring a member by is the one in its seat.
 * 2. Messages.  Send DEMO_MESSAGES to every other member, one at a time: the
 *    next one goes into the mailbox when the last one was acknowledged.  Each
 *    is announced by a doorbell, and each acknowledgement too.
 * 3. Blocks.  Fill your own block (demo_pattern_*), set seat.filled, and ring
 *    every other member.  When another member's seat.filled is set, compare its
 *    whole block, set verified[its slot] in your own seat, and ring it.
 * 4. Done when all messages went both ways, this member has verified every other
 *    block, and every other member has verified this one's: state DEMO_DONE.
 *
 * A member that finds anything wrong sets its state to DEMO_FAILED, rings every
 * other member and stops.  A member that sees DEMO_FAILED does the same.
 */

#ifndef DEMO_PROTOCOL_H
#define DEMO_PROTOCOL_H

#include <stdint.h>

#include "../ivshmem-flat.h"

#define DEMO_MEMORY_BYTES 0x400000u
#define DEMO_MEMBERS_DEFAULT 2u
#define DEMO_MEMBERS_MAX 3u
#define DEMO_MESSAGES 5u          /* from each member to each other */
#define DEMO_TEXT_BYTES 64u       /* longest text of a message */
#define DEMO_NAME_BYTES 16u       /* longest name of a member */
#define DEMO_BLOCK_BYTES 0x100000u

enum demo_state {
    DEMO_ABSENT,  /* nobody has taken this seat, or its words are not ready */
    DEMO_PRESENT, /* the other words of the seat are valid */
    DEMO_DONE,    /* everything sent, received and verified */
    DEMO_FAILED,  /* gave up; its console says why */
};

/* One word of the memory, in its byte order: ivshmem_flat_le32() converts. */
typedef struct {
    uint32_t le;
} demo_word;

/* Loads with acquire order, stores with release order. */
static inline uint32_t demo_load(const volatile demo_word *word)
{
    return ivshmem_flat_load32(&word->le);
}

static inline void demo_store(volatile demo_word *word, uint32_t number)
{
    ivshmem_flat_store32(&word->le, number);
}

struct demo_lobby {
    /* Members to wait for, 2 to 3.  The host may set it before any member
     * starts; 0 stands for DEMO_MEMBERS_DEFAULT. */
    demo_word expected;
    /* Slots claimed so far.  Incremented atomically. */
    demo_word claimed;
    demo_word reserved[62];
};

/* Written by the member in this slot alone. */
struct demo_seat {
    demo_word state;                      /* enum demo_state; written last */
    demo_word id;                         /* the member's ID, 0 to 65535 */
    demo_word name[DEMO_NAME_BYTES / 4];  /* of board or program, then zeros */
    demo_word filled;                     /* bytes in its block: 0 or all */
    demo_word verified[DEMO_MEMBERS_MAX]; /* bytes of slot n's block verified */
    demo_word reserved[6];
};

/* One direction between two slots.  The sender writes all but acknowledged. */
struct demo_mailbox {
    demo_word sequence;     /* 1 to DEMO_MESSAGES; 0: none yet; written last */
    demo_word acknowledged; /* by the receiver: the sequence it has taken */
    demo_word length;       /* bytes of text, 1 to DEMO_TEXT_BYTES */
    demo_word checksum;     /* demo_checksum(text, length) */
    demo_word text[DEMO_TEXT_BYTES / 4]; /* not terminated */
    demo_word reserved[44];
};

struct demo_memory {
    struct demo_lobby lobby;
    struct demo_seat seats[DEMO_MEMBERS_MAX];
    demo_word reserved[912];
    struct demo_mailbox mailboxes[DEMO_MEMBERS_MAX][DEMO_MEMBERS_MAX];
    demo_word reserved_too[260544];
    demo_word blocks[DEMO_MEMBERS_MAX][DEMO_BLOCK_BYTES / 4];
};

/* CRC-32 of the given number of bytes, as in IEEE 802.3 and zlib. */
static inline uint32_t demo_checksum(const void *data, uint32_t bytes)
{
    const unsigned char *p = (const unsigned char *)data;
    uint32_t crc = 0xFFFFFFFFu;

    while (bytes-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        }
    }
    return ~crc;
}

/*
 * What a block holds: the words that a xorshift generator (13, 17, 5) gives
 * after a start value that differs for every pair of ID and slot and is not 0.
 *
 *     word = demo_pattern_start(id, slot);
 *     block[0] = word = demo_pattern_next(word);
 *     block[1] = word = demo_pattern_next(word); ...
 */
static inline uint32_t demo_pattern_start(uint32_t id, uint32_t slot)
{
    return ((id << 16 | slot) + 1) * 0x9E3779B1u;
}

static inline uint32_t demo_pattern_next(uint32_t word)
{
    word ^= word << 13;
    word ^= word >> 17;
    return word ^ word << 5;
}

#endif /* DEMO_PROTOCOL_H */
