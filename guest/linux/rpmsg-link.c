/* SPDX-License-Identifier: Apache-2.0 */
/* RPMsg between Linux and a board: see rpmsg-link.h. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <metal/sys.h>
#include <openamp/virtqueue.h>
#include <openamp/virtio_ring.h>

#include "clock.h"
#include "rpmsg-link.h"

/* Offsets in the shared memory */
#define NAMES 0
#define LINK 0x10000u
#define LINK_BYTES 0x10000u
#define STATUS_BYTES 4u

#define DESCRIPTORS 32u
#define BUFFER_BYTES 512u
#define ALIGNMENT 4u

#define LOOK_MS 10

/*
 * libmetal's state: it reads the log level from here.  Normally metal_init()
 * defines it, but that is for devices that libmetal itself opens.
 */
struct metal_state _metal;

__attribute__((format(printf, 2, 3))) static int fail(struct rpmsg_link *link,
                                                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(link->error, sizeof(link->error), format, arguments);
    va_end(arguments);
    return -1;
}

/*
 * The operations that OpenAMP needs of a virtio device
 */

static struct rpmsg_link *link_of(struct virtio_device *vdev)
{
    return metal_container_of(vdev, struct rpmsg_link, vdev);
}

static unsigned char get_status(struct virtio_device *vdev)
{
    (void)vdev;
    return VIRTIO_CONFIG_STATUS_DRIVER_OK;
}

static void set_status(struct virtio_device *vdev, unsigned char status)
{
    struct rpmsg_link *link = link_of(vdev);
    volatile uint8_t *byte = ivshmem_flat_at(&link->dev->shm, LINK, 1);

    ivshmem_flat_barrier();
    *byte = status;
}

static uint32_t get_features(struct virtio_device *vdev)
{
    (void)vdev;
    return 1u << VIRTIO_RPMSG_F_NS;
}

static void set_features(struct virtio_device *vdev, uint32_t features)
{
    (void)vdev, (void)features;
}

static void notify(struct virtqueue *vq)
{
    struct rpmsg_link *link = link_of(vq->vq_dev);

    ivshmem_flat_ring(&link->dev->shm, ivshmem_names_id(link->peer), 0);
}

static const struct virtio_dispatch dispatch = {
    .get_status = get_status,
    .set_status = set_status,
    .get_features = get_features,
    .set_features = set_features,
    .notify = notify,
};

/*
 * The service
 */

static int message_arrived(struct rpmsg_endpoint *endpoint, void *data,
                           size_t length, uint32_t source, void *context)
{
    struct rpmsg_link *link = endpoint->priv;

    (void)source, (void)context;
    /*
     * Zephyr's ipc_service answers the binding with an empty message.  The
     * board wrote the length: ignore one that is too long.
     */
    if (length > 0 && length <= RPMSG_LINK_MESSAGE_MAX) {
        link->received(link->context, data, length);
    }
    return RPMSG_SUCCESS;
}

static void service_announced(struct rpmsg_device *rdev, const char *name,
                              uint32_t address)
{
    struct rpmsg_virtio_device *rvdev =
        metal_container_of(rdev, struct rpmsg_virtio_device, rdev);
    struct rpmsg_link *link =
        metal_container_of(rvdev, struct rpmsg_link, rvdev);

    if (link->is_bound || strcmp(name, link->service) != 0) {
        return;
    }
    link->endpoint.priv = link;
    if (rpmsg_create_ept(&link->endpoint, rdev, name, RPMSG_ADDR_ANY, address,
                         message_arrived, NULL) == RPMSG_SUCCESS) {
        /* Tells the board which endpoint is the other end. */
        link->is_bound = rpmsg_send(&link->endpoint, "", 0) >= 0;
    }
}

/*
 * The link
 */

static void look_at_rings(struct rpmsg_link *link)
{
    virtqueue_notification(link->vrings[0].vq);
    virtqueue_notification(link->vrings[1].vq);
}

/* Two hosts would take each other's messages. */
static int check_name(struct rpmsg_link *link)
{
    uint16_t id = ivshmem_names_id(link->own);

    if (id != ivshmem_flat_own_id(&link->dev->shm)) {
        return fail(link, "peer %u also uses the name 'host', and has the link: "
                    "stop one of them", id);
    }
    return 0;
}

static int wait_for_doorbell(struct rpmsg_link *link, int timeout)
{
    if (ivshmem_pci_wait(link->dev, timeout) < 0 && errno != ETIMEDOUT) {
        return fail(link, "%s", link->dev->error);
    }
    return check_name(link);
}

int rpmsg_link_serve(struct rpmsg_link *link, int timeout)
{
    if (wait_for_doorbell(link, timeout) < 0) {
        return -1;
    }
    /* Even without a doorbell: rpmsg_link_send() may have taken it. */
    look_at_rings(link);
    return 0;
}

bool rpmsg_link_is_lost(const struct rpmsg_link *link)
{
    return ivshmem_names_restarted(link->peer, link->peer_start);
}

/* Sleeps until the next look at the names. Returns false if time is up. */
static bool wait_until(int64_t end)
{
    struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

    nanosleep(&pause, NULL);
    return now_ms() < end;
}

/* Both ends agree that a new session begins: see ivshmem-names.h. */
static int meet(struct rpmsg_link *link, int64_t end)
{
    struct ivshmem_name *table = ivshmem_flat_at(&link->dev->shm, NAMES,
                                                 IVSHMEM_NAMES_BYTES);
    void *shared = ivshmem_flat_at(&link->dev->shm, LINK, LINK_BYTES);
    bool has_cleared = false;

    if (table == NULL || shared == NULL) {
        return fail(link, "the shared memory has %zu bytes, RPMsg needs %u",
                    link->dev->shm.size, LINK + LINK_BYTES);
    }
    if (link->own == NULL) {
        link->own = ivshmem_names_enter(table, "host",
                                        ivshmem_flat_own_id(&link->dev->shm));
        if (link->own == NULL) {
            return fail(link, "the table of names is full: restart the server");
        }
    }
    while ((link->peer = ivshmem_names_find(table, "remote")) == NULL) {
        if (!wait_until(end)) {
            return fail(link, "no board has entered the name 'remote'");
        }
    }
    link->peer_start = ivshmem_names_start(link->peer);
    for (;;) {
        if (check_name(link) < 0) {
            return -1;
        }
        if (rpmsg_link_is_lost(link)) {
            link->peer_start = ivshmem_names_start(link->peer);
            has_cleared = false;
        }
        if (ivshmem_names_closed(link->own, link->peer, link->peer_start)) {
            if (!has_cleared) {
                memset(shared, 0, LINK_BYTES);
                has_cleared = true;
            }
            if (ivshmem_names_clean(link->own, link->peer, link->peer_start)) {
                return 0;
            }
        }
        if (!wait_until(end)) {
            return fail(link, "peer %u, the board, did not start a session",
                        ivshmem_names_id(link->peer));
        }
    }
}

static int set_up_vring(struct rpmsg_link *link, unsigned index, size_t offset)
{
    struct virtio_vring_info *vring = &link->vrings[index];

    vring->io = &link->io;
    vring->info.vaddr = link->dev->shm.memory + offset;
    vring->info.num_descs = DESCRIPTORS;
    vring->info.align = ALIGNMENT;
    vring->vq = virtqueue_allocate(DESCRIPTORS);
    return vring->vq == NULL ? -1 : 0;
}

static int set_up(struct rpmsg_link *link)
{
    const struct rpmsg_virtio_config config = {
        .h2r_buf_size = BUFFER_BYTES,
        .r2h_buf_size = BUFFER_BYTES,
    };
    size_t buffers = LINK + STATUS_BYTES;
    size_t buffers_bytes = 2 * DESCRIPTORS * BUFFER_BYTES;
    size_t sending = buffers + buffers_bytes;
    size_t ring_bytes = ((size_t)vring_size(DESCRIPTORS, ALIGNMENT) +
                         ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    memset(&link->vdev, 0, sizeof(link->vdev));
    link->vdev.role = VIRTIO_DEV_DRIVER;
    link->vdev.func = &dispatch;
    link->vdev.vrings_num = 2;
    link->vdev.vrings_info = link->vrings;
    link->is_bound = false;
    metal_io_init(&link->io, link->dev->shm.memory, &link->board_memory,
                  link->dev->shm.size, (unsigned)-1, 0, NULL);
    if (set_up_vring(link, 0, sending + ring_bytes) < 0 ||
        set_up_vring(link, 1, sending) < 0) {
        return fail(link, "out of memory for two queues");
    }
    rpmsg_virtio_init_shm_pool(&link->pool, link->dev->shm.memory + buffers,
                               buffers_bytes);
    if (rpmsg_init_vdev_with_config(&link->rvdev, &link->vdev,
                                    service_announced, &link->io, &link->pool,
                                    &config) != 0) {
        return fail(link, "OpenAMP cannot set up the link");
    }
    return 0;
}

int rpmsg_link_open(struct rpmsg_link *link, int timeout)
{
    int64_t end = now_ms() + timeout;

    if (meet(link, end) < 0) {
        return -1;
    }
    if (set_up(link) < 0) {
        rpmsg_link_close(link);
        return -1;
    }
    while (!link->is_bound) {
        if (rpmsg_link_is_lost(link)) {
            rpmsg_link_close(link);
            return rpmsg_link_open(link, (int)(end - now_ms()));
        }
        if (now_ms() >= end) {
            rpmsg_link_close(link);
            return fail(link, "peer %u, the board, did not announce the "
                        "service '%s'", ivshmem_names_id(link->peer),
                        link->service);
        }
        if (rpmsg_link_serve(link, LOOK_MS) < 0) {
            rpmsg_link_close(link);
            return -1;
        }
    }
    return 0;
}

int rpmsg_link_send(struct rpmsg_link *link, const void *data, size_t length,
                    int timeout)
{
    int64_t end = now_ms() + timeout;
    int result;

    while ((result = rpmsg_trysend(&link->endpoint, data, (int)length)) ==
           RPMSG_ERR_NO_BUFF) {
        if (rpmsg_link_is_lost(link)) {
            return 0; /* the message is lost, as are those in the buffers */
        }
        if (now_ms() >= end) {
            return fail(link, "the board has freed no buffer within %d ms",
                        timeout);
        }
        if (wait_for_doorbell(link, LOOK_MS) < 0) {
            return -1;
        }
    }
    return result < 0 ? fail(link, "OpenAMP cannot send %zu bytes: error %d",
                             length, result) : 0;
}

void rpmsg_link_close(struct rpmsg_link *link)
{
    /* Otherwise deinit waits for a buffer to announce that the host leaves. */
    link->rvdev.rdev.support_ns = false;
    rpmsg_deinit_vdev(&link->rvdev);
    for (int i = 0; i < 2; i++) {
        virtqueue_free(link->vrings[i].vq);
        link->vrings[i].vq = NULL;
    }
}
