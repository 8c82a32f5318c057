/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_LEDGER_H
#define IVSHMEMD_LEDGER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ids.h"

#define LEDGER_CLIENTS 65536
#define LEDGER_DEPARTURES 65536
#define LEDGER_NAME_LENGTH 64       /* of a channel, with the final NUL */
#define LEDGER_VECTORS 64           /* of one client at most, as QEMU's server */
#define OUTBOX_MESSAGES 64
#define GREETINGS 3                 /* messages: version, ID, memory */

/*
 * How far a client has been told. Events have numbers that only grow: the joining
 * or the departure of a client.
 */
typedef struct Progress {
    uint64_t told;          /* events up to this one need no more messages */
    uint64_t telling;       /* the event that @step messages were sent of */
    int64_t value;          /* the message sent last */
    uint8_t step;
    uint8_t greeting;       /* messages sent: 0 to GREETINGS */
    uint8_t rest;           /* bytes of @value that are still to send: 0 to 7 */
} Progress;

/* A client that is connected */
typedef struct Entry {
    uint64_t joined;        /* its event; 0: no client here */
    Progress progress;
    int64_t since;          /* microseconds since 1970 */
    uint32_t vectors;
    uint16_t id;
    bool own_socket;        /* the ID belongs to the socket */
    int32_t pid;
    uint32_t uid;
    char command[16];
    char socket[108];       /* the path where it came in */
} Entry;

/* A client that has left, which some of the others have not heard yet */
typedef struct Departure {
    uint64_t left;          /* its event; 0: none here */
    uint64_t joined;        /* the event when it had come */
    uint16_t id;
} Departure;

/* What is being sent, in one system call, to one client */
typedef struct Outbox {
    uint32_t count;         /* messages; 0: nothing is under way */
    uint32_t slot;          /* of the client */
    struct mmsghdr message[OUTBOX_MESSAGES];
    uint8_t length[OUTBOX_MESSAGES];        /* bytes of each message: 1 to 8 */
    Progress after[OUTBOX_MESSAGES];        /* the client's, once that one is sent */
} Outbox;

typedef struct LedgerFile LedgerFile;

typedef struct Ledger {
    int fd;
    LedgerFile *file;
    unsigned max_departures;        /* tests lower it */
    unsigned first_free_slot;       /* none is free below */
    unsigned first_free_departure;
} Ledger;

/* A new ledger of the channel @name, whose fds have names that begin with @tag. */
Ledger *ledger_new(const char *name, uint32_t tag, GError **error);

/*
 * The ledger that a server before this one left in @fd. What that server did not
 * finish is finished. Takes @fd, also when it fails: that is no ledger, or one of
 * another version.
 */
Ledger *ledger_restore(int fd, GError **error);

void ledger_free(Ledger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ledger, ledger_free)

const char *ledger_name(const Ledger *ledger);
uint32_t ledger_tag(const Ledger *ledger);

/* The number of the next event: never the same again, never 0. */
uint64_t ledger_new_event(Ledger *ledger);
uint64_t ledger_last_event(const Ledger *ledger);

/* Client slots that may be in use are those below this. */
unsigned ledger_slots(const Ledger *ledger);
Entry *ledger_entry(const Ledger *ledger, unsigned slot);

/* A slot that is free, or -1. It is taken when ledger_join() is called. */
int ledger_free_slot(Ledger *ledger);

/* The client in @slot, whose entry is filled in, is there from now on. */
void ledger_join(Ledger *ledger, unsigned slot, uint64_t event);

/* Departures that may be in use are those below this. */
unsigned ledger_departures(const Ledger *ledger);
Departure *ledger_departure(const Ledger *ledger, unsigned index);

/* A departure that is free, with nobody to hear it, or -1 if there is none. */
int ledger_free_departure(Ledger *ledger);

/* The client in @slot is to hear of the departure @index. */
void ledger_add_hearer(Ledger *ledger, unsigned index, unsigned slot);
bool ledger_is_hearer(const Ledger *ledger, unsigned index, unsigned slot);

/*
 * The client in @slot is no longer there. @index: its departure, with all who are
 * to hear it; -1 if nobody is.
 */
void ledger_leave(Ledger *ledger, unsigned slot, int index, uint64_t event);

/* All have heard: the departure is free. */
void ledger_drop_departure(Ledger *ledger, unsigned index);

/* When, as an event, @id was used last; 0: never. */
uint64_t ledger_last_used(const Ledger *ledger, unsigned id);

/*
 * To send: fill in ledger_outbox(), ledger_sending(), sendmmsg(), ledger_sent().
 * Wherever the process ends in between, ledger_restore() knows what was sent.
 */
Outbox *ledger_outbox(Ledger *ledger);
void ledger_sending(Ledger *ledger, unsigned slot, unsigned count);
void ledger_sent(Ledger *ledger);

#endif
