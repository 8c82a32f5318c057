/*
 * Inter-VM shared memory and doorbells for machines without PCI
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The guest interface and the server's protocol are those of
 * docs/specs/ivshmem-spec.rst; docs/system/devices/ivshmem-flat.rst is the
 * user's manual.
 *
 * QEMU interface:
 *  + QOM property "chardev": UNIX socket, connected to an ivshmem server
 *  + QOM property "shmem-size": bytes of shared memory, the server's size
 *  + QOM property "iothread": the IOThread that serves the device's doorbell;
 *    without it the device makes one
 *  + QOM properties "own-id", "connected" and "peers" (read-only): what the
 *    server said
 *  + QOM property "version" (read-only): IVSHMEM_FLAT_VERSION
 *  + sysbus MMIO region 0: registers, 16 bytes
 *  + sysbus MMIO region 1: shared memory, "shmem-size" bytes
 *  + sysbus IRQ 0: pulsed when a peer rings vector 0
 *
 * Board code maps the two regions and connects the IRQ, or leaves it alone
 * for shared memory without interrupts.  With QOM property "x-bus-qompath"
 * set, as -device needs it, the device places and wires itself:
 *  + QOM property "x-bus-qompath": must be "/sysbus"
 *  + QOM properties "x-bus-address-mmr", "x-bus-address-shmem": where
 *    regions 0 and 1 go
 *  + QOM property "x-irq-qompath": the input line that IRQ 0 drives
 */

#ifndef HW_MISC_IVSHMEM_FLAT_H
#define HW_MISC_IVSHMEM_FLAT_H

#include <linux/aio_abi.h>
#include "chardev/char-fe.h"
#include "hw/misc/ivshmem-flat-compat.h"
#include "hw/sysbus.h"
#include "qemu/event_notifier.h"
#include "qemu/notify.h"
#include "qom/object.h"
#include "system/iothread.h"
#include "system/runstate.h"

#define IVSHMEM_FLAT_VERSION "0.9"

#define TYPE_IVSHMEM_FLAT "ivshmem-flat"
OBJECT_DECLARE_SIMPLE_TYPE(IvshmemFlatState, IVSHMEM_FLAT)

typedef struct IvshmemFlatRam IvshmemFlatRam;
typedef struct IvshmemFlatVector IvshmemFlatVector;

/* What the next message from the server has to be */
typedef enum {
    IVSHMEM_FLAT_EXPECT_VERSION,
    IVSHMEM_FLAT_EXPECT_OWN_ID,
    IVSHMEM_FLAT_EXPECT_ANY,
} IvshmemFlatExpect;

struct IvshmemFlatState {
    SysBusDevice parent_obj;

    MemoryRegion mmr;
    MemoryRegion shmem;             /* holds the server's, as RAM */
    IvshmemFlatRam *ram;
    qemu_irq irq;

    uint32_t intrmask;
    uint32_t intrstatus;

    /* What the server says: main loop, big lock held */
    uint8_t msg[sizeof(int64_t)];
    unsigned msg_len;
    int msg_fd;
    IvshmemFlatExpect expect;
    bool realizing;
    bool shmem_came;                /* on this connection */
    bool has_interrupts;
    GMainContext *server_context;   /* where nothing runs but our handlers */
    Error *handshake_error;
    unsigned warnings;              /* in the period since then */
    int64_t warnings_since;
    uint16_t own_id;
    int last_id;                    /* whose vector came last, or -1 */
    GHashTable *peers;              /* ID, own included: its vectors */

    /* Doorbells of peers: rung by vCPUs, big lock held */
    aio_context_t requests;
    int null_fd;

    /* Doorbells of ours: served by an IOThread while the VM runs */
    IvshmemFlatVector *doorbell;    /* own vector 0, held in peers */
    IOThread *own_iothread;         /* where the user gives none */
    AioContext *context;            /* of the one or the other */
    bool running;
    VMChangeStateEntry *vm_change;

    Notifier machine_done;
    Error *migration_blocker;

    /* Properties */
    CharFrontend server;
    uint64_t shmem_size;
    char *bus_qompath;
    char *irq_qompath;
    uint64_t mmr_addr;
    uint64_t shmem_addr;
    IOThread *iothread;
};

#endif /* HW_MISC_IVSHMEM_FLAT_H */
