/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's interrupts through VFIO: group, device, and one eventfd per
 * vector.
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "ivshmem-pci-private.h"

#define DRIVER "vfio-pci"
#define VFIO IVSHMEM_PCI_ROOT "/dev/vfio"

/*
 * Stores in name, of PATH_MAX bytes, the last component of the target of one of
 * the device's links. name is empty if there is no such link.
 */
static void read_link(const struct ivshmem_pci *dev, const char *link,
                      char *name)
{
    char path[PATH_MAX];
    const char *slash;
    ssize_t length;

    snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", dev->address, link);
    length = readlink(path, name, PATH_MAX - 1);
    name[length < 0 ? 0 : length] = '\0';
    slash = strrchr(name, '/');
    if (slash != NULL) {
        memmove(name, slash + 1, strlen(slash));
    }
}

static int write_file(struct ivshmem_pci *dev, const char *path,
                      const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) >= 0;

    if (!written) {
        ivshmem_pci_fail(dev, "cannot write '%s' to %s: %s", text, path,
                         strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return written ? 0 : -1;
}

static bool has_driver(const struct ivshmem_pci *dev)
{
    char driver[PATH_MAX];

    read_link(dev, "driver", driver);
    return strcmp(driver, DRIVER) == 0;
}

/* Makes vfio-pci the device's driver. */
static int bind_driver(struct ivshmem_pci *dev)
{
    char driver[PATH_MAX], override[PATH_MAX];

    if (has_driver(dev)) {
        return 0;
    }
    read_link(dev, "driver", driver);
    if (driver[0] != '\0') {
        errno = EBUSY;
        return ivshmem_pci_fail(dev, "%s has the driver %s: unbind it with "
                                "echo %s > /sys/bus/pci/drivers/%s/unbind",
                                dev->address, driver, dev->address, driver);
    }
    snprintf(override, sizeof(override), PCI_DEVICES "/%s/driver_override",
             dev->address);
    if (write_file(dev, override, DRIVER) < 0) {
        return -1;
    }
    if (write_file(dev, IVSHMEM_PCI_ROOT "/sys/bus/pci/drivers_probe",
                   dev->address) == 0) {
        if (has_driver(dev)) {
            return 0;
        }
        errno = ENODEV;
        ivshmem_pci_fail(dev, "vfio-pci did not bind to %s: load the module with "
                         "modprobe vfio-pci, and see dmesg", dev->address);
    }
    /* Let other drivers bind to the device again. */
    write_file(&(struct ivshmem_pci){ 0 }, override, "\n");
    return -1;
}

static int open_container(struct ivshmem_pci *dev)
{
    dev->container = open(VFIO "/vfio", O_RDWR | O_CLOEXEC);
    if (dev->container < 0) {
        return ivshmem_pci_fail(dev, "cannot open " VFIO "/vfio: %s",
                                strerror(errno));
    }
    return 0;
}

static int open_group(struct ivshmem_pci *dev, const char *number)
{
    struct vfio_group_status status = { .argsz = sizeof(status) };
    char path[PATH_MAX + sizeof(VFIO)];

    snprintf(path, sizeof(path), VFIO "/%s", number);
    dev->group = open(path, O_RDWR | O_CLOEXEC);
    if (dev->group < 0) {
        return ivshmem_pci_fail(dev, "cannot open %s: %s%s", path,
                                strerror(errno), errno == EBUSY ?
                                ": another program uses the device" : "");
    }
    if (ioctl(dev->group, VFIO_GROUP_GET_STATUS, &status) < 0 ||
        !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
        errno = EPERM;
        return ivshmem_pci_fail(dev, "IOMMU group %s has devices with drivers "
                                "other than vfio-pci: unbind them, or give "
                                "%s a PCI slot of its own", number,
                                dev->address);
    }
    return 0;
}

static int open_device(struct ivshmem_pci *dev)
{
    if (ioctl(dev->group, VFIO_GROUP_SET_CONTAINER, &dev->container) < 0 ||
        ioctl(dev->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
        return ivshmem_pci_fail(dev, "VFIO cannot use the IOMMU: %s: load the "
                                "module vfio_iommu_type1; virt needs "
                                "gic-version=3", strerror(errno));
    }
    dev->device = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, dev->address);
    if (dev->device < 0) {
        return ivshmem_pci_fail(dev, "VFIO cannot open %s: %s", dev->address,
                                strerror(errno));
    }
    return 0;
}

static int open_vfio(struct ivshmem_pci *dev)
{
    char number[PATH_MAX];
    int bound = bind_driver(dev);

    /* On some machines the device gets its group when a driver is bound. */
    read_link(dev, "iommu_group", number);
    if (number[0] == '\0') {
        errno = ENODEV;
        return ivshmem_pci_fail(dev, "%s is not behind an IOMMU, which VFIO "
                                "needs for interrupts: add one to QEMU, such as "
                                "-M virt,gic-version=3,iommu=smmuv3",
                                dev->address);
    }
    return bound < 0 || open_container(dev) < 0 ||
           open_group(dev, number) < 0 || open_device(dev) < 0 ? -1 : 0;
}

/*
 * An MSI-X interrupt is a write to memory: without bus mastering none arrives.
 */
static int enable_bus_master(struct ivshmem_pci *dev)
{
    struct vfio_region_info config = { .argsz = sizeof(config),
                                       .index = VFIO_PCI_CONFIG_REGION_INDEX };

    if (ioctl(dev->device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0) {
        return ivshmem_pci_fail(dev, "VFIO gives no access to the PCI "
                                "configuration of %s: %s", dev->address,
                                strerror(errno));
    }
    if (ivshmem_pci_set_command(dev, dev->device, (off_t)config.offset,
                                IVSHMEM_PCI_MEMORY) < 0) {
        return -1;
    }
    return ivshmem_pci_set_command(dev, dev->device, (off_t)config.offset,
                                   IVSHMEM_PCI_BUS_MASTER);
}

static int count_vectors(struct ivshmem_pci *dev, unsigned *count)
{
    struct vfio_irq_info info = { .argsz = sizeof(info),
                                  .index = VFIO_PCI_MSIX_IRQ_INDEX };

    if (ioctl(dev->device, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 ||
        info.count == 0) {
        errno = ENXIO;
        return ivshmem_pci_fail(dev, "%s has no MSI-X vectors: it must be an "
                                "ivshmem-doorbell, with vectors=1 or more",
                                dev->address);
    }
    *count = info.count;
    return 0;
}

static int make_doorbells(struct ivshmem_pci *dev, unsigned count)
{
    dev->doorbells = calloc(count, sizeof(*dev->doorbells));
    if (dev->doorbells == NULL) {
        return ivshmem_pci_fail(dev, "out of memory for %u vectors", count);
    }
    while (dev->vectors < count) {
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

        if (fd < 0) {
            return ivshmem_pci_fail(dev, "cannot make an eventfd for vector %u "
                                    "of %u: %s", dev->vectors, count,
                                    strerror(errno));
        }
        dev->doorbells[dev->vectors].fd = fd;
        dev->doorbells[dev->vectors++].events = POLLIN;
    }
    return 0;
}

/* Makes VFIO signal each vector's eventfd. */
static int connect_doorbells(struct ivshmem_pci *dev)
{
    size_t bytes = sizeof(struct vfio_irq_set) + dev->vectors * sizeof(int);
    struct vfio_irq_set *set = calloc(1, bytes);
    int result;

    if (set == NULL) {
        return ivshmem_pci_fail(dev, "out of memory for %u vectors", dev->vectors);
    }
    set->argsz = (uint32_t)bytes;
    set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    set->index = VFIO_PCI_MSIX_IRQ_INDEX;
    set->count = dev->vectors;
    for (unsigned i = 0; i < dev->vectors; i++) {
        memcpy(set->data + i * sizeof(int), &dev->doorbells[i].fd,
               sizeof(int));
    }
    result = ioctl(dev->device, VFIO_DEVICE_SET_IRQS, set);
    free(set);
    if (result < 0) {
        return ivshmem_pci_fail(dev, "VFIO cannot enable %u MSI-X vectors "
                                "of %s: %s", dev->vectors, dev->address,
                                strerror(errno));
    }
    return 0;
}

int ivshmem_pci_enable_interrupts(struct ivshmem_pci *dev)
{
    unsigned count = 0;

    if (dev->vectors > 0) {
        return 0;
    }
    if (open_vfio(dev) < 0 || enable_bus_master(dev) < 0 ||
        count_vectors(dev, &count) < 0 || make_doorbells(dev, count) < 0 ||
        connect_doorbells(dev) < 0) {
        ivshmem_pci_disable_interrupts(dev);
        return -1;
    }
    return 0;
}

void ivshmem_pci_disable_interrupts(struct ivshmem_pci *dev)
{
    int *fds[] = { &dev->device, &dev->group, &dev->container };
    int number = errno;

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
    dev->next = 0;
    errno = number;
}

/*
 * Takes one pending doorbell.  Returns its vector, or -1 if there is none.
 */
static int take_doorbell(struct ivshmem_pci *dev)
{
    for (unsigned i = 0; i < dev->vectors; i++) {
        unsigned vector = (dev->next + i) % dev->vectors;
        uint64_t times;

        if (read(dev->doorbells[vector].fd, &times, sizeof(times)) ==
            sizeof(times)) {
            dev->next = (vector + 1) % dev->vectors;
            return (int)vector;
        }
    }
    return -1;
}

int ivshmem_pci_wait(struct ivshmem_pci *dev, int timeout)
{
    int64_t end = now_ms() + timeout;
    int left = timeout, ready, vector;

    if (dev->vectors == 0) {
        errno = EINVAL;
        return ivshmem_pci_fail(dev, "interrupts are not enabled: call "
                                "ivshmem_pci_enable_interrupts() first");
    }
    do {
        ready = poll(dev->doorbells, dev->vectors, left);
        if (ready < 0 && errno != EINTR) {
            return ivshmem_pci_fail(dev, "cannot wait for doorbells: %s",
                                    strerror(errno));
        }
        vector = ready > 0 ? take_doorbell(dev) : -1;
        if (vector >= 0) {
            ivshmem_flat_barrier();
            return vector;
        }
        if (timeout >= 0) {
            int64_t rest = end - now_ms();

            left = rest > 0 ? (int)rest : 0;
        }
    } while (ready != 0 && (timeout < 0 || left > 0));
    errno = ETIMEDOUT;
    return ivshmem_pci_fail(dev, "no doorbell within %d ms", timeout);
}

int ivshmem_pci_fd(const struct ivshmem_pci *dev, unsigned vector)
{
    return vector < dev->vectors ? dev->doorbells[vector].fd : -1;
}
