/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An RPMsg link between this Linux guest and a board, with OpenAMP in user
 * space.  This side is the host: it allocates the buffers.  The memory layout
 * is that of Zephyr's ipc_service with static vrings; see zephyr/README.rst.
 *
 * The board may restart at any time.  rpmsg_link_is_lost() then returns true,
 * and the caller closes the link and opens it again.  Use it in one thread
 * only.
 */

#ifndef RPMSG_LINK_H
#define RPMSG_LINK_H

#include <stdbool.h>

#include <metal/io.h>
#include <openamp/rpmsg_virtio.h>

#include "ivshmem-names.h"
#include "ivshmem-pci.h"

#define RPMSG_LINK_MESSAGE_MAX 496

/* Called for each message. The data is valid only during the call. */
typedef void rpmsg_link_received(void *context, const void *data,
                                 size_t length);

struct rpmsg_link {
    /* set by the caller before rpmsg_link_open() */
    struct ivshmem_pci *dev;       /* open, with interrupts */
    const char *service;           /* the endpoint that the board announces */
    metal_phys_addr_t board_memory; /* where the board sees the memory */
    rpmsg_link_received *received;
    void *context;

    char error[256]; /* why the last call failed */

    /* private */
    struct ivshmem_name *own, *peer;
    uint32_t peer_start;
    struct metal_io_region io;
    struct virtio_device vdev;
    struct virtio_vring_info vrings[2];
    struct rpmsg_virtio_device rvdev;
    struct rpmsg_virtio_shm_pool pool;
    struct rpmsg_endpoint endpoint;
    bool is_bound;
};

/*
 * Connects to the board and waits until it announces the service, for at most
 * timeout milliseconds.  Returns 0, or -1 with the reason in link->error.
 */
int rpmsg_link_open(struct rpmsg_link *link, int timeout);

/*
 * Sends 1 to RPMSG_LINK_MESSAGE_MAX bytes.  Waits for a free buffer, for at
 * most timeout milliseconds.  Returns 0 or -1.  A message that the board has not
 * read when it restarts is lost.  received() may call it.
 */
int rpmsg_link_send(struct rpmsg_link *link, const void *data, size_t length,
                    int timeout);

/*
 * Waits for a doorbell, for at most timeout milliseconds, and calls received()
 * for each message that has arrived.  Returns 0, even if there was none, or -1.
 */
int rpmsg_link_serve(struct rpmsg_link *link, int timeout);

/* Whether the board has restarted, so that its end of the link is gone. */
bool rpmsg_link_is_lost(const struct rpmsg_link *link);

void rpmsg_link_close(struct rpmsg_link *link);

#endif /* RPMSG_LINK_H */
