/*
 * Registers of an ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/* "PCI device registers" of docs/specs/ivshmem-spec.rst, without the PCI */

#ifndef HW_MISC_IVSHMEM_FLAT_REGISTERS_H
#define HW_MISC_IVSHMEM_FLAT_REGISTERS_H

#include "hw/misc/ivshmem-flat-client.h"
#include "hw/misc/ivshmem-flat-interrupts.h"
#include "hw/sysbus.h"

#define IVSHMEM_FLAT_MMR_SIZE 0x10

typedef struct IvshmemFlatRegisters {
    MemoryRegion mmr;
    uint32_t intrmask;
    uint32_t intrstatus;
    uint64_t doorbells;             /* that reached a peer, or the guest */
    IvshmemFlatClient *client;
    IvshmemFlatInterrupts *interrupts;
} IvshmemFlatRegisters;

/* Adds the registers to @device as its next MMIO region */
void ivshmem_flat_registers_init(IvshmemFlatRegisters *registers,
                                 SysBusDevice *device,
                                 IvshmemFlatClient *client,
                                 IvshmemFlatInterrupts *interrupts);

void ivshmem_flat_registers_reset(IvshmemFlatRegisters *registers);

#endif /* HW_MISC_IVSHMEM_FLAT_REGISTERS_H */
