/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CHANNEL_INTERNAL_H
#define IVSHMEMD_CHANNEL_INTERNAL_H

#include "channel.h"

/* What channel.c, admission.c and restore.c share. Others include channel.h. */

/* Takes @ledger and @memory. */
Channel *channel_alloc(Ledger *ledger, Memory *memory, Watches *watches,
                       Notify *notify);

/* Begin to listen to @peer. False with errno if the kernel cannot. */
bool channel_watch(Channel *channel, Peer *peer);

/* The client that has @id now, or NULL. One that has hung up leaves first. */
Peer *channel_find(Channel *channel, unsigned id);

/* Put @event at the end, where all who have been told everything wait. */
void channel_append_event(Channel *channel, Event *event, uint64_t number);

/* Send everybody what is new, @last, if there is one, after the others. */
void channel_send_all(Channel *channel, Peer *last);

/*
 * Write down that the client in @slot, which is none of channel->peers any more, has
 * left. The index of the departure and how many are to hear of it; -1 if nobody is.
 */
int channel_record_leave(Channel *channel, unsigned slot, unsigned *hearers);

/* The service manager need no longer keep the fds of the client @entry. */
void forget_fds(const Ledger *ledger, const Entry *entry, Notify *notify);

#endif
