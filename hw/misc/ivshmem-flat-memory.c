/*
 * The server's shared memory and the window that shows it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/vfs.h>
#include "qemu/error-report.h"
#include "qemu/memfd.h"
#include "qapi/error.h"
#include "hw/misc/ivshmem-flat-compat.h"
#include "hw/misc/ivshmem-flat-memory.h"
#include "trace.h"

/*
 * A separate object: it lives until no vCPU and no other device uses the memory
 * any more.
 */
#define TYPE_IVSHMEM_FLAT_RAM "ivshmem-flat-ram"
OBJECT_DECLARE_SIMPLE_TYPE(IvshmemFlatRam, IVSHMEM_FLAT_RAM)

struct IvshmemFlatRam {
    Object parent_obj;

    MemoryRegion mr;
    dev_t dev;
    ino_t ino;
};

void ivshmem_flat_memory_init(IvshmemFlatMemory *m, SysBusDevice *device)
{
    memory_region_init(&m->window, OBJECT(device), "ivshmem-flat-shmem", 0);
    sysbus_init_mmio(device, &m->window);
}

static void replace_ram(IvshmemFlatMemory *m, IvshmemFlatRam *ram)
{
    memory_region_transaction_begin();
    if (m->ram) {
        memory_region_del_subregion(&m->window, &m->ram->mr);
        object_unref(OBJECT(m->ram));
    }
    if (ram) {
        memory_region_set_size(&m->window, m->size);
        memory_region_add_subregion(&m->window, 0, &ram->mr);
    }
    memory_region_transaction_commit();
    m->ram = ram;
}

static bool check_size(IvshmemFlatMemory *m, uint64_t size, Error **errp)
{
    ERRP_GUARD();
    size_t page_size = qemu_real_host_page_size();

    if (size == m->size) {
        return true;
    }
    error_setg(errp, "shmem-size is %" PRIu64 " bytes, "
               "but server's shared memory has %" PRIu64, m->size, size);
    if (size && QEMU_IS_ALIGNED(size, page_size)) {
        error_append_hint(errp, "Use shmem-size=%" PRIu64 ".\n", size);
    } else {
        error_append_hint(errp, "Start the server with a multiple of the "
                          "host's page size, %zu bytes.\n", page_size);
    }
    return false;
}

/* Where space is not reserved and runs out, a guest's store is fatal */
static void check_space(IvshmemFlatMemory *m, int fd, const struct stat *st)
{
    uint64_t reserved = (uint64_t)st->st_blocks * 512;
    uint64_t needed = m->size - MIN(reserved, m->size);
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && fs.f_blocks &&
        (uint64_t)fs.f_bavail * fs.f_bsize < needed) {
        g_autofree char *name =
            qdev_get_human_name(DEVICE(memory_region_owner(&m->window)));

        warn_report("%s: the shared memory needs %" PRIu64 " more bytes, "
                    "but its file system has only %" PRIu64 " left: QEMU will "
                    "die of SIGBUS when the space runs out", name, needed,
                    (uint64_t)fs.f_bavail * fs.f_bsize);
    }
}

bool ivshmem_flat_memory_show(IvshmemFlatMemory *m, const char *name, int fd,
                              Error **errp)
{
    ERRP_GUARD();
    IvshmemFlatRam *ram;
    struct stat st;

    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "cannot examine server's shared memory");
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        error_setg(errp, "server's shared memory is neither a memory object "
                   "nor a file (st_mode 0%o)", st.st_mode);
        return false;
    }
    if (!check_size(m, st.st_size, errp)) {
        return false;
    }
    trace_ivshmem_flat_shmem(name, fd, m->size, st.st_dev, st.st_ino);
    if (m->ram && m->ram->dev == st.st_dev && m->ram->ino == st.st_ino) {
        close(fd);
        return true;
    }

    ram = IVSHMEM_FLAT_RAM(object_new(TYPE_IVSHMEM_FLAT_RAM));
    ram->dev = st.st_dev;
    ram->ino = st.st_ino;
    if (!memory_region_init_ram_from_fd(&ram->mr, OBJECT(ram),
                                        TYPE_IVSHMEM_FLAT_RAM, m->size,
                                        RAM_SHARED, fd, 0, errp)) {
        error_prepend(errp, "cannot map server's shared memory: ");
        object_unref(OBJECT(ram));
        return false;
    }
    /*
     * Truncating the memory of a running VM kills it with SIGBUS.  A memfd may
     * allow sealing against that; other objects cannot be sealed.
     */
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    check_space(m, fd, &st);
    replace_ram(m, ram);
    return true;
}

void ivshmem_flat_memory_hide(IvshmemFlatMemory *m)
{
    replace_ram(m, NULL);
}

static const TypeInfo ivshmem_flat_ram_types[] = {
    {
        .name = TYPE_IVSHMEM_FLAT_RAM,
        .parent = TYPE_OBJECT,
        .instance_size = sizeof(IvshmemFlatRam),
    },
};

DEFINE_TYPES(ivshmem_flat_ram_types)
