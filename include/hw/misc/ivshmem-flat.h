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
 *  + QOM property "shmem-size": size of the server's shared memory in bytes
 *  + QOM property "vectors": number of sysbus IRQs, 1 by default, at most 64
 *  + QOM property "iothread": the IOThread that waits for interrupts; by
 *    default the device creates one
 *  + QOM properties "own-id", "connected", "peers" and "sessions" (read-only):
 *    what the server has reported
 *  + QOM properties "doorbells" and "interrupts" (read-only): how many so far
 *  + QOM property "version" (read-only): IVSHMEM_FLAT_VERSION
 *  + sysbus MMIO region 0: registers, 16 bytes
 *  + sysbus MMIO region 1: shared memory, "shmem-size" bytes
 *  + sysbus IRQ n: pulsed when a peer rings vector n; IRQ 0 also when the
 *    server is back, since the device's ID and memory may have changed
 *
 * Board code maps the two regions and connects the IRQs, or leaves them alone
 * for shared memory without interrupts.  With QOM property "x-bus-qompath"
 * set, as -device requires, the device places and wires itself:
 *  + QOM property "x-bus-qompath": must be "/sysbus"
 *  + QOM properties "x-bus-address-mmr", "x-bus-address-shmem": where
 *    regions 0 and 1 go
 *  + QOM property "x-irq-qompath": the input lines that IRQs 0, 1, 2 drive,
 *    separated by semicolons
 */

#ifndef HW_MISC_IVSHMEM_FLAT_H
#define HW_MISC_IVSHMEM_FLAT_H

#include "qom/object.h"

#define IVSHMEM_FLAT_VERSION "1.0.0"

#define TYPE_IVSHMEM_FLAT "ivshmem-flat"
OBJECT_DECLARE_SIMPLE_TYPE(IvshmemFlatState, IVSHMEM_FLAT)

#endif /* HW_MISC_IVSHMEM_FLAT_H */
