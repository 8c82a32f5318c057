/*
 * Inter-VM shared memory and doorbells for machines without PCI
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * The device's properties and life cycle.  Its parts are in files of their own:
 *
 *  - registers: what a guest reads and writes
 *  - memory: the server's shared memory and the window that shows it
 *  - client: the server protocol
 *  - connection: the client's messages over the chardev
 *  - peers: the peers and the eventfds that ring them
 *  - interrupts: from the device's vectors to its interrupt lines
 *  - eventfd: signalling eventfds that other processes share
 *  - placement: what -device needs and board code does itself
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "exec/replay-core.h"
#include "exec/translation-block.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/misc/ivshmem-flat.h"
#include "hw/misc/ivshmem-flat-client.h"
#include "hw/misc/ivshmem-flat-compat.h"
#include "hw/misc/ivshmem-flat-interrupts.h"
#include "hw/misc/ivshmem-flat-memory.h"
#include "hw/misc/ivshmem-flat-placement.h"
#include "hw/misc/ivshmem-flat-registers.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "migration/vmstate.h"
#include "system/system.h"
#include "system/tcg.h"
#include "trace.h"

#define MAX_WARNINGS 10
#define MAX_WARNINGS_PERIOD_S 10

struct IvshmemFlatState {
    SysBusDevice parent_obj;

    IvshmemFlatRegisters registers;
    IvshmemFlatClient client;
    IvshmemFlatInterrupts interrupts;
    IvshmemFlatMemory memory;
    IvshmemFlatPlacement placement;
    uint32_t vectors;               /* properties, as are the last two */
    IOThread *iothread;

    Notifier machine_done;
    unsigned warnings;              /* since @warnings_since */
    int64_t warnings_since;
};

/*
 * Client callbacks
 */

static IvshmemFlatState *ivshmem_flat_of(IvshmemFlatClient *client)
{
    return container_of(client, IvshmemFlatState, client);
}

static void ivshmem_flat_session_begins(IvshmemFlatClient *client)
{
    IvshmemFlatState *s = ivshmem_flat_of(client);

    ivshmem_flat_interrupts_forget_vectors(&s->interrupts);
    if (client->sessions > 1) {
        g_autofree char *name = qdev_get_human_name(DEVICE(s));

        info_report("%s: server is back, own ID is %u", name, client->id);
    }
}

/* An interrupt tells the guest that the server is back */
static void ivshmem_flat_tell_guest(IvshmemFlatState *s)
{
    if (s->client.sessions > 1) {
        ivshmem_flat_interrupts_raise(&s->interrupts, 0);
    }
}

static bool ivshmem_flat_shared_memory(IvshmemFlatClient *client, int fd,
                                       Error **errp)
{
    IvshmemFlatState *s = ivshmem_flat_of(client);
    const char *name = ivshmem_flat_connection_name(&client->server);

    if (!ivshmem_flat_memory_show(&s->memory, name, fd, errp)) {
        close(fd);
        return false;
    }
    ivshmem_flat_tell_guest(s);
    return true;
}

static void ivshmem_flat_own_vector(IvshmemFlatClient *client, unsigned vector,
                                    int eventfd)
{
    IvshmemFlatState *s = ivshmem_flat_of(client);

    ivshmem_flat_interrupts_add_vector(&s->interrupts, vector, eventfd);
    if (vector == 0) {
        ivshmem_flat_tell_guest(s);
    }
}

static void ivshmem_flat_server_error(IvshmemFlatClient *client, Error *err)
{
    IvshmemFlatState *s = ivshmem_flat_of(client);
    g_autofree char *name = qdev_get_human_name(DEVICE(s));
    const char *chardev = ivshmem_flat_connection_name(&client->server);
    int64_t now = g_get_monotonic_time();

    trace_ivshmem_flat_server_error(chardev, error_get_pretty(err));
    if (now - s->warnings_since >= MAX_WARNINGS_PERIOD_S * G_USEC_PER_SEC) {
        s->warnings_since = now;
        s->warnings = 0;
    }
    if (++s->warnings > MAX_WARNINGS) {
        error_free(err);
        return;
    }
    error_prepend(&err, "%s: chardev '%s': ", name, chardev);
    if (s->warnings == MAX_WARNINGS) {
        error_append_hint(&err, "No more warnings for up to %d s.\n",
                          MAX_WARNINGS_PERIOD_S);
    }
    warn_report_err(err);
}

static const IvshmemFlatClientOps ivshmem_flat_client_ops = {
    .session_begins = ivshmem_flat_session_begins,
    .shared_memory = ivshmem_flat_shared_memory,
    .own_vector = ivshmem_flat_own_vector,
    .error = ivshmem_flat_server_error,
};

/*
 * Life cycle
 */

/*
 * With a single vCPU, TCG does not make the guest's atomic accesses atomic for
 * other processes.  Peers are such processes: tell TCG that this CPU is not
 * alone.
 */
static void ivshmem_flat_machine_done(Notifier *notifier, void *data)
{
    CPUState *cpu;

    if (tcg_enabled()) {
        CPU_FOREACH(cpu) {
            tcg_cflags_set(cpu, CF_PARALLEL);
        }
    }
}

static bool ivshmem_flat_check_properties(IvshmemFlatState *s, Error **errp)
{
    uint64_t page_size = qemu_real_host_page_size();

    if (replay_mode != REPLAY_MODE_NONE) {
        error_setg(errp, "record and replay (-icount rr=) is not supported: "
                   "what peers do is not recorded");
        return false;
    }
    if (s->memory.size == 0 || !QEMU_IS_ALIGNED(s->memory.size, page_size)) {
        error_setg(errp, "shmem-size %" PRIu64 " is not a multiple of the "
                   "host's page size, %" PRIu64, s->memory.size, page_size);
        return false;
    }
    if (s->vectors > IVSHMEM_FLAT_MAX_LINES) {
        error_setg(errp, "vectors is %" PRIu32 ", must be 0 to %d",
                   s->vectors, IVSHMEM_FLAT_MAX_LINES);
        return false;
    }
    if (s->vectors && s->placement.bus_qompath) {
        error_setg(errp, "vectors=%" PRIu32 " is for board code: "
                   "x-irq-qompath=A;B;C connects vectors 0, 1 and 2",
                   s->vectors);
        return false;
    }
    return ivshmem_flat_placement_check(&s->placement, DEVICE(s),
                                        IVSHMEM_FLAT_MMR_SIZE, s->memory.size,
                                        errp);
}

/* A user who names a line wants interrupts; board code may leave them out */
static bool ivshmem_flat_check_vectors(IvshmemFlatState *s, Error **errp)
{
    ERRP_GUARD();
    unsigned lines = s->interrupts.line_count;
    unsigned vectors = s->client.own_vectors;
    g_autofree char *name = qdev_get_human_name(DEVICE(s));

    if (vectors == 0 && s->placement.irq_count) {
        error_setg(errp, "chardev '%s': server sent no interrupt vector within "
                   "5 s, but %" PRIu64 " other messages",
                   ivshmem_flat_connection_name(&s->client.server),
                   s->client.messages);
        error_append_hint(errp, "Start the server with '-n 1' or more, or "
                          "leave x-irq-qompath out. With many peers or "
                          "vectors, QEMU's ivshmem-server drops messages: use "
                          "ivshmemd.\n");
        return false;
    }
    if (lines == 0) {
        warn_report("%s: x-irq-qompath is not set: interrupts are off, "
                    "only the shared memory works", name);
    } else if (vectors == 0) {
        warn_report("%s: server sent no interrupt vector within 5 s: "
                    "interrupts are off", name);
    } else if (vectors < lines) {
        warn_report("%s: server sent only %u of %u interrupt vectors within "
                    "5 s: the other lines are not used", name, vectors, lines);
    }
    return true;
}

/* Also cleans up after a realize that failed at any point */
static void ivshmem_flat_unrealize(DeviceState *dev)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(dev);

    if (s->machine_done.notify) {
        qemu_remove_machine_init_done_notifier(&s->machine_done);
        s->machine_done.notify = NULL;
    }
    ivshmem_flat_placement_undo(&s->placement, SYS_BUS_DEVICE(dev));
    ivshmem_flat_interrupts_stop(&s->interrupts);
    ivshmem_flat_client_stop(&s->client);
    ivshmem_flat_memory_hide(&s->memory);
}

static void ivshmem_flat_realize(DeviceState *dev, Error **errp)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(dev);
    SysBusDevice *sbd = SYS_BUS_DEVICE(dev);
    const char *name = ivshmem_flat_connection_name(&s->client.server);
    unsigned lines;

    if (!ivshmem_flat_check_properties(s, errp)) {
        return;
    }
    lines = s->placement.bus_qompath ? s->placement.irq_count : s->vectors ?: 1;
    if (!ivshmem_flat_interrupts_start(&s->interrupts, sbd, name, lines,
                                       s->iothread, errp)) {
        return;
    }
    if (!ivshmem_flat_client_start(&s->client, &ivshmem_flat_client_ops, lines,
                                   errp) ||
        !ivshmem_flat_check_vectors(s, errp)) {
        ivshmem_flat_unrealize(dev);
        return;
    }
    ivshmem_flat_placement_apply(&s->placement, sbd);
    s->machine_done.notify = ivshmem_flat_machine_done;
    qemu_add_machine_init_done_notifier(&s->machine_done);
}

static void ivshmem_flat_reset_hold(Object *obj, ResetType type)
{
    ivshmem_flat_registers_reset(&IVSHMEM_FLAT(obj)->registers);
}

static void ivshmem_flat_init(Object *obj)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(obj);
    SysBusDevice *sbd = SYS_BUS_DEVICE(obj);

    ivshmem_flat_registers_init(&s->registers, sbd, &s->client,
                                &s->interrupts);
    ivshmem_flat_memory_init(&s->memory, sbd);
}

/*
 * Properties
 */

static void ivshmem_flat_get_own_id(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    visit_type_uint16(v, name, &IVSHMEM_FLAT(obj)->client.id, errp);
}

static bool ivshmem_flat_get_connected(Object *obj, Error **errp)
{
    return ivshmem_flat_client_is_connected(&IVSHMEM_FLAT(obj)->client);
}

static void ivshmem_flat_get_peers(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    IvshmemFlatState *s = IVSHMEM_FLAT(obj);
    uint32_t count = ivshmem_flat_peers_count(&s->client.peers);

    visit_type_uint32(v, name, &count, errp);
}

static void ivshmem_flat_get_sessions(Object *obj, Visitor *v, const char *name,
                                      void *opaque, Error **errp)
{
    visit_type_uint64(v, name, &IVSHMEM_FLAT(obj)->client.sessions, errp);
}

static void ivshmem_flat_get_doorbells(Object *obj, Visitor *v,
                                       const char *name, void *opaque,
                                       Error **errp)
{
    visit_type_uint64(v, name, &IVSHMEM_FLAT(obj)->registers.doorbells, errp);
}

static void ivshmem_flat_get_interrupts(Object *obj, Visitor *v,
                                        const char *name, void *opaque,
                                        Error **errp)
{
    visit_type_uint64(v, name, &IVSHMEM_FLAT(obj)->interrupts.pulses, errp);
}

static char *ivshmem_flat_get_version(Object *obj, Error **errp)
{
    return g_strdup(IVSHMEM_FLAT_VERSION);
}

static const Property ivshmem_flat_properties[] = {
    DEFINE_PROP_CHR("chardev", IvshmemFlatState, client.server.chardev),
    DEFINE_PROP_SIZE("shmem-size", IvshmemFlatState, memory.size, 4 * MiB),
    DEFINE_PROP_STRING("x-bus-qompath", IvshmemFlatState,
                       placement.bus_qompath),
    DEFINE_PROP_STRING("x-irq-qompath", IvshmemFlatState,
                       placement.irq_qompath),
    DEFINE_PROP_UINT64("x-bus-address-mmr", IvshmemFlatState,
                       placement.mmr_addr, 0x400ff000),
    DEFINE_PROP_UINT64("x-bus-address-shmem", IvshmemFlatState,
                       placement.shmem_addr, 0x40100000),
    DEFINE_PROP_UINT32("vectors", IvshmemFlatState, vectors, 0),
    DEFINE_PROP_LINK("iothread", IvshmemFlatState, iothread, TYPE_IOTHREAD,
                     IOThread *),
};

static void ivshmem_flat_describe_properties(ObjectClass *oc)
{
    static const struct {
        const char *name;
        const char *description;
    } descriptions[] = {
        { "chardev", "UNIX socket of the ivshmem server" },
        { "shmem-size", "Size of the server's shared memory" },
        { "x-bus-qompath", "Bus of the device: must be /sysbus" },
        { "x-irq-qompath", "Interrupt lines of vectors 0, 1, 2, as A;B;C: each "
          "a QOM path or the end of one (default: no interrupts)" },
        { "x-bus-address-mmr", "Address of the registers" },
        { "x-bus-address-shmem", "Address of the shared memory" },
        { "vectors", "Number of interrupt lines, for board code; 0 means 1" },
        { "iothread", "Thread that waits for interrupts (default: the device "
          "creates one)" },
        { "own-id", "The device's own ID (read-only)" },
        { "connected", "Whether the server is connected (read-only)" },
        { "peers", "Number of connected peers (read-only)" },
        { "sessions", "Number of sessions with the server so far (read-only)" },
        { "doorbells", "Number of doorbells that the guest rang (read-only)" },
        { "interrupts", "Number of interrupts that the guest received "
          "(read-only)" },
        { "version", "Version of the device: " IVSHMEM_FLAT_VERSION
          " (read-only)" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(descriptions); i++) {
        object_class_property_set_description(oc, descriptions[i].name,
                                              descriptions[i].description);
    }
}

/* Peers and their eventfds cannot move to another host */
static const VMStateDescription ivshmem_flat_vmstate = {
    .name = TYPE_IVSHMEM_FLAT,
    .unmigratable = 1,
};

static void ivshmem_flat_allow_on_machine(ObjectClass *oc, void *opaque)
{
    MachineClass *mc = MACHINE_CLASS(oc);

    if (!device_type_is_dynamic_sysbus(mc, TYPE_IVSHMEM_FLAT)) {
        machine_class_allow_dynamic_sysbus_dev(mc, TYPE_IVSHMEM_FLAT);
    }
}

static void ivshmem_flat_class_init(ObjectClass *oc, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    ResettableClass *rc = RESETTABLE_CLASS(oc);

    dc->desc = "Inter-VM shared memory and doorbells without PCI";
    dc->realize = ivshmem_flat_realize;
    dc->unrealize = ivshmem_flat_unrealize;
    dc->vmsd = &ivshmem_flat_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    rc->phases.hold = ivshmem_flat_reset_hold;
    device_class_set_props(dc, ivshmem_flat_properties);
    object_class_property_add(oc, "own-id", "uint16", ivshmem_flat_get_own_id,
                              NULL, NULL, NULL);
    object_class_property_add_bool(oc, "connected", ivshmem_flat_get_connected,
                                   NULL);
    object_class_property_add(oc, "peers", "uint32", ivshmem_flat_get_peers,
                              NULL, NULL, NULL);
    object_class_property_add(oc, "sessions", "uint64",
                              ivshmem_flat_get_sessions, NULL, NULL, NULL);
    object_class_property_add(oc, "doorbells", "uint64",
                              ivshmem_flat_get_doorbells, NULL, NULL, NULL);
    object_class_property_add(oc, "interrupts", "uint64",
                              ivshmem_flat_get_interrupts, NULL, NULL, NULL);
    object_class_property_add_str(oc, "version", ivshmem_flat_get_version,
                                  NULL);
    ivshmem_flat_describe_properties(oc);

    /* The device places and wires itself: machines need not know about it */
    object_class_foreach(ivshmem_flat_allow_on_machine, TYPE_MACHINE, false,
                         NULL);
}

static const TypeInfo ivshmem_flat_types[] = {
    {
        .name = TYPE_IVSHMEM_FLAT,
        .parent = TYPE_DYNAMIC_SYS_BUS_DEVICE,
        .instance_size = sizeof(IvshmemFlatState),
        .instance_init = ivshmem_flat_init,
        .class_init = ivshmem_flat_class_init,
    },
};

DEFINE_TYPES(ivshmem_flat_types)
