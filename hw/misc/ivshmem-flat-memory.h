/*
 * The server's shared memory, and where a guest sees it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_IVSHMEM_FLAT_MEMORY_H
#define HW_MISC_IVSHMEM_FLAT_MEMORY_H

#include "hw/sysbus.h"

typedef struct IvshmemFlatRam IvshmemFlatRam;

typedef struct IvshmemFlatMemory {
    MemoryRegion window;
    uint64_t size;                  /* the property's */
    IvshmemFlatRam *ram;            /* what the window shows, or NULL */
} IvshmemFlatMemory;

/* Makes the window the next MMIO region of @device */
void ivshmem_flat_memory_init(IvshmemFlatMemory *memory, SysBusDevice *device);

/**
 * ivshmem_flat_memory_show:
 * @memory: whose size is that of the window from here on
 * @name: the device's in traces
 * @fd: shared memory; its own from here on where it returns true
 *
 * Returns: whether the window shows this memory.  If not, it shows what it did.
 */
bool ivshmem_flat_memory_show(IvshmemFlatMemory *memory, const char *name,
                              int fd, Error **errp);

/* The window shows nothing.  Other devices may still hold on to the memory. */
void ivshmem_flat_memory_hide(IvshmemFlatMemory *memory);

#endif /* HW_MISC_IVSHMEM_FLAT_MEMORY_H */
