/*
 * Placing and wiring an ivshmem-flat added with -device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/range.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "hw/irq.h"
#include "hw/misc/ivshmem-flat-compat.h"
#include "hw/misc/ivshmem-flat-placement.h"
#include "hw/platform-bus.h"
#include "system/address-spaces.h"

/* The user chose the addresses: the windows win over other devices */
#define WINDOW_PRIORITY 1000

/* A device with fewer input lines is not an interrupt controller */
#define MIN_CONTROLLER_LINES 16

/*
 * Interrupt lines
 */

typedef struct LineSearch {
    const char *suffix;
    GPtrArray *paths;
} LineSearch;

static int match_line(Object *obj, void *opaque)
{
    LineSearch *search = opaque;
    g_autofree char *path = NULL;

    if (object_dynamic_cast(obj, TYPE_IRQ)) {
        path = object_get_canonical_path(obj);
        if (g_str_has_suffix(path, search->suffix)) {
            g_ptr_array_add(search->paths, g_steal_pointer(&path));
        }
    }
    return 0;
}

/* The paths of all input lines that end in @suffix */
static GPtrArray *match_lines(const char *suffix)
{
    LineSearch search = {
        .suffix = suffix,
        .paths = g_ptr_array_new_with_free_func(g_free),
    };

    object_child_foreach_recursive(object_get_root(), match_line, &search);
    return search.paths;
}

static int compare_paths(const void *a, const void *b, void *opaque)
{
    return strcmp(a, b);
}

static void append_controllers(Error **errp)
{
    g_autoptr(GPtrArray) lines = match_lines("]");
    g_autoptr(GHashTable) counts = g_hash_table_new_full(g_str_hash,
                                                         g_str_equal, g_free,
                                                         NULL);
    g_autoptr(GList) controllers = NULL;

    for (unsigned i = 0; i < lines->len; i++) {
        char *line = g_ptr_array_index(lines, i);
        char *controller = g_strndup(line, strrchr(line, '[') - line);
        unsigned count = GPOINTER_TO_UINT(g_hash_table_lookup(counts,
                                                              controller));

        g_hash_table_replace(counts, controller, GUINT_TO_POINTER(count + 1));
    }
    controllers = g_list_sort_with_data(g_hash_table_get_keys(counts),
                                        compare_paths, NULL);
    error_append_hint(errp, "The interrupt controllers of this machine have "
                      "these input lines:\n");
    for (GList *each = controllers; each; each = each->next) {
        unsigned count = GPOINTER_TO_UINT(g_hash_table_lookup(counts,
                                                              each->data));

        if (count >= MIN_CONTROLLER_LINES) {
            error_append_hint(errp, "  %s[0] to [%u]\n", (char *)each->data,
                              count - 1);
        }
    }
}

/* The last two components: QEMU keeps these when it moves a controller */
static char *find_suffix(const char *path)
{
    const char *last = strrchr(path, '/');
    const char *slash = last ? g_strrstr_len(path, last - path, "/") : NULL;

    if (*path != '/') {
        return g_strconcat("/", path, NULL);
    }
    return g_strdup(slash ?: path);
}

static qemu_irq find_line(DeviceState *dev, const char *path, Error **errp)
{
    ERRP_GUARD();
    bool absolute = *path == '/';
    Object *obj = absolute ? object_resolve_path(path, NULL) : NULL;
    g_autofree char *suffix = find_suffix(path);
    g_autoptr(GPtrArray) lines = NULL;
    const char *line;

    if (obj) {
        if (!object_dynamic_cast(obj, TYPE_IRQ)) {
            error_setg(errp, "x-irq-qompath '%s' is a '%s', "
                       "not an interrupt input line",
                       path, object_get_typename(obj));
            append_controllers(errp);
            return NULL;
        }
        return IRQ(obj);
    }

    lines = match_lines(suffix);
    if (lines->len == 1) {
        line = g_ptr_array_index(lines, 0);
        if (absolute) {
            g_autofree char *name = qdev_get_human_name(dev);

            warn_report("%s: x-irq-qompath '%s' does not exist "
                        "on this machine: using '%s'", name, path, line);
        }
        return IRQ(object_resolve_path(line, NULL));
    }

    if (lines->len == 0) {
        error_setg(errp, "x-irq-qompath '%s' matches no interrupt input line",
                   path);
        append_controllers(errp);
        return NULL;
    }
    error_setg(errp, "x-irq-qompath '%s' matches %u interrupt "
               "input lines", path, lines->len);
    error_append_hint(errp, "Use the full path of one:\n");
    for (unsigned i = 0; i < lines->len; i++) {
        error_append_hint(errp, "  %s\n",
                          (char *)g_ptr_array_index(lines, i));
    }
    return NULL;
}

static bool find_lines(IvshmemFlatPlacement *p, DeviceState *dev, Error **errp)
{
    g_auto(GStrv) paths = g_strsplit(p->irq_qompath, ";", -1);
    unsigned count = g_strv_length(paths);

    p->irq_count = 0;
    if (count > IVSHMEM_FLAT_MAX_LINES) {
        error_setg(errp, "x-irq-qompath names %u lines, must be %d at most",
                   count, IVSHMEM_FLAT_MAX_LINES);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        p->irqs[i] = find_line(dev, paths[i], errp);
        if (!p->irqs[i]) {
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            if (p->irqs[j] == p->irqs[i]) {
                error_setg(errp, "x-irq-qompath gives vectors %u and %u the "
                           "same line, '%s'", j, i, paths[i]);
                return false;
            }
        }
    }
    p->irq_count = count;
    return true;
}

/*
 * Windows
 */

/* True for system memory, and for an SoC's or a CPU's container of it */
static bool holds_system_memory(MemoryRegion *mr)
{
    MemoryRegion *holder = get_system_memory();

    while (holder && holder != mr) {
        holder = holder->container;
    }
    return holder;
}

/* Stand-ins for unimplemented devices have negative priorities */
static bool is_stand_in(MemoryRegion *mr)
{
    for (; mr && !holds_system_memory(mr); mr = mr->container) {
        if (mr->priority < 0) {
            return true;
        }
    }
    return false;
}

typedef struct Overlap {
    MemoryRegion *mr;
    hwaddr addr;
} Overlap;

static gboolean same_region(const void *a, const void *b)
{
    return ((const Overlap *)a)->mr == ((const Overlap *)b)->mr;
}

/* The regions that are visible in a range, each with its first address */
static GPtrArray *find_overlaps(MemoryRegion *root, hwaddr addr, uint64_t size)
{
    GPtrArray *overlaps = g_ptr_array_new_with_free_func(g_free);
    hwaddr last = addr + size - 1;

    if (QTAILQ_EMPTY(&root->subregions)) {
        return overlaps; /* memory_region_find() would search a null array */
    }
    do {
        MemoryRegionSection section =
            memory_region_find(root, addr, last - addr + 1);
        Overlap *overlap;

        if (!section.mr) {
            break;
        }
        overlap = g_new0(Overlap, 1);
        overlap->mr = section.mr;
        overlap->addr = section.offset_within_address_space;
        if (g_ptr_array_find_with_equal_func(overlaps, overlap, same_region,
                                             NULL)) {
            g_free(overlap);
        } else {
            g_ptr_array_add(overlaps, overlap);
        }
        addr = section.offset_within_address_space +
               int128_get64(section.size);
        memory_region_unref(section.mr);
    } while (addr != 0 && addr <= last);
    return overlaps;
}

static void place_window(SysBusDevice *dev, int n, hwaddr addr,
                         const char *property)
{
    MemoryRegion *window = sysbus_mmio_get_region(dev, n);
    g_autofree char *name = qdev_get_human_name(DEVICE(dev));
    g_autoptr(GPtrArray) overlaps =
        find_overlaps(get_system_memory(), addr, memory_region_size(window));

    sysbus_mmio_map_overlap(dev, n, addr, WINDOW_PRIORITY);

    for (unsigned i = 0; i < overlaps->len; i++) {
        Overlap *overlap = g_ptr_array_index(overlaps, i);
        MemoryRegionSection now =
            memory_region_find(get_system_memory(), overlap->addr, 1);
        bool covered = now.mr != overlap->mr;

        if (!covered || !is_stand_in(overlap->mr)) {
            warn_report("%s: the window at %s %s '%s' at 0x%" HWADDR_PRIx,
                        name, property, covered ? "covers" : "is hidden behind",
                        memory_region_name(overlap->mr), overlap->addr);
        }
        memory_region_unref(now.mr);
    }
}

/* On some machines, such as fby35, CPUs do not use system memory */
static bool cpu_sees_window(SysBusDevice *dev, int n)
{
    Overlap window = { sysbus_mmio_get_region(dev, n) };
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        g_autoptr(GPtrArray) overlaps =
            find_overlaps(cpu->as->root, dev->mmio[n].addr,
                          memory_region_size(window.mr));

        if (g_ptr_array_find_with_equal_func(overlaps, &window, same_region,
                                             NULL)) {
            return true;
        }
    }
    return false;
}

static void remove_window(SysBusDevice *dev, int n)
{
    memory_region_del_subregion(get_system_memory(),
                                sysbus_mmio_get_region(dev, n));
    dev->mmio[n].addr = (hwaddr)-1;
}

static bool check_window(const char *property, hwaddr addr, uint64_t size,
                         uint64_t alignment, Error **errp)
{
    if (!QEMU_IS_ALIGNED(addr, alignment)) {
        error_setg(errp, "%s 0x%" HWADDR_PRIx " is not a multiple of %" PRIu64,
                   property, addr, alignment);
        return false;
    }
    if (addr + size - 1 < addr) {
        error_setg(errp, "%s 0x%" HWADDR_PRIx " is too high for a window "
                   "of %" PRIu64 " bytes", property, addr, size);
        return false;
    }
    return true;
}

/*
 * Check, apply and undo
 */

static bool is_from_command_line(DeviceState *dev)
{
    Object *parent = OBJECT(dev)->parent;

    return parent && (parent == object_resolve_path("/machine/peripheral",
                                                    NULL) ||
                      parent == object_resolve_path("/machine/peripheral-anon",
                                                    NULL));
}

/* A platform bus places devices itself; QEMU exits if it does not know one */
static bool check_platform_bus(Error **errp)
{
    ERRP_GUARD();

    if (!object_resolve_path_type("", TYPE_PLATFORM_BUS_DEVICE, NULL)) {
        return true;
    }
    error_setg(errp, "this machine has a platform bus, which does not support "
               "ivshmem-flat");
    error_append_hint(errp, "It also has a PCI bus: use -device "
                      "ivshmem-doorbell, which joins the same server.\n");
    return false;
}

bool ivshmem_flat_placement_check(IvshmemFlatPlacement *p, DeviceState *dev,
                                  uint64_t mmr_size, uint64_t shmem_size,
                                  Error **errp)
{
    if (!p->bus_qompath && is_from_command_line(dev)) {
        if (check_platform_bus(errp)) {
            error_setg(errp,
                       "x-bus-qompath is missing: add x-bus-qompath=/sysbus");
        }
        return false;
    }
    if (!p->bus_qompath && p->irq_qompath) {
        error_setg(errp, "x-irq-qompath needs x-bus-qompath=/sysbus");
        return false;
    }
    if (!p->bus_qompath) {
        return true;
    }
    if (strcmp(p->bus_qompath, "/sysbus")) {
        error_setg(errp, "x-bus-qompath is '%s', must be '/sysbus'",
                   p->bus_qompath);
        return false;
    }
    if (!check_platform_bus(errp) ||
        !check_window("x-bus-address-mmr", p->mmr_addr, mmr_size, mmr_size,
                      errp) ||
        !check_window("x-bus-address-shmem", p->shmem_addr, shmem_size,
                      qemu_real_host_page_size(), errp)) {
        return false;
    }
    if (ranges_overlap(p->mmr_addr, mmr_size, p->shmem_addr, shmem_size)) {
        error_setg(errp, "x-bus-address-mmr 0x%" PRIx64 " lies within the "
                   "shared memory, %" PRIu64 " bytes from 0x%" PRIx64,
                   p->mmr_addr, shmem_size, p->shmem_addr);
        return false;
    }
    return !p->irq_qompath || find_lines(p, dev, errp);
}

void ivshmem_flat_placement_apply(IvshmemFlatPlacement *p, SysBusDevice *dev)
{
    if (!p->bus_qompath) {
        return;
    }
    place_window(dev, 0, p->mmr_addr, "x-bus-address-mmr");
    place_window(dev, 1, p->shmem_addr, "x-bus-address-shmem");
    if (!cpu_sees_window(dev, 0) && !cpu_sees_window(dev, 1)) {
        g_autofree char *name = qdev_get_human_name(DEVICE(dev));

        warn_report("%s: no CPU of this machine sees the registers or the "
                    "shared memory", name);
    }
    for (unsigned i = 0; i < p->irq_count; i++) {
        sysbus_connect_irq(dev, i, p->irqs[i]);
    }
    p->applied = true;
}

void ivshmem_flat_placement_undo(IvshmemFlatPlacement *p, SysBusDevice *dev)
{
    if (!p->applied) {
        return;
    }
    p->applied = false;
    remove_window(dev, 0);
    remove_window(dev, 1);
    for (unsigned i = 0; i < p->irq_count; i++) {
        sysbus_connect_irq(dev, i, NULL);
    }
}
