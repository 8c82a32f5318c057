/*
 * Placing and wiring an ivshmem-flat added with -device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * With -device, the user says where the windows are and which lines to drive.
 * Board code does that itself and needs nothing from here.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_PLACEMENT_H
#define HW_MISC_IVSHMEM_FLAT_PLACEMENT_H

#include "hw/misc/ivshmem-flat-interrupts.h"
#include "hw/sysbus.h"

typedef struct IvshmemFlatPlacement {
    /* Properties */
    char *bus_qompath;              /* NULL: board code places and wires */
    char *irq_qompath;
    uint64_t mmr_addr;
    uint64_t shmem_addr;

    /* The lines that @irq_qompath names */
    qemu_irq irqs[IVSHMEM_FLAT_MAX_LINES];
    unsigned irq_count;
    bool applied;
} IvshmemFlatPlacement;

/**
 * ivshmem_flat_placement_check:
 * @placement: the properties, as set by the user
 * @dev: its windows have @mmr_size and @shmem_size bytes
 * @errp: says which property is wrong, and what the machine has
 *
 * Finds the interrupt lines.
 *
 * Returns: true if the device can be placed or board code places it
 */
bool ivshmem_flat_placement_check(IvshmemFlatPlacement *placement,
                                  DeviceState *dev, uint64_t mmr_size,
                                  uint64_t shmem_size, Error **errp);

/*
 * Maps the windows, which are MMIO regions 0 and 1, and connects sysbus IRQ n
 * to line n.  Warns if a window covers another device or is covered.  Does
 * nothing if board code places the device.
 */
void ivshmem_flat_placement_apply(IvshmemFlatPlacement *placement,
                                  SysBusDevice *dev);

/* Undoes ivshmem_flat_placement_apply(), if that did anything */
void ivshmem_flat_placement_undo(IvshmemFlatPlacement *placement,
                                 SysBusDevice *dev);

#endif /* HW_MISC_IVSHMEM_FLAT_PLACEMENT_H */
