/*
 * An mps2-an385 that has an ivshmem-flat, created and wired as board code does
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * For tests only.  The board has the device only if there is a chardev with ID
 * "ivshmem".  Registers are at 0x400ff000, 1 MiB of shared memory is at
 * 0x60000000.  Lines 29 and 30 of the NVIC are vectors 0 and 1.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "chardev/char.h"
#include "hw/boards.h"
#include "hw/misc/ivshmem-flat.h"
#include "hw/misc/ivshmem-flat-compat.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "hw/sysbus.h"

#define TYPE_IVSHMEM_FLAT_TESTBOARD MACHINE_TYPE_NAME("ivshmem-flat-testboard")
#define TYPE_MPS2_AN385 MACHINE_TYPE_NAME("mps2-an385")

static void ivshmem_flat_testboard_init(MachineState *machine)
{
    MachineClass *parent =
        MACHINE_CLASS(object_class_by_name(TYPE_MPS2_AN385));
    Chardev *chr = qemu_chr_find("ivshmem");
    DeviceState *armv7m, *dev;
    SysBusDevice *sbd;

    parent->init(machine);
    if (!chr) {
        return;
    }

    dev = qdev_new(TYPE_IVSHMEM_FLAT);
    qdev_prop_set_chr(dev, "chardev", chr);
    qdev_prop_set_uint64(dev, "shmem-size", 1 * MiB);
    /* The device that QEMU 10.0 has under this name has one vector */
    if (object_property_find(OBJECT(dev), "vectors")) {
        qdev_prop_set_uint32(dev, "vectors", 2);
    }
    sbd = SYS_BUS_DEVICE(dev);
    sysbus_realize_and_unref(sbd, &error_fatal);
    sysbus_mmio_map(sbd, 0, 0x400ff000);
    sysbus_mmio_map(sbd, 1, 0x60000000);
    armv7m = DEVICE(object_resolve_path("/machine/armv7m", NULL));
    for (unsigned i = 0; sysbus_has_irq(sbd, i); i++) {
        sysbus_connect_irq(sbd, i, qdev_get_gpio_in(armv7m, 29 + i));
    }
}

static void ivshmem_flat_testboard_class_init(ObjectClass *oc,
                                              const void *data)
{
    MachineClass *mc = MACHINE_CLASS(oc);

    mc->desc = "Test board: MPS2 AN385 with an ivshmem-flat";
    mc->init = ivshmem_flat_testboard_init;
}

static const TypeInfo ivshmem_flat_testboard_types[] = {
    {
        .name = TYPE_IVSHMEM_FLAT_TESTBOARD,
        .parent = TYPE_MPS2_AN385,
        .class_init = ivshmem_flat_testboard_class_init,
    },
};

DEFINE_TYPES(ivshmem_flat_testboard_types)
