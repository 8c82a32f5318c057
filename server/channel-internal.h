/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_CHANNEL_INTERNAL_H
#define IVSHMEMD_CHANNEL_INTERNAL_H

#include "channel.h"

/* Shared by channel.c, admission.c and restore.c. Other files include channel.h. */

/* Takes ownership of @ledger and @memory. */
Channel *channel_alloc(Ledger *ledger, Memory *memory, Watches *watches,
                       Notify *notify);

/* Start listening to @peer. False, with errno set, if the kernel cannot. */
bool channel_watch(Channel *channel, Peer *peer);

/* The client with @id, or NULL. If it has hung up, it is removed first. */
Peer *channel_find(Channel *channel, unsigned id);

/* Append @event, where all clients that are up to date are waiting. */
void channel_append_event(Channel *channel, Event *event, uint64_t number);

/* Send everybody what is new; @last, if any, after the others. */
void channel_send_all(Channel *channel, Peer *last);

/*
 * Record that the client in @slot, which is no longer in channel->peers, has left.
 * Returns the index of the departure, and in @hearers how many must be told; -1 if
 * nobody has to be.
 */
int channel_record_leave(Channel *channel, unsigned slot, unsigned *hearers);

/* Tell the service manager to drop the fds of the client @entry. */
void forget_fds(const Ledger *ledger, const Entry *entry, Notify *notify);

#endif
