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
#define LEDGER_VECTORS 64           /* per client, as in QEMU's server */
#define OUTBOX_MESSAGES 64
#define GREETINGS 3                 /* messages: version, ID, memory */

/*
 * How much a client has been told. An event is the joining or departure of a client.
 * Event numbers only grow.
 */
typedef struct Progress {
    uint64_t told;          /* events up to this one need no more messages */
    uint64_t telling;       /* the event of which @step messages were sent */
    int64_t value;          /* the last message sent */
    uint8_t step;
    uint8_t greeting;       /* messages sent: 0 to GREETINGS */
    uint8_t rest;           /* unsent bytes of @value: 0 to 7 */
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
    char socket[108];       /* the path where it connected */
} Entry;

/* A client that has left, while some others have not been told yet */
typedef struct Departure {
    uint64_t left;          /* its event; 0: unused */
    uint64_t joined;        /* the event when it joined */
    uint16_t id;
} Departure;

/* What one system call is sending to one client */
typedef struct Outbox {
    uint32_t count;         /* messages; 0: none */
    uint32_t slot;          /* of the client */
    struct mmsghdr message[OUTBOX_MESSAGES];
    uint8_t length[OUTBOX_MESSAGES];        /* bytes of each message: 1 to 8 */
    Progress after[OUTBOX_MESSAGES];        /* the client's, after this message */
} Outbox;

typedef struct LedgerFile LedgerFile;

typedef struct Ledger {
    int fd;
    LedgerFile *file;
    unsigned max_departures;        /* tests lower it */
    unsigned first_free_slot;       /* all lower ones are in use */
    unsigned first_free_departure;
} Ledger;

/* A new ledger for the channel @name, whose fd names begin with @tag. */
Ledger *ledger_new(const char *name, uint32_t tag, GError **error);

/*
 * The ledger that a previous server left in @fd. Completes what that server left
 * unfinished. Takes ownership of @fd, even on failure: it is not a ledger, or has
 * another version.
 */
Ledger *ledger_restore(int fd, GError **error);

void ledger_free(Ledger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ledger, ledger_free)

const char *ledger_name(const Ledger *ledger);
uint32_t ledger_tag(const Ledger *ledger);

/* A new event number: never repeated, never 0. */
uint64_t ledger_new_event(Ledger *ledger);
uint64_t ledger_last_event(const Ledger *ledger);

/* Client slots in use are below this. */
unsigned ledger_slots(const Ledger *ledger);
Entry *ledger_entry(const Ledger *ledger, unsigned slot);

/* A free slot, or -1. ledger_join() takes it. */
int ledger_free_slot(Ledger *ledger);

/* The client in @slot, whose entry is filled in, is now connected. */
void ledger_join(Ledger *ledger, unsigned slot, uint64_t event);

/* Departures in use are below this. */
unsigned ledger_departures(const Ledger *ledger);
Departure *ledger_departure(const Ledger *ledger, unsigned index);

/* A free departure with nobody to tell, or -1 if there is none. */
int ledger_free_departure(Ledger *ledger);

/* The client in @slot must be told of the departure @index. */
void ledger_add_hearer(Ledger *ledger, unsigned index, unsigned slot);
bool ledger_is_hearer(const Ledger *ledger, unsigned index, unsigned slot);

/*
 * The client in @slot has left. @index: its departure, with all clients that must be
 * told; -1 if there are none.
 */
void ledger_leave(Ledger *ledger, unsigned slot, int index, uint64_t event);

/* Everybody has been told: free the departure. */
void ledger_drop_departure(Ledger *ledger, unsigned index);

/* The event at which @id was last used; 0: never. */
uint64_t ledger_last_used(const Ledger *ledger, unsigned id);

/*
 * To send: fill in ledger_outbox(), then call ledger_sending(), sendmmsg() and
 * ledger_sent(). Wherever the process is killed in between, ledger_restore() knows what
 * was sent.
 */
Outbox *ledger_outbox(Ledger *ledger);
void ledger_sending(Ledger *ledger, unsigned slot, unsigned count);
void ledger_sent(Ledger *ledger);

#endif
