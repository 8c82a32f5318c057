/*
 * Registers of an ivshmem-flat
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "hw/misc/ivshmem-flat-eventfd.h"
#include "hw/misc/ivshmem-flat-registers.h"
#include "hw/registerfields.h"
#include "trace.h"

REG32(INTRMASK, 0x0)
REG32(INTRSTATUS, 0x4)
REG32(IVPOSITION, 0x8)
REG32(DOORBELL, 0xc)
    FIELD(DOORBELL, VECTOR, 0, 16)
    FIELD(DOORBELL, PEER, 16, 16)

static const char *device_name(IvshmemFlatRegisters *r)
{
    return ivshmem_flat_connection_name(&r->client->server);
}

static void rung(IvshmemFlatRegisters *r, uint16_t peer, uint16_t vector)
{
    r->doorbells++;
    trace_ivshmem_flat_ring(device_name(r), r->client->id, peer, vector);
}

static void ring(IvshmemFlatRegisters *r, uint16_t peer, uint16_t vector)
{
    int eventfd, ret;

    if (!ivshmem_flat_interrupts_are_possible(r->interrupts)) {
        trace_ivshmem_flat_ring_ignored(device_name(r), peer, vector,
                                        "interrupts are off");
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: DOORBELL written with interrupts off\n");
        return;
    }

    ivshmem_flat_client_catch_up(r->client);
    if (peer == r->client->id && vector < r->client->own_vectors) {
        rung(r, peer, vector);
        ivshmem_flat_interrupts_raise(r->interrupts, vector);
        return;
    }

    eventfd = ivshmem_flat_peers_find_vector(&r->client->peers, peer, vector);
    if (eventfd < 0) {
        trace_ivshmem_flat_ring_ignored(device_name(r), peer, vector,
                                        "not connected");
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: DOORBELL rings vector %u of peer %u: "
                      "no such peer or vector\n", vector, peer);
        return;
    }

    ret = ivshmem_flat_signal_eventfd(eventfd);
    if (ret < 0) {
        trace_ivshmem_flat_ring_ignored(device_name(r), peer, vector,
                                        strerror(-ret));
    } else {
        rung(r, peer, vector);
    }
}

static bool is_valid(IvshmemFlatRegisters *r, hwaddr offset, unsigned size,
                     const char *access)
{
    if (size == 4 && QEMU_IS_ALIGNED(offset, 4)) {
        return true;
    }
    trace_ivshmem_flat_bad_access(device_name(r), access, offset, size);
    qemu_log_mask(LOG_GUEST_ERROR,
                  "ivshmem-flat: %u-byte %s at offset 0x%" HWADDR_PRIx
                  ": registers need aligned 4-byte accesses\n",
                  size, access, offset);
    return false;
}

static uint64_t registers_read(void *opaque, hwaddr offset, unsigned size)
{
    IvshmemFlatRegisters *r = opaque;
    uint32_t value = 0;

    if (!is_valid(r, offset, size, "read")) {
        return 0;
    }

    switch (offset) {
    case A_INTRMASK:
        value = r->intrmask;
        break;
    case A_INTRSTATUS:
        value = r->intrstatus;
        r->intrstatus = 0;
        break;
    case A_IVPOSITION:
        value = ivshmem_flat_interrupts_are_possible(r->interrupts) ?
                r->client->id : 0;
        break;
    case A_DOORBELL:
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: read of write-only DOORBELL\n");
        break;
    default:
        g_assert_not_reached();
    }

    trace_ivshmem_flat_read(device_name(r), offset, value);
    return value;
}

static void registers_write(void *opaque, hwaddr offset, uint64_t value,
                            unsigned size)
{
    IvshmemFlatRegisters *r = opaque;

    if (!is_valid(r, offset, size, "write")) {
        return;
    }
    trace_ivshmem_flat_write(device_name(r), offset, value);

    switch (offset) {
    case A_INTRMASK:
        r->intrmask = value;
        break;
    case A_INTRSTATUS:
        r->intrstatus = value;
        break;
    case A_IVPOSITION:
        qemu_log_mask(LOG_GUEST_ERROR,
                      "ivshmem-flat: write of 0x%" PRIx64
                      " to read-only IVPOSITION\n", value);
        break;
    case A_DOORBELL:
        ring(r, FIELD_EX32(value, DOORBELL, PEER),
             FIELD_EX32(value, DOORBELL, VECTOR));
        break;
    default:
        g_assert_not_reached();
    }
}

/* The callbacks get accesses of any size: they log bad ones, but none faults */
static const MemoryRegionOps registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

void ivshmem_flat_registers_init(IvshmemFlatRegisters *r, SysBusDevice *device,
                                 IvshmemFlatClient *client,
                                 IvshmemFlatInterrupts *interrupts)
{
    r->client = client;
    r->interrupts = interrupts;
    memory_region_init_io(&r->mmr, OBJECT(device), &registers_ops, r,
                          "ivshmem-flat-mmr", IVSHMEM_FLAT_MMR_SIZE);
    sysbus_init_mmio(device, &r->mmr);
}

void ivshmem_flat_registers_reset(IvshmemFlatRegisters *r)
{
    r->intrmask = 0;
    r->intrstatus = 0;
}
