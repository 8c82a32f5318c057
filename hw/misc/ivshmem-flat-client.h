/*
 * Client of an ivshmem server
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Implements "Client-Server protocol" of docs/specs/ivshmem-spec.rst and keeps
 * the list of peers.  It knows nothing of registers, interrupt lines and
 * boards.
 *
 * A session begins when the server has sent an ID and ends when it hangs up.
 * The next one needs a chardev that reconnects.  Between sessions, the peers of
 * the last one can still be rung.
 *
 * Everything here runs with the big lock held.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_CLIENT_H
#define HW_MISC_IVSHMEM_FLAT_CLIENT_H

#include "qemu/timer.h"
#include "hw/misc/ivshmem-flat-connection.h"
#include "hw/misc/ivshmem-flat-peers.h"

typedef struct IvshmemFlatClient IvshmemFlatClient;

typedef struct IvshmemFlatClientOps {
    /* The device's ID is @client->id; its old vectors are no longer valid */
    void (*session_begins)(IvshmemFlatClient *client);

    /* The shared memory. The callback owns the file descriptor. */
    bool (*shared_memory)(IvshmemFlatClient *client, int fd, Error **errp);

    /* The device's own vectors, from 0 up. The callback owns the eventfd. */
    void (*own_vector)(IvshmemFlatClient *client, unsigned vector, int eventfd);

    /*
     * After ivshmem_flat_client_start() has returned: the server sent something
     * wrong, or has gone.  The callback owns the error.
     */
    void (*error)(IvshmemFlatClient *client, Error *err);
} IvshmemFlatClientOps;

/* The message that the server must send next */
typedef enum {
    IVSHMEM_FLAT_EXPECT_VERSION,
    IVSHMEM_FLAT_EXPECT_ID,
    IVSHMEM_FLAT_EXPECT_ANY,
} IvshmemFlatExpect;

struct IvshmemFlatClient {
    /* Read-only for the device */
    IvshmemFlatConnection server;
    IvshmemFlatPeers peers;         /* without the device itself */
    uint16_t id;                    /* the device's own */
    uint64_t sessions;              /* so far */
    uint64_t messages;              /* on this connection */
    unsigned own_vectors;           /* in this session */

    /* Private */
    const IvshmemFlatClientOps *ops;
    IvshmemFlatExpect expect;
    bool has_memory;                /* in this session, even if refused */
    unsigned want_vectors;
    QEMUTimer handshake_timer;
};

/**
 * ivshmem_flat_client_start:
 * @client: zeroed, except for the chardev of its server
 * @ops: the device's callbacks; valid until ivshmem_flat_client_stop()
 * @want_vectors: number of the device's own vectors to wait for
 * @errp: says what is wrong with the chardev or the server
 *
 * Waits up to 5 s for what the device needs before the guest starts: its ID,
 * the memory, the existing peers and its own vectors.  Fewer vectors than
 * wanted, or none, are not an error: check @client->own_vectors.
 *
 * Returns: true if the device can be used; otherwise @client is unchanged
 */
bool ivshmem_flat_client_start(IvshmemFlatClient *client,
                               const IvshmemFlatClientOps *ops,
                               unsigned want_vectors, Error **errp);

/* Hangs up and forgets everything. Does nothing if not started. */
void ivshmem_flat_client_stop(IvshmemFlatClient *client);

/* Whether there is a session */
bool ivshmem_flat_client_is_connected(IvshmemFlatClient *client);

/*
 * Reads what the server has sent so far.  A guest may learn of a peer from the
 * shared memory before the main loop has read the server's message about it.
 */
void ivshmem_flat_client_catch_up(IvshmemFlatClient *client);

#endif /* HW_MISC_IVSHMEM_FLAT_CLIENT_H */
