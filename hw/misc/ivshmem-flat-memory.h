/*
 * The server's shared memory and the window that shows it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_IVSHMEM_FLAT_MEMORY_H
#define HW_MISC_IVSHMEM_FLAT_MEMORY_H

#include "hw/sysbus.h"

typedef struct IvshmemFlatRam IvshmemFlatRam;

typedef struct IvshmemFlatMemory {
    MemoryRegion window;
    uint64_t size;                  /* set by the property */
    IvshmemFlatRam *ram;            /* what the window shows, or NULL */
} IvshmemFlatMemory;

/* Adds the window to @device as its next MMIO region */
void ivshmem_flat_memory_init(IvshmemFlatMemory *memory, SysBusDevice *device);

/**
 * ivshmem_flat_memory_show:
 * @memory: its size becomes that of the window
 * @name: for traces
 * @fd: shared memory; @memory owns it if this returns true
 *
 * Returns: true if the window shows this memory; otherwise it is unchanged
 */
bool ivshmem_flat_memory_show(IvshmemFlatMemory *memory, const char *name,
                              int fd, Error **errp);

/* Empties the window. Other devices may still use the memory. */
void ivshmem_flat_memory_hide(IvshmemFlatMemory *memory);

#endif /* HW_MISC_IVSHMEM_FLAT_MEMORY_H */
