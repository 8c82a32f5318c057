/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_EVENTS_H
#define IVSHMEMD_EVENTS_H

#include <glib.h>
#include <stdint.h>

typedef struct Peer Peer;

/* Somebody came, or somebody left and not all know it yet. */
typedef struct Event {
    GList link;             /* in Events.list; its data is this event */
    uint64_t number;
    Peer *joined;           /* who came; NULL if somebody left */
    unsigned departure;     /* else: which one, in the ledger */
    unsigned hearers;       /* how many are still to hear of the departure */
} Event;

/*
 * What happened in a channel and matters to somebody, in order. Every client has a
 * place in this list, and what lies behind that place is its queue: so a queue
 * needs no memory, and what vanishes from the list has cancelled out.
 */
typedef struct Events {
    GQueue list;
    GSList *heard;          /* departures that everybody has heard */
} Events;

#endif
