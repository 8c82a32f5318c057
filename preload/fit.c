/*
 * Checks that ivshmem-flat fits the QEMU that loads it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The device is compiled with the headers of the source package, but runs in
 * Debian's build of it, which is configured differently.  Compare the
 * structures that both use with what that build says about them: each type's
 * TypeInfo holds its sizes, and a VMStateDescription holds offsets.  Any
 * configuration that changes an object used by the device changes one of these.
 *
 * Structures that are not objects cannot be checked: CharFrontend, Notifier,
 * QEMUTimer, QemuEvent.  On Linux no configuration changes them.
 */

#include "qemu/osdep.h"
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include "chardev/char-socket.h"
#include "hw/core/cpu.h"
#include "hw/misc/ivshmem-flat.h"
#include "hw/sysbus.h"
#include "io/channel-socket.h"
#include "migration/vmstate.h"
#include "refuse.h"

#define MISFIT \
    ".\nIt was compiled for another configuration of this QEMU: use " \
    "'make qemu', which builds QEMU with the device in it, and report this."

typedef struct Expectation {
    const char *type;
    const char *parent;
    size_t instance_size;
    size_t class_size;              /* 0: the parent's */
    bool met;
} Expectation;

static Expectation expectations[] = {
    { TYPE_DEVICE, TYPE_OBJECT, sizeof(DeviceState), sizeof(DeviceClass) },
    { TYPE_SYS_BUS_DEVICE, TYPE_DEVICE,
      sizeof(SysBusDevice), sizeof(SysBusDeviceClass) },
    { TYPE_CPU, TYPE_DEVICE, sizeof(CPUState), sizeof(CPUClass) },
    { TYPE_MEMORY_REGION, TYPE_OBJECT,
      sizeof(MemoryRegion), sizeof(MemoryRegionClass) },
    { TYPE_CHARDEV, TYPE_OBJECT, sizeof(Chardev), sizeof(ChardevClass) },
    { TYPE_CHARDEV_SOCKET, TYPE_CHARDEV, sizeof(SocketChardev) },
    { TYPE_QIO_CHANNEL_SOCKET, TYPE_QIO_CHANNEL, sizeof(QIOChannelSocket) },
    { TYPE_RESETTABLE_INTERFACE, TYPE_INTERFACE, 0, sizeof(ResettableClass) },
};

static bool lies_in(const struct dl_phdr_info *program, unsigned type,
                    const void *pointer)
{
    for (unsigned i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        uintptr_t start = program->dlpi_addr + segment->p_vaddr;

        if (segment->p_type == type && (uintptr_t)pointer >= start &&
            (uintptr_t)pointer - start < segment->p_memsz) {
            return true;
        }
    }
    return false;
}

static void check_type(const TypeInfo *info)
{
    for (unsigned i = 0; i < ARRAY_SIZE(expectations); i++) {
        Expectation *expected = &expectations[i];

        if (strcmp(info->name, expected->type) ||
            strcmp(info->parent, expected->parent)) {
            continue;
        }
        if (info->instance_size != expected->instance_size ||
            info->class_size != expected->class_size) {
            refuse("an object of type '%s' has %zu bytes, its class %zu; the "
                   "device expects %zu and %zu" MISFIT, info->name,
                   info->instance_size, info->class_size,
                   expected->instance_size, expected->class_size);
        }
        expected->met = true;
    }
}

/*
 * QEMU 10.0 and newer have an ivshmem-flat that only board code can create, and
 * none does.  Rename it before it is registered.
 */
static void give_way(const struct dl_phdr_info *program, const TypeInfo *info)
{
    static const char *other_name = TYPE_IVSHMEM_FLAT "-of-qemu";
    uintptr_t page_size = qemu_real_host_page_size();
    char *page = (char *)((uintptr_t)&info->name & -page_size);
    /* Constants with addresses become read-only after relocation */
    bool read_only = lies_in(program, PT_GNU_RELRO, &info->name);

    if (read_only && mprotect(page, page_size, PROT_READ | PROT_WRITE) < 0) {
        refuse("QEMU's own '%s' cannot be renamed: %s", info->name,
               strerror(errno));
    }
    *(const char **)&info->name = other_name;
    if (read_only) {
        mprotect(page, page_size, PROT_READ);
    }
}

/* The program itself is visited first; stop after it */
static int look_at_types(struct dl_phdr_info *program, size_t size,
                         void *opaque)
{
    for (unsigned i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        uintptr_t start = program->dlpi_addr + segment->p_vaddr;
        uintptr_t end = start + segment->p_filesz;
        const TypeInfo *info;

        /* Data that holds addresses is in a writable segment */
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_W)) {
            continue;
        }
        for (uintptr_t at = ROUND_UP(start, sizeof(void *));
             end - at >= sizeof(*info); at += sizeof(void *)) {
            info = (const TypeInfo *)at;
            if (!lies_in(program, PT_LOAD, info->name) ||
                !lies_in(program, PT_LOAD, info->parent)) {
                continue;
            }
            check_type(info);
            if (!strcmp(info->name, TYPE_IVSHMEM_FLAT)) {
                give_way(program, info);
            }
        }
    }
    return 1;
}

static void check_offset(const char *name, size_t expected)
{
    /* Declared only for code of a single target */
    const VMStateDescription *cpu = dlsym(RTLD_DEFAULT, "vmstate_cpu_common");
    const VMStateField *field = cpu ? cpu->fields : NULL;

    while (field && field->name && strcmp(field->name, name)) {
        field++;
    }
    if (!field || !field->name) {
        refuse("QEMU does not report the offset of field '%s' of a CPU" MISFIT,
               name);
    }
    if (field->offset != expected) {
        refuse("field '%s' of a CPU is at offset %zu; the device expects %zu"
               MISFIT, name, field->offset, expected);
    }
}

/* Runs before the device and QEMU register their types */
static void __attribute__((constructor(101))) fit(void)
{
    dl_iterate_phdr(look_at_types, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(expectations); i++) {
        if (!expectations[i].met) {
            refuse("QEMU has no type '%s'" MISFIT, expectations[i].type);
        }
    }
    /* tcg_cflags is between these two */
    check_offset("interrupt_request", offsetof(CPUState, interrupt_request));
    check_offset("halted", offsetof(CPUState, halted));
}
