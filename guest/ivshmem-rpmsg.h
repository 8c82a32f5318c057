/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RPMsg over ivshmem-flat, for bare metal: the remote's end of a link whose host
 * runs Zephyr's ipc_service with the back end "static vrings", or Linux or
 * anything else with OpenAMP.  It needs ivshmem-flat.h and ivshmem-names.h, and
 * neither OpenAMP nor libc.  C99 or C++11 with GCC or clang, little-endian.
 *
 *     static bool on_message(void *context, const void *message, size_t bytes)
 *     {
 *         return ivshmem_rpmsg_send(&link, message, bytes);
 *     }
 *     ...
 *     ivshmem_rpmsg_defaults(&link);
 *     link.service = "echo";
 *     link.handler = on_message;
 *     if (!ivshmem_rpmsg_open(&link, &shm)) {
 *         ...                                 // no room for it
 *     }
 *     for (;;) {
 *         ivshmem_rpmsg_poll(&link);
 *         ...                                 // sleep until doorbell or timer
 *     }
 *
 * Call ivshmem_rpmsg_poll() after each doorbell of the link's vector, and also with a
 * timer, 10 to 100 times each second, because a host that starts or restarts may not
 * ring.  The ends may start in any order and restart at any time: they then meet again,
 * by the rules of ivshmem-names.h.
 *
 * The link uses 64 KiB of the shared memory, at the same offset on both ends:
 *
 *     0x00000  status: the host sets bit 2 when all else is ready
 *     0x00004  buffers, 32 for each direction, of 512 bytes
 *     0x08004  vring from host to remote
 *     0x08354  vring from remote to host
 *
 * This is Zephyr's layout for a memory region of 64 KiB and buffers of 512 bytes.  For
 * other sizes, set the two macros below.  VIRTIO 1.0 defines the vrings (section 2.4,
 * "Virtqueues"), and OpenAMP defines the messages.  The device knows about neither.
 *
 * The host is not trusted: what it writes can garble messages, but do no other harm.
 *
 * If another VM enters this end's name, that VM gets the link, and this end's link stays
 * down.
 *
 * Programs call ivshmem_rpmsg_defaults(), _open(), _poll(), _send() and _is_up().
 * The other functions are internal.  For each link, call them in one thread or one
 * interrupt handler at a time.  No function waits.
 */

#ifndef IVSHMEM_RPMSG_H
#define IVSHMEM_RPMSG_H

#include "ivshmem-flat.h"
#include "ivshmem-names.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ivshmem-rpmsg.h is for little-endian CPUs"
#endif

/* Buffers in each direction, a power of 2, and the size of each in bytes */
#ifndef IVSHMEM_RPMSG_BUFFERS
#define IVSHMEM_RPMSG_BUFFERS 32u
#endif
#ifndef IVSHMEM_RPMSG_BUFFER_BYTES
#define IVSHMEM_RPMSG_BUFFER_BYTES 512u
#endif
#if (IVSHMEM_RPMSG_BUFFERS & (IVSHMEM_RPMSG_BUFFERS - 1u)) != 0 || \
    IVSHMEM_RPMSG_BUFFER_BYTES % 4u != 0
#error "IVSHMEM_RPMSG_BUFFERS must be a power of 2, _BUFFER_BYTES a multiple of 4"
#endif

/*
 * Called by ivshmem_rpmsg_poll() for each message that is not empty.  The message is in
 * shared memory, where the host can change it: copy it before you check it.  It is valid
 * until the handler returns.  Return true if you have processed it, or false to get it
 * again from the next ivshmem_rpmsg_poll().
 */
typedef bool ivshmem_rpmsg_handler(void *context, const void *message,
                                   size_t bytes);

/* What is in the shared memory, as VIRTIO and RPMsg define it. */
struct ivshmem_rpmsg_vring {
    struct {
        uint32_t address, address_high, bytes;
        uint16_t flags, next;
    } descriptors[IVSHMEM_RPMSG_BUFFERS];
    struct { /* written by the host */
        uint16_t flags; /* bit 0: "do not ring me when you use one" */
        uint16_t index;
        uint16_t ring[IVSHMEM_RPMSG_BUFFERS];
        uint16_t event;
    } available;
    struct { /* written by the remote */
        uint16_t flags;
        uint16_t index;
        struct {
            uint32_t descriptor, bytes;
        } ring[IVSHMEM_RPMSG_BUFFERS];
        uint16_t event;
    } used;
};

struct ivshmem_rpmsg_memory {
    uint32_t status;
    unsigned char buffers[2][IVSHMEM_RPMSG_BUFFERS][IVSHMEM_RPMSG_BUFFER_BYTES];
    struct ivshmem_rpmsg_vring to_remote, to_host;
};

struct ivshmem_rpmsg_message {
    uint32_t source, destination, reserved;
    uint16_t bytes, flags;
};

/* Addresses of endpoints: of the name service on each host, and of ours */
#define IVSHMEM_RPMSG_NAME_SERVICE 0x35u
#define IVSHMEM_RPMSG_OWN_ADDRESS  0x400u

#define IVSHMEM_RPMSG_DRIVER_OK 4u
#define IVSHMEM_RPMSG_NO_RING   1u

/* One link, with one service.  The caller owns it. */
struct ivshmem_rpmsg {
    /* The caller's, to set between ivshmem_rpmsg_defaults() and _open() */
    const char *service; /* to announce, 1 to 31 characters */
    ivshmem_rpmsg_handler *handler;
    void *context;        /* for the handler */
    const char *own_name; /* in the table of names, "remote" */
    const char *peer_name; /* "host" */
    size_t names;          /* offset of that table in shared memory, 0 */
    size_t offset;         /* of the link, 0x10000 */
    uint64_t address; /* where the host has offset 0, 0x60000000 for Zephyr */
    uint16_t vector;  /* which both ends ring, 0 */

    /* private */
    const struct ivshmem_flat *shm;
    volatile struct ivshmem_rpmsg_memory *memory;
    struct ivshmem_name *table, *own;
    uint16_t own_id; /* with which this end has entered its name */
    const struct ivshmem_name *peer; /* that this end meets or has met, or NULL */
    uint32_t start;                  /* of the peer */
    bool has_met, is_announced, is_bound;
    uint32_t host_address;   /* of the endpoint, once it is bound */
    uint16_t received, sent; /* used buffers, modulo 2^16 */
};

/*
 * Fills *link with the defaults that the comments above name.  service and handler have
 * no default: set both before ivshmem_rpmsg_open().
 */
static inline void ivshmem_rpmsg_defaults(struct ivshmem_rpmsg *link)
{
    link->service = NULL;
    link->handler = NULL;
    link->context = NULL;
    link->own_name = "remote";
    link->peer_name = "host";
    link->names = 0;
    link->offset = 0x10000;
    link->address = 0x60000000;
    link->vector = 0;
}

/*
 * Returns whether both ends had the service at the last ivshmem_rpmsg_poll(), so that
 * messages can be sent.
 */
static inline bool ivshmem_rpmsg_is_up(const struct ivshmem_rpmsg *link)
{
    return link->is_bound;
}

static inline void ivshmem_rpmsg_ring_host(const struct ivshmem_rpmsg *link)
{
    ivshmem_flat_ring(link->shm, ivshmem_names_id(link->peer), link->vector);
}

/*
 * Finds the next descriptor that the host has made available, after this end has used
 * this number of them.  Returns false if there is none.
 */
static inline bool
ivshmem_rpmsg_next(const volatile struct ivshmem_rpmsg_vring *vring,
                   uint16_t used, uint16_t *descriptor)
{
    if (vring->available.index == used) {
        return false;
    }
    ivshmem_flat_barrier();
    *descriptor = vring->available.ring[used % IVSHMEM_RPMSG_BUFFERS];
    return true;
}

/*
 * Returns the buffer of a descriptor, and how many bytes it has for data, or NULL if the
 * buffer is not in the shared memory.
 */
static inline volatile struct ivshmem_rpmsg_message *
ivshmem_rpmsg_buffer(const struct ivshmem_rpmsg *link,
                     const volatile struct ivshmem_rpmsg_vring *vring,
                     uint16_t descriptor, size_t *bytes)
{
    const size_t header = sizeof(struct ivshmem_rpmsg_message);
    uint64_t offset;

    if (descriptor >= IVSHMEM_RPMSG_BUFFERS) {
        return NULL;
    }
    offset = ((uint64_t)vring->descriptors[descriptor].address_high << 32 |
              vring->descriptors[descriptor].address) - link->address;
    *bytes = vring->descriptors[descriptor].bytes;
    if (offset % 4 != 0 || offset > link->shm->size || *bytes < header) {
        return NULL;
    }
    *bytes -= header;
    return (volatile struct ivshmem_rpmsg_message *)
        ivshmem_flat_at(link->shm, (size_t)offset, *bytes + header);
}

/* Gives a descriptor back to the host, and rings the host if it asked for that. */
static inline void ivshmem_rpmsg_use(const struct ivshmem_rpmsg *link,
                                     volatile struct ivshmem_rpmsg_vring *vring,
                                     uint16_t *used, uint16_t descriptor)
{
    const unsigned last = *used % IVSHMEM_RPMSG_BUFFERS;

    if (descriptor < IVSHMEM_RPMSG_BUFFERS) {
        vring->used.ring[last].bytes = vring->descriptors[descriptor].bytes;
    }
    vring->used.ring[last].descriptor = descriptor;
    ivshmem_flat_barrier();
    vring->used.index = ++*used;
    /* Either the host sees the index, or this end sees that it wants a ring. */
    ivshmem_flat_barrier();
    if (!(vring->available.flags & IVSHMEM_RPMSG_NO_RING)) {
        ivshmem_rpmsg_ring_host(link);
    }
}

/* Sends to an endpoint of the host.  Returns false if no buffer fits. */
static inline bool ivshmem_rpmsg_send_to(struct ivshmem_rpmsg *link,
                                         uint32_t destination,
                                         const void *data, size_t bytes)
{
    volatile struct ivshmem_rpmsg_vring *vring = &link->memory->to_host;
    const unsigned char *from = (const unsigned char *)data;
    volatile struct ivshmem_rpmsg_message *message;
    volatile unsigned char *to;
    uint16_t descriptor;
    size_t room;

    if (!ivshmem_rpmsg_next(vring, link->sent, &descriptor)) {
        return false;
    }
    message = ivshmem_rpmsg_buffer(link, vring, descriptor, &room);
    if (message == NULL || bytes > room || bytes > UINT16_MAX) {
        return false;
    }
    message->source = IVSHMEM_RPMSG_OWN_ADDRESS;
    message->destination = destination;
    message->reserved = 0;
    message->bytes = (uint16_t)bytes;
    message->flags = 0;
    to = (volatile unsigned char *)(message + 1);
    for (size_t i = 0; i < bytes; i++) {
        to[i] = from[i];
    }
    ivshmem_rpmsg_use(link, vring, &link->sent, descriptor);
    return true;
}

/*
 * Sends a message to the service's other end: 0 to IVSHMEM_RPMSG_BUFFER_BYTES - 16 bytes,
 * which are copied.  Returns false, and sends nothing, if the message is longer, if the
 * link is not up, or if the host has not returned a buffer yet.  The host rings when it
 * returns one.  The handler may call this.
 */
static inline bool ivshmem_rpmsg_send(struct ivshmem_rpmsg *link,
                                      const void *data, size_t bytes)
{
    return link->is_bound &&
           ivshmem_rpmsg_send_to(link, link->host_address, data, bytes);
}

/* Announces the service to the host. */
static inline bool ivshmem_rpmsg_announce(struct ivshmem_rpmsg *link)
{
    struct {
        char name[IVSHMEM_NAME_BYTES];
        uint32_t address, flags; /* flags 0: the service is there */
    } announcement;
    bool is_over = false;

    for (size_t i = 0; i < IVSHMEM_NAME_BYTES; i++) {
        is_over = is_over || link->service[i] == '\0';
        announcement.name[i] = is_over ? '\0' : link->service[i];
    }
    announcement.address = IVSHMEM_RPMSG_OWN_ADDRESS;
    announcement.flags = 0;
    return ivshmem_rpmsg_send_to(link, IVSHMEM_RPMSG_NAME_SERVICE,
                                 &announcement, sizeof(announcement));
}

/* The ends have to meet again. */
static inline void ivshmem_rpmsg_part(struct ivshmem_rpmsg *link)
{
    link->peer = NULL;
    link->has_met = link->is_announced = link->is_bound = false;
}

/*
 * Enters this end's name, at the start and when the memory is new.  Returns false if the
 * table is full.
 */
static inline bool ivshmem_rpmsg_enter(struct ivshmem_rpmsg *link)
{
    ivshmem_rpmsg_part(link);
    link->own_id = ivshmem_flat_own_id(link->shm);
    link->own = ivshmem_names_enter(link->table, link->own_name, link->own_id);
    return link->own != NULL;
}

/* Meets the host, by the rules of ivshmem-names.h.  Returns whether the ends met. */
static inline bool ivshmem_rpmsg_meet(struct ivshmem_rpmsg *link)
{
    if (ivshmem_names_taken(link->table, link->own_name, link->own_id)) {
        ivshmem_rpmsg_part(link);
        return false;
    }
    if (link->own == NULL ||
        !ivshmem_names_holds(link->own, link->own_name,
                             ivshmem_flat_own_id(link->shm))) {
        ivshmem_rpmsg_enter(link);
    }
    if (link->peer == NULL || ivshmem_names_restarted(link->peer, link->start)) {
        ivshmem_rpmsg_part(link);
        link->peer = ivshmem_names_find(link->table, link->peer_name);
        if (link->own == NULL || link->peer == NULL) {
            return false;
        }
        link->start = ivshmem_names_start(link->peer);
        link->received = link->sent = 0;
    }
    if (!link->has_met) {
        link->has_met =
            ivshmem_names_closed(link->own, link->peer, link->start) &&
            ivshmem_names_clean(link->own, link->peer, link->start);
    }
    return link->has_met;
}

/* Returns whether the message has been processed. */
static inline bool
ivshmem_rpmsg_take(struct ivshmem_rpmsg *link,
                   volatile struct ivshmem_rpmsg_message *message, size_t room)
{
    size_t bytes = message->bytes;

    if (message->destination != IVSHMEM_RPMSG_OWN_ADDRESS || bytes > room) {
        return true;
    }
    if (!link->is_bound) {
        link->host_address = message->source;
        /* The host's first message is empty, and so is the answer to it. */
        link->is_bound = ivshmem_rpmsg_send_to(link, link->host_address, "", 0);
        if (!link->is_bound) {
            return false;
        }
    }
    return bytes == 0 ||
           link->handler(link->context, (const void *)(message + 1), bytes);
}

/*
 * Prepares the link, which the caller has filled.  shm is the device, with its interrupts
 * enabled; it must exist as long as the link.  Returns false if the link or the table of
 * names is not within the shared memory, or if the table is full.  Call it once.
 */
static inline bool ivshmem_rpmsg_open(struct ivshmem_rpmsg *link,
                                      const struct ivshmem_flat *shm)
{
    link->shm = shm;
    link->table = (struct ivshmem_name *)
        ivshmem_flat_at(shm, link->names, IVSHMEM_NAMES_BYTES);
    link->memory = (volatile struct ivshmem_rpmsg_memory *)
        ivshmem_flat_at(shm, link->offset, sizeof(*link->memory));
    return link->table != NULL && link->memory != NULL &&
           ivshmem_rpmsg_enter(link);
}

/*
 * Does all pending work: meets the host, announces the service, and calls the handler for
 * each message.  One call handles at most as many messages as the host has buffers: the
 * host rings for those that it sends meanwhile.  Returns whether the link is up.  If the
 * host or the server restarts, the link goes down, and later calls bring it up again.
 */
static inline bool ivshmem_rpmsg_poll(struct ivshmem_rpmsg *link)
{
    volatile struct ivshmem_rpmsg_vring *vring = &link->memory->to_remote;
    uint16_t descriptor;

    if (!ivshmem_rpmsg_meet(link) ||
        !(ivshmem_flat_load32(&link->memory->status) &
          IVSHMEM_RPMSG_DRIVER_OK)) {
        return false;
    }
    if (!link->is_announced) {
        link->is_announced = ivshmem_rpmsg_announce(link);
    } else if (!link->is_bound) {
        /* This VM's QEMU may not have known the host yet: ring again. */
        ivshmem_rpmsg_ring_host(link);
    }
    for (unsigned i = 0; i < IVSHMEM_RPMSG_BUFFERS &&
         ivshmem_rpmsg_next(vring, link->received, &descriptor); i++) {
        size_t room = 0;
        volatile struct ivshmem_rpmsg_message *message =
            ivshmem_rpmsg_buffer(link, vring, descriptor, &room);

        if (message != NULL && !ivshmem_rpmsg_take(link, message, room)) {
            break;
        }
        ivshmem_rpmsg_use(link, vring, &link->received, descriptor);
    }
    return link->is_bound;
}

#endif /* IVSHMEM_RPMSG_H */
