/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's ivshmem-doorbell from a program in a Linux guest.  The memory and the
 * registers come through sysfs, the interrupts through VFIO: no kernel module
 * needs to be built.  What the registers do is the same as in ivshmem-flat, so
 * that ivshmem-flat.h does the rest:
 *
 *     struct ivshmem_pci dev;
 *
 *     if (ivshmem_pci_open(&dev, NULL) < 0 ||
 *         ivshmem_pci_enable_interrupts(&dev) < 0) {
 *         fprintf(stderr, "%s\n", dev.error);
 *         exit(1);
 *     }
 *     ivshmem_flat_ring(&dev.shm, peer, 0);
 *     vector = ivshmem_pci_wait(&dev, 1000);
 *
 * Memory and ringing alone need no interrupts, no VFIO and no IOMMU.
 *
 * Needs Linux 4.1 or newer, root, and for interrupts: the module vfio-pci
 * (modprobe vfio-pci) and an IOMMU in the virtual machine.  QEMU's -M virt has
 * one with gic-version=3,iommu=smmuv3.
 *
 * "Spec" below is docs/specs/ivshmem-spec.rst in QEMU's source tree.  All
 * functions but ivshmem_pci_close() return a negative number when they fail,
 * with the reason in dev.error.  Not thread safe.
 */

#ifndef IVSHMEM_PCI_H
#define IVSHMEM_PCI_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ivshmem-flat.h"

#define IVSHMEM_PCI_DEVICES "/sys/bus/pci/devices"

/* One device.  Owned by the caller, who may read what is above "private". */
struct ivshmem_pci {
    struct ivshmem_flat shm; /* for ivshmem_flat_own_id(), _at() and _ring() */
    unsigned vectors;        /* 0 until interrupts are enabled */
    char address[32];        /* on the PCI bus, as in 0000:00:01.0 */
    char error[512];         /* why the last call failed, no newline */

    /* private */
    struct {
        void *start;
        size_t bytes;
    } mapped[2];
    int container, group, device; /* of VFIO; -1 where not open */
    struct pollfd *doorbells;     /* an eventfd for each vector */
};

/* Returns -1 with the reason in dev->error; errno stays as it is. */
__attribute__((format(printf, 2, 3))) static inline int
ivshmem_pci_fail(struct ivshmem_pci *dev, const char *format, ...)
{
    int number = errno;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(dev->error, sizeof(dev->error), format, arguments);
    va_end(arguments);
    errno = number;
    return -1;
}

/* Opens a file of the device's in sysfs.  Returns its fd. */
static inline int ivshmem_pci_open_file(struct ivshmem_pci *dev,
                                        const char *file, int flags)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), IVSHMEM_PCI_DEVICES "/%s/%s", dev->address,
             file);
    fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) {
        return ivshmem_pci_fail(dev, "can't open %s: %s", path,
                                strerror(errno));
    }
    return fd;
}

/* Writes text to a file of sysfs. */
static inline int ivshmem_pci_write_file(struct ivshmem_pci *dev,
                                         const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        ivshmem_pci_fail(dev, "can't write '%s' to %s: %s", text, path,
                         strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    close(fd);
    return 0;
}

/*
 * Puts into name, of PATH_MAX bytes, what a link of the device's in sysfs leads
 * to, without the folders.  name is empty where there is no such link.
 */
static inline void ivshmem_pci_read_link(const struct ivshmem_pci *dev,
                                         const char *link, char *name)
{
    char path[PATH_MAX];
    const char *slash;
    ssize_t length;

    snprintf(path, sizeof(path), IVSHMEM_PCI_DEVICES "/%s/%s", dev->address,
             link);
    length = readlink(path, name, PATH_MAX - 1);
    name[length < 0 ? 0 : length] = '\0';
    slash = strrchr(name, '/');
    if (slash != NULL) {
        memmove(name, slash + 1, strlen(slash));
    }
}

/* Whether the PCI device at an address is an ivshmem: 1af4:1110. */
static inline int ivshmem_pci_is_one(const char *address)
{
    static const char *const files[2] = { "vendor", "device" };
    static const unsigned long ids[2] = { 0x1af4, 0x1110 };

    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX], text[16] = "";
        int fd;
        ssize_t length;

        snprintf(path, sizeof(path), IVSHMEM_PCI_DEVICES "/%s/%s", address,
                 files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return 0;
        }
        length = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (length <= 0 || strtoul(text, NULL, 16) != ids[i]) {
            return 0;
        }
    }
    return 1;
}

/* Puts the address of the device with the lowest one into dev. */
static inline int ivshmem_pci_find(struct ivshmem_pci *dev)
{
    DIR *directory = opendir(IVSHMEM_PCI_DEVICES);
    struct dirent *entry;

    if (directory == NULL) {
        return ivshmem_pci_fail(dev, "can't open " IVSHMEM_PCI_DEVICES ": %s",
                                strerror(errno));
    }
    while ((entry = readdir(directory)) != NULL) {
        if (strlen(entry->d_name) < sizeof(dev->address) &&
            ivshmem_pci_is_one(entry->d_name) &&
            (dev->address[0] == '\0' ||
             strcmp(entry->d_name, dev->address) < 0)) {
            strcpy(dev->address, entry->d_name);
        }
    }
    closedir(directory);
    if (dev->address[0] == '\0') {
        return ivshmem_pci_fail(dev, "this machine has no PCI device 1af4:1110:"
                                " give QEMU -chardev socket,path=SOCKET,id=iv"
                                " -device ivshmem-doorbell,chardev=iv");
    }
    return 0;
}

/*
 * Maps BAR 0, the registers, or BAR 2, the memory (Spec, "PCI device
 * registers").  start and bytes are of the BAR itself, which need not begin
 * with a page.
 */
static inline int ivshmem_pci_map(struct ivshmem_pci *dev, int bar,
                                  uintptr_t *start, size_t *bytes)
{
    char text[2048] = "", file[16];
    const char *line = text;
    unsigned long long first, last;
    size_t lead, length;
    ssize_t got;
    void *map;
    int fd;

    fd = ivshmem_pci_open_file(dev, "resource", O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    got = read(fd, text, sizeof(text) - 1);
    close(fd);
    for (int i = 0; got > 0 && i < bar && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    if (got <= 0 || line == NULL ||
        sscanf(line, "%llx %llx", &first, &last) != 2 || last == 0) {
        return ivshmem_pci_fail(dev, "%s has no BAR %d", dev->address, bar);
    }
    lead = (size_t)(first & ((unsigned long long)sysconf(_SC_PAGESIZE) - 1));
    *bytes = (size_t)(last - first + 1);

    /*
     * The memory's file with _wc makes it Normal memory to an Arm CPU, fit for
     * unaligned and atomic accesses.  What VFIO maps is Device memory.
     */
    snprintf(file, sizeof(file), bar == 0 ? "resource%d" : "resource%d_wc",
             bar);
    fd = ivshmem_pci_open_file(dev, file, O_RDWR | O_SYNC);
    if (fd < 0) {
        return -1;
    }
    length = lead + *bytes;
    map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) {
        return ivshmem_pci_fail(dev, "can't map %s of %s: %s%s", file,
                                dev->address, strerror(errno),
                                errno == EINVAL ? ", as if a driver had it" :
                                errno == EPERM ? ", as if the kernel were"
                                                 " locked down" : "");
    }
    dev->mapped[bar / 2].start = map;
    dev->mapped[bar / 2].bytes = length;
    *start = (uintptr_t)map + lead;
    return 0;
}

/*
 * Sets bits of the device's PCI command register.  fd is its configuration
 * space, which begins at offset.
 */
static inline int ivshmem_pci_command(struct ivshmem_pci *dev, int fd,
                                      off_t offset, unsigned bits)
{
    uint16_t command; /* little-endian, as the CPU must be */

    offset += PCI_COMMAND;
    if (pread(fd, &command, sizeof(command), offset) == sizeof(command)) {
        command = (uint16_t)(command | bits);
        if (pwrite(fd, &command, sizeof(command), offset) == sizeof(command)) {
            return 0;
        }
    }
    return ivshmem_pci_fail(dev, "can't set bits 0x%x in the PCI command "
                            "register of %s: %s", bits, dev->address,
                            strerror(errno));
}

/* Gives back all that was opened and mapped. */
static inline void ivshmem_pci_close(struct ivshmem_pci *dev)
{
    int *fds[3] = { &dev->device, &dev->group, &dev->container };

    for (int i = 0; i < 3; i++) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
            *fds[i] = -1;
        }
    }
    while (dev->vectors > 0) {
        close(dev->doorbells[--dev->vectors].fd);
    }
    free(dev->doorbells);
    dev->doorbells = NULL;
    for (int i = 0; i < 2; i++) {
        if (dev->mapped[i].start != NULL) {
            munmap(dev->mapped[i].start, dev->mapped[i].bytes);
            dev->mapped[i].start = NULL;
        }
    }
}

/*
 * Maps registers and memory.  address is the device's on the PCI bus, as in
 * "0000:00:01.0", or NULL for the first ivshmem there is.  Fills *dev, whatever
 * was in it; ivshmem_pci_close() gives back what it took.  After a failure
 * there is nothing to give back.
 */
static inline int ivshmem_pci_open(struct ivshmem_pci *dev, const char *address)
{
    uintptr_t registers, memory;
    size_t registers_bytes, memory_bytes;
    int config, enabled;

    memset(dev, 0, sizeof(*dev));
    dev->container = dev->group = dev->device = -1;
    if (address == NULL) {
        if (ivshmem_pci_find(dev) < 0) {
            return -1;
        }
    } else if (strlen(address) >= sizeof(dev->address) ||
               !ivshmem_pci_is_one(address)) {
        return ivshmem_pci_fail(dev, "there is no PCI device 1af4:1110 at %s",
                                address);
    } else {
        strcpy(dev->address, address);
    }

    config = ivshmem_pci_open_file(dev, "config", O_RDWR);
    if (config < 0) {
        return -1;
    }
    enabled = ivshmem_pci_command(dev, config, 0, PCI_COMMAND_MEMORY);
    close(config);
    if (enabled < 0 ||
        ivshmem_pci_map(dev, 0, &registers, &registers_bytes) < 0 ||
        ivshmem_pci_map(dev, 2, &memory, &memory_bytes) < 0) {
        ivshmem_pci_close(dev);
        return -1;
    }
    ivshmem_flat_map(&dev->shm, registers, memory, memory_bytes);
    return 0;
}

/* Sees to it that the device's driver is vfio-pci. */
static inline int ivshmem_pci_bind(struct ivshmem_pci *dev)
{
    char driver[PATH_MAX], path[PATH_MAX];

    ivshmem_pci_read_link(dev, "driver", driver);
    if (strcmp(driver, "vfio-pci") == 0) {
        return 0;
    }
    if (driver[0] != '\0') {
        return ivshmem_pci_fail(dev, "%s has the driver %s: let go of it with "
                                "echo %s > /sys/bus/pci/drivers/%s/unbind",
                                dev->address, driver, dev->address, driver);
    }
    snprintf(path, sizeof(path), IVSHMEM_PCI_DEVICES "/%s/driver_override",
             dev->address);
    if (ivshmem_pci_write_file(dev, path, "vfio-pci") < 0 ||
        ivshmem_pci_write_file(dev, "/sys/bus/pci/drivers_probe",
                               dev->address) < 0) {
        return -1;
    }
    ivshmem_pci_read_link(dev, "driver", driver);
    if (strcmp(driver, "vfio-pci") != 0) {
        return ivshmem_pci_fail(dev, "vfio-pci did not take %s: load the "
                                "module with modprobe vfio-pci, and see dmesg",
                                dev->address);
    }
    return 0;
}

/* Opens the device through VFIO: container, group, device. */
static inline int ivshmem_pci_open_vfio(struct ivshmem_pci *dev)
{
    struct vfio_group_status status = { .argsz = sizeof(status) };
    char number[PATH_MAX], path[PATH_MAX + 16];
    int bound = ivshmem_pci_bind(dev);

    /* On some machines the device is in no group until a driver is tried. */
    ivshmem_pci_read_link(dev, "iommu_group", number);
    if (number[0] == '\0') {
        return ivshmem_pci_fail(dev, "%s is behind no IOMMU, which VFIO needs "
                                "for interrupts: give QEMU one, for virt with "
                                "-M virt,gic-version=3,iommu=smmuv3",
                                dev->address);
    }
    if (bound < 0) {
        return -1;
    }
    dev->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
    if (dev->container < 0) {
        return ivshmem_pci_fail(dev, "can't open /dev/vfio/vfio: %s",
                                strerror(errno));
    }
    snprintf(path, sizeof(path), "/dev/vfio/%s", number);
    dev->group = open(path, O_RDWR | O_CLOEXEC);
    if (dev->group < 0) {
        return ivshmem_pci_fail(dev, "can't open %s: %s%s", path,
                                strerror(errno), errno == EBUSY ?
                                ", another program has the device" : "");
    }
    if (ioctl(dev->group, VFIO_GROUP_GET_STATUS, &status) < 0 ||
        !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
        return ivshmem_pci_fail(dev, "IOMMU group %s has devices with other "
                                "drivers than vfio-pci: let go of them, or "
                                "give %s a PCI slot of its own", number,
                                dev->address);
    }
    if (ioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &dev->container) < 0 ||
        ioctl(dev->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
        return ivshmem_pci_fail(dev, "VFIO does not take the IOMMU: %s: load "
                                "the module vfio_iommu_type1; virt needs "
                                "gic-version=3", strerror(errno));
    }
    dev->device = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, dev->address);
    if (dev->device < 0) {
        return ivshmem_pci_fail(dev, "VFIO does not open %s: %s", dev->address,
                                strerror(errno));
    }
    return 0;
}

/* Makes an eventfd for each vector and has VFIO signal it. */
static inline int ivshmem_pci_connect_vectors(struct ivshmem_pci *dev)
{
    struct vfio_irq_info info = { .argsz = sizeof(info),
                                  .index = VFIO_PCI_MSIX_IRQ_INDEX };
    struct vfio_irq_set *set;
    size_t bytes;
    int connected;

    if (ioctl(dev->device, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 ||
        info.count == 0) {
        return ivshmem_pci_fail(dev, "%s has no MSI-X vectors: it must be an "
                                "ivshmem-doorbell, with vectors=1 or more",
                                dev->address);
    }
    bytes = sizeof(*set) + info.count * sizeof(int);
    set = (struct vfio_irq_set *)calloc(1, bytes);
    dev->doorbells = (struct pollfd *)calloc(info.count,
                                             sizeof(*dev->doorbells));
    if (set == NULL || dev->doorbells == NULL) {
        free(set);
        return ivshmem_pci_fail(dev, "no memory for %u vectors", info.count);
    }
    set->argsz = (uint32_t)bytes;
    set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    set->index = VFIO_PCI_MSIX_IRQ_INDEX;
    set->count = info.count;
    while (dev->vectors < info.count) {
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

        if (fd < 0) {
            free(set);
            return ivshmem_pci_fail(dev, "can't make an eventfd for vector %u "
                                    "of %u: %s", dev->vectors, info.count,
                                    strerror(errno));
        }
        memcpy(set->data + dev->vectors * sizeof(fd), &fd, sizeof(fd));
        dev->doorbells[dev->vectors].fd = fd;
        dev->doorbells[dev->vectors++].events = POLLIN;
    }
    connected = ioctl(dev->device, VFIO_DEVICE_SET_IRQS, set);
    free(set);
    if (connected < 0) {
        return ivshmem_pci_fail(dev, "VFIO does not enable %u MSI-X vectors "
                                "of %s: %s", info.count, dev->address,
                                strerror(errno));
    }
    return 0;
}

/*
 * Has doorbells wait for ivshmem_pci_wait(), on every vector of the device.
 * Those that were rung before are lost: tell peers only now that you are there.
 * The device's driver becomes vfio-pci, and stays it.  After a failure the
 * caller closes the device.
 */
static inline int ivshmem_pci_enable_interrupts(struct ivshmem_pci *dev)
{
    struct vfio_region_info config = { .argsz = sizeof(config),
                                       .index = VFIO_PCI_CONFIG_REGION_INDEX };

    if (ivshmem_pci_open_vfio(dev) < 0) {
        return -1;
    }
    if (ioctl(dev->device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0) {
        return ivshmem_pci_fail(dev, "VFIO gives no access to the PCI "
                                "configuration of %s: %s", dev->address,
                                strerror(errno));
    }
    /* An MSI-X interrupt is a write to memory: without bus master, none. */
    if (ivshmem_pci_command(dev, dev->device, (off_t)config.offset,
                            PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER) < 0) {
        return -1;
    }
    return ivshmem_pci_connect_vectors(dev);
}

/*
 * Waits until a doorbell has been rung, timeout milliseconds at most, or
 * without limit where that is -1.  Returns the vector, the lowest if there are
 * several.  errno is ETIMEDOUT if none was rung in time.  As with ivshmem-flat
 * several doorbells may have become one: look at the shared memory.
 */
static inline int ivshmem_pci_wait(struct ivshmem_pci *dev, int timeout)
{
    int ready = poll(dev->doorbells, dev->vectors, timeout);

    for (unsigned vector = 0; ready > 0 && vector < dev->vectors; vector++) {
        uint64_t times;

        if (read(dev->doorbells[vector].fd, &times, sizeof(times)) ==
            sizeof(times)) {
            ivshmem_flat_barrier();
            return (int)vector;
        }
    }
    if (ready >= 0) {
        errno = ETIMEDOUT;
        return ivshmem_pci_fail(dev, "no doorbell within %d ms", timeout);
    }
    return ivshmem_pci_fail(dev, "can't wait for doorbells: %s",
                            strerror(errno));
}

#endif /* IVSHMEM_PCI_H */
