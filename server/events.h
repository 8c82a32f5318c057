/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_EVENTS_H
#define IVSHMEMD_EVENTS_H

#include <glib.h>
#include <stdint.h>

typedef struct Peer Peer;

/* A client has joined, or one has left and not all know it yet. */
typedef struct Event {
    GList link;             /* in Events.list; its data is this event */
    uint64_t number;
    Peer *joined;           /* the client that joined; NULL if one left */
    unsigned departure;     /* otherwise the departure's index in the ledger */
    unsigned hearers;       /* number of clients still to be told */
} Event;

/*
 * The events of a channel that still matter, in order. Each client has a position in
 * the list; the events behind it are the client's queue. So queues need no memory, and
 * events that cancel out are simply removed.
 */
typedef struct Events {
    GQueue list;
    GSList *heard;          /* departures that everybody has been told */
} Events;

#endif
