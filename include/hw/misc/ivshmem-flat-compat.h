/*
 * ivshmem-flat in older versions of QEMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The device, its test board and its tests are written for QEMU 10.2.  This
 * header lets them compile and work in 10.1, 10.0 and 7.2; scripts/overlay-qemu
 * finds the headers that have moved.  Without this file and the lines that
 * include it, the rest is what 10.2 needs.
 *
 * In the development of 11 (10.2.50) only headers have moved.
 */

#ifndef HW_MISC_IVSHMEM_FLAT_COMPAT_H
#define HW_MISC_IVSHMEM_FLAT_COMPAT_H

#define QEMU_OLDER_THAN(major, minor) \
    (QEMU_VERSION_MAJOR < (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR < (minor)))

#ifndef TESTS_QTEST_IVSHMEM_FLAT_VM_H

#if QEMU_OLDER_THAN(10, 2)

#include "chardev/char-fe.h"

typedef CharBackend CharFrontend;

#endif

#if QEMU_OLDER_THAN(10, 1)

/* Class data was not const */
#define ivshmem_flat_class_init(oc, data) \
    ivshmem_flat_class_init(oc, void *unused)
#define ivshmem_flat_testboard_class_init(oc, data) \
    ivshmem_flat_testboard_class_init(oc, void *unused)

#endif

#if QEMU_OLDER_THAN(10, 0)

#include "block/aio.h"
#include "exec/memory.h"
#include "hw/core/cpu.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/sysbus.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"

/* The big lock had another name */

#define bql_lock()      qemu_mutex_lock_iothread()
#define bql_unlock()    qemu_mutex_unlock_iothread()
#define BQL_LOCK_GUARD() \
    __attribute__((cleanup(ivshmem_flat_bql_release), unused)) \
    bool ivshmem_flat_bql_taken = ivshmem_flat_bql_take()

static inline bool ivshmem_flat_bql_take(void)
{
    if (qemu_mutex_iothread_locked()) {
        return false;
    }
    qemu_mutex_lock_iothread();
    return true;
}

static inline void ivshmem_flat_bql_release(bool *taken)
{
    if (*taken) {
        qemu_mutex_unlock_iothread();
    }
}

/* Returned nothing: only the error indicated a failure */

static inline bool ivshmem_flat_init_ram(MemoryRegion *mr, Object *owner,
                                         const char *name, uint64_t size,
                                         uint32_t ram_flags, int fd,
                                         ram_addr_t offset, Error **errp)
{
    ERRP_GUARD();

    memory_region_init_ram_from_fd(mr, owner, name, size, ram_flags, fd,
                                   offset, errp);
    return !*errp;
}

#define memory_region_init_ram_from_fd(mr, owner, name, size, flags, fd, \
                                       offset, errp) \
    ivshmem_flat_init_ram(mr, owner, name, size, flags, fd, offset, errp)

/* Handlers could be marked as external */

#define aio_set_fd_handler(ctx, fd, read, write, poll, poll_ready, opaque) \
    aio_set_fd_handler(ctx, fd, false, read, write, poll, poll_ready, opaque)

static inline char *qdev_get_human_name(DeviceState *dev)
{
    return dev->id ? g_strdup(dev->id) : object_get_canonical_path(OBJECT(dev));
}

/*
 * Property arrays were not const and had a terminator.  Sysbus devices that
 * users can create had no type of their own.
 */

#define TYPE_DYNAMIC_SYS_BUS_DEVICE TYPE_SYS_BUS_DEVICE

static inline void ivshmem_flat_set_props(DeviceClass *dc,
                                          const Property *props, size_t n)
{
    Property *terminated = g_new0(Property, n + 1);

    memcpy(terminated, props, n * sizeof(*props));
    device_class_set_props(dc, terminated);
    dc->user_creatable = true;
}

#define device_class_set_props(dc, props) \
    ivshmem_flat_set_props(dc, props, ARRAY_SIZE(props))

/* Resets had no type */
#define ivshmem_flat_reset_hold(obj, type) ivshmem_flat_reset_hold(obj)

/* These were private, or in headers that only target code can include */

#define IRQ(obj) OBJECT_CHECK(struct IRQState, obj, TYPE_IRQ)
#define CF_PARALLEL 0x00080000
#define tcg_cflags_set(cpu, flags) ((cpu)->tcg_cflags |= (flags))

#endif

#else /* TESTS_QTEST_IVSHMEM_FLAT_VM_H */

#if QEMU_OLDER_THAN(10, 0)

#include "qapi/qmp/qdict.h"

/* The old option counts seconds */
#undef RECONNECT
#define RECONNECT "reconnect=1"

/* Needs a test with one running VM and no other child process */
static inline pid_t qtest_pid(QTestState *s)
{
    g_autofree char *children = NULL;
    bool read = g_file_get_contents("/proc/thread-self/children", &children,
                                    NULL, NULL);
    pid_t pid, another;

    g_assert(read && sscanf(children, "%d %d", &pid, &another) == 1);
    return pid;
}

static inline void qtest_system_reset(QTestState *s)
{
    qtest_qmp_assert_success(s, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(s, "RESET");
}

static inline QDict *qtest_qmp_assert_failure_ref(QTestState *s,
                                                  const char *fmt, ...)
{
    QDict *response, *error;
    va_list ap;

    va_start(ap, fmt);
    response = qtest_vqmp(s, fmt, ap);
    va_end(ap);
    error = qdict_get_qdict(response, "error");
    g_assert(error);
    qobject_ref(error);
    qobject_unref(response);
    return error;
}

#endif

#endif /* TESTS_QTEST_IVSHMEM_FLAT_VM_H */

#endif /* HW_MISC_IVSHMEM_FLAT_COMPAT_H */
