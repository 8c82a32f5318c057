/*
 * Connection to an ivshmem server: messages and their file descriptors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The chardev connects and reconnects.  Messages are not read from it: it
 * discards unread data when the server hangs up, and cannot tell whether there
 * is any.  They are read from a duplicate of its socket, where the hang-up
 * comes after everything that was sent before it.
 *
 * Everything here runs with the big lock held.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_CONNECTION_H
#define HW_MISC_IVSHMEM_FLAT_CONNECTION_H

#include "chardev/char-fe.h"
#include "io/channel-socket.h"
#include "hw/misc/ivshmem-flat-compat.h"

typedef struct IvshmemFlatConnection {
    CharFrontend chardev;           /* set by the property */

    /* Private */
    QIOChannelSocket *socket;       /* while the server is there */
    uint8_t msg[sizeof(int64_t)];
    unsigned msg_len;
    int msg_fd;
    void (*readable)(void *opaque);
    void (*reconnected)(void *opaque);
    void *opaque;
} IvshmemFlatConnection;

typedef enum {
    IVSHMEM_FLAT_MESSAGE,
    IVSHMEM_FLAT_NO_MESSAGE,
    IVSHMEM_FLAT_HANG_UP,
} IvshmemFlatRead;

/*
 * The chardev's label, which tells devices apart in traces.  NULL if there is
 * no chardev.
 */
const char *ivshmem_flat_connection_name(IvshmemFlatConnection *connection);

/**
 * ivshmem_flat_connection_open:
 * @connection: zeroed, except for its chardev
 * @timeout_ms: time limit for a chardev that is still connecting
 * @errp: says what is wrong with the chardev
 *
 * Returns: true if connected
 */
bool ivshmem_flat_connection_open(IvshmemFlatConnection *connection,
                                  int timeout_ms, Error **errp);

/* In place of an fd that this process has no room for */
#define IVSHMEM_FLAT_LOST_FD (-2)

/*
 * Reads one whole message.  The caller owns *@fd, which may be -1 or
 * IVSHMEM_FLAT_LOST_FD.
 */
IvshmemFlatRead ivshmem_flat_connection_read(IvshmemFlatConnection *connection,
                                             int64_t *msg, int *fd);

/* Whether there is a socket to read from, even if the server has hung up */
bool ivshmem_flat_connection_is_open(IvshmemFlatConnection *connection);

/* How many whole messages are waiting to be read */
unsigned
ivshmem_flat_connection_count_unread(IvshmemFlatConnection *connection);

/* Waits until there is something to read */
void ivshmem_flat_connection_wait(IvshmemFlatConnection *connection,
                                  int timeout_ms);

/*
 * From now on the main loop calls @readable when there is something to read,
 * and @reconnected when the chardev has a new connection.  The old connection
 * can be read until ivshmem_flat_connection_reopen().
 */
void ivshmem_flat_connection_listen(IvshmemFlatConnection *connection,
                                    void (*readable)(void *opaque),
                                    void (*reconnected)(void *opaque),
                                    void *opaque);

/* Switches to the new connection. Fails if that is not a UNIX socket. */
bool ivshmem_flat_connection_reopen(IvshmemFlatConnection *connection,
                                    Error **errp);

/* Hangs up. A chardev with 'reconnect-ms' then reconnects. */
void ivshmem_flat_connection_hang_up(IvshmemFlatConnection *connection);

/*
 * Undoes ivshmem_flat_connection_open().  A chardev with 'reconnect-ms' then
 * reconnects, and can be opened again.
 */
void ivshmem_flat_connection_close(IvshmemFlatConnection *connection);

#endif /* HW_MISC_IVSHMEM_FLAT_CONNECTION_H */
