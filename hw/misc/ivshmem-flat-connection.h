/*
 * Connection to an ivshmem server: messages and the file descriptors with them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The chardev makes the connection and makes it anew.  Messages are not read
 * from it: it throws away what is unread when the server hangs up, and cannot
 * say whether there is anything.  They are read from a duplicate of its socket,
 * where a hang-up comes after all that was sent before.
 *
 * All of it runs with the big lock held.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_CONNECTION_H
#define HW_MISC_IVSHMEM_FLAT_CONNECTION_H

#include "chardev/char-fe.h"
#include "io/channel-socket.h"
#include "hw/misc/ivshmem-flat-compat.h"

typedef struct IvshmemFlatConnection {
    CharFrontend chardev;           /* the property's */

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
 * The label of the chardev, which is the user's name for the server, and tells
 * devices apart in traces.  NULL where there is no chardev.
 */
const char *ivshmem_flat_connection_name(IvshmemFlatConnection *connection);

/**
 * ivshmem_flat_connection_open:
 * @connection: zeroed, but for its chardev
 * @timeout_ms: how long a chardev that still connects may take
 * @errp: says what is wrong with the chardev
 *
 * Returns: whether the server is there
 */
bool ivshmem_flat_connection_open(IvshmemFlatConnection *connection,
                                  int timeout_ms, Error **errp);

/* Reads one whole message.  The caller owns *@fd, which may be -1. */
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
 * From here on the main loop calls @readable when there is something to read,
 * and @reconnected when the chardev has a new connection.  What the last one
 * holds can still be read, until ivshmem_flat_connection_reopen().
 */
void ivshmem_flat_connection_listen(IvshmemFlatConnection *connection,
                                    void (*readable)(void *opaque),
                                    void (*reconnected)(void *opaque),
                                    void *opaque);

/* Goes over to the new connection.  Sets @errp where it is no UNIX socket. */
bool ivshmem_flat_connection_reopen(IvshmemFlatConnection *connection,
                                    Error **errp);

/* Hangs up.  A chardev that reconnects does so. */
void ivshmem_flat_connection_hang_up(IvshmemFlatConnection *connection);

/*
 * Ends what ivshmem_flat_connection_open() began.  A chardev that reconnects
 * does so, and can be opened again.
 */
void ivshmem_flat_connection_close(IvshmemFlatConnection *connection);

#endif /* HW_MISC_IVSHMEM_FLAT_CONNECTION_H */
