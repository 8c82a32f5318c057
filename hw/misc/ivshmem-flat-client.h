/*
 * Client of an ivshmem server
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Speaks "Client-Server protocol" of docs/specs/ivshmem-spec.rst and keeps the
 * list of peers.  Of registers, interrupt lines and
 * boards it knows nothing.
 *
 * A session begins when the server has given an ID and ends when it hangs up.
 * The next one needs a chardev that reconnects.  In between, the peers of the
 * last session can still be rung.
 *
 * All of it runs with the big lock held.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_CLIENT_H
#define HW_MISC_IVSHMEM_FLAT_CLIENT_H

#include "qemu/timer.h"
#include "hw/misc/ivshmem-flat-connection.h"
#include "hw/misc/ivshmem-flat-peers.h"

typedef struct IvshmemFlatClient IvshmemFlatClient;

typedef struct IvshmemFlatClientOps {
    /* The device is @client->id now; its former vectors are void */
    void (*session_begins)(IvshmemFlatClient *client);

    /* The shared memory.  The file descriptor is the callback's. */
    bool (*shared_memory)(IvshmemFlatClient *client, int fd, Error **errp);

    /* The device's own vectors, from 0 up.  The eventfd is the callback's. */
    void (*own_vector)(IvshmemFlatClient *client, unsigned vector, int eventfd);

    /*
     * Since ivshmem_flat_client_start() returned, the server has said something
     * wrong, or has gone.  The error is the callback's.
     */
    void (*error)(IvshmemFlatClient *client, Error *err);
} IvshmemFlatClientOps;

/* What the next message from the server has to be */
typedef enum {
    IVSHMEM_FLAT_EXPECT_VERSION,
    IVSHMEM_FLAT_EXPECT_ID,
    IVSHMEM_FLAT_EXPECT_ANY,
} IvshmemFlatExpect;

struct IvshmemFlatClient {
    /* May be read */
    IvshmemFlatConnection server;
    IvshmemFlatPeers peers;         /* all but the device */
    uint16_t id;                    /* the device's own */
    uint64_t sessions;              /* that have begun */
    uint64_t messages;              /* on this connection */
    unsigned own_vectors;           /* in this session */

    /* Private */
    const IvshmemFlatClientOps *ops;
    IvshmemFlatExpect expect;
    bool has_memory;                /* in this session */
    unsigned want_vectors;
    int last_id;                    /* whose vector came last, or -1 */
    QEMUTimer handshake_timer;
};

/**
 * ivshmem_flat_client_start:
 * @client: zeroed, but for the chardev of its server
 * @ops: what to tell the device; valid until ivshmem_flat_client_stop()
 * @want_vectors: how many vectors of the device's own to wait for
 * @errp: says what is wrong with the chardev or the server
 *
 * Waits, for at most 5 s, until the server has said what a device needs before
 * the guest starts: its ID, the memory, all peers that are there, the device's
 * vectors.  A server that gives fewer vectors than wanted, or none, is no
 * error: @client->own_vectors tells.
 *
 * Returns: whether the device can be used; if not, @client is as it was
 */
bool ivshmem_flat_client_start(IvshmemFlatClient *client,
                               const IvshmemFlatClientOps *ops,
                               unsigned want_vectors, Error **errp);

/* Hangs up and forgets all.  Does nothing where nothing was started. */
void ivshmem_flat_client_stop(IvshmemFlatClient *client);

/* Whether a session is on */
bool ivshmem_flat_client_is_connected(IvshmemFlatClient *client);

/*
 * Takes in what the server has sent by now.  A guest may have learnt of a peer
 * from the shared memory before the main loop came to read of it.
 */
void ivshmem_flat_client_catch_up(IvshmemFlatClient *client);

#endif /* HW_MISC_IVSHMEM_FLAT_CLIENT_H */
