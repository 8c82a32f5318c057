/* SPDX-License-Identifier: Apache-2.0 */
/* The device in sysfs: finding it, and mapping its registers and memory. */

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ivshmem-pci-private.h"

#define VENDOR_ID 0x1af4
#define DEVICE_ID 0x1110

#define REGISTERS_BAR 0
#define MEMORY_BAR 2

int ivshmem_pci_fail(struct ivshmem_pci *dev, const char *format, ...)
{
    int number = errno;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(dev->error, sizeof(dev->error), format, arguments);
    va_end(arguments);
    errno = number;
    return -1;
}

static int open_file(const char *address, const char *name, int flags)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", address, name);
    return open(path, flags | O_CLOEXEC);
}

/* Reads a file as text. Returns the length, or 0 if it cannot be read. */
static size_t read_text(const char *address, const char *name, char *text,
                        size_t size)
{
    int fd = open_file(address, name, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

    if (fd >= 0) {
        close(fd);
    }
    text[length < 0 ? 0 : length] = '\0';
    return length < 0 ? 0 : (size_t)length;
}

static bool has_id(const char *address, const char *name, unsigned long id)
{
    char text[16];

    return read_text(address, name, text, sizeof(text)) > 0 &&
           strtoul(text, NULL, 16) == id;
}

static bool is_ivshmem(const char *address)
{
    return has_id(address, "vendor", VENDOR_ID) &&
           has_id(address, "device", DEVICE_ID);
}

/* Stores the lowest address of an ivshmem in dev. */
static int find(struct ivshmem_pci *dev)
{
    DIR *directory = opendir(PCI_DEVICES);
    struct dirent *entry;

    if (directory == NULL) {
        return ivshmem_pci_fail(dev, "cannot open " PCI_DEVICES ": %s",
                                strerror(errno));
    }
    while ((entry = readdir(directory)) != NULL) {
        size_t length = strlen(entry->d_name);

        if (length < sizeof(dev->address) && is_ivshmem(entry->d_name) &&
            (dev->address[0] == '\0' ||
             strcmp(entry->d_name, dev->address) < 0)) {
            memcpy(dev->address, entry->d_name, length + 1);
        }
    }
    closedir(directory);
    if (dev->address[0] == '\0') {
        errno = ENODEV;
        return ivshmem_pci_fail(dev, "this machine has no PCI device 1af4:1110:"
                                " start QEMU with -chardev socket,path=SOCKET,id=iv"
                                " -device ivshmem-doorbell,chardev=iv");
    }
    return 0;
}

/* Looks up where a BAR is. It need not start at a page boundary. */
static int look_up_bar(struct ivshmem_pci *dev, int bar,
                       unsigned long long *first, size_t *bytes)
{
    char text[2048];
    const char *line = text;
    unsigned long long last = 0;

    if (read_text(dev->address, "resource", text, sizeof(text)) == 0) {
        return ivshmem_pci_fail(dev, "cannot read " PCI_DEVICES
                                "/%s/resource: %s", dev->address,
                                strerror(errno));
    }
    for (int i = 0; i < bar && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    if (line == NULL || sscanf(line, "%llx %llx", first, &last) != 2 ||
        last <= *first) {
        errno = ENXIO;
        return ivshmem_pci_fail(dev, "%s has no BAR %d", dev->address, bar);
    }
    *bytes = (size_t)(last - *first + 1);
    return 0;
}

static const char *why_no_map(void)
{
    return errno == EINVAL ? ": a driver uses it" :
           errno == EPERM ? ": the kernel is locked down" : "";
}

/*
 * Maps a BAR.  With the _wc file, an Arm CPU sees the memory as Normal memory.
 * VFIO would map it as Device memory.
 */
static int map_bar(struct ivshmem_pci *dev, int bar, uintptr_t *start,
                   size_t *bytes)
{
    char name[16];
    unsigned long long first;
    size_t lead;
    void *map;
    int fd = -1;

    if (look_up_bar(dev, bar, &first, bytes) < 0) {
        return -1;
    }
    if (bar == MEMORY_BAR) {
        snprintf(name, sizeof(name), "resource%d_wc", bar);
        fd = open_file(dev->address, name, O_RDWR | O_SYNC);
    }
    if (bar != MEMORY_BAR || (fd < 0 && errno == ENOENT)) {
        snprintf(name, sizeof(name), "resource%d", bar);
        fd = open_file(dev->address, name, O_RDWR | O_SYNC);
    }
    if (fd < 0) {
        return ivshmem_pci_fail(dev, "cannot open " PCI_DEVICES "/%s/%s: %s",
                                dev->address, name, strerror(errno));
    }
    lead = (size_t)(first & ((unsigned long long)sysconf(_SC_PAGESIZE) - 1));
    map = mmap(NULL, lead + *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        ivshmem_pci_fail(dev, "cannot map " PCI_DEVICES "/%s/%s: %s%s",
                         dev->address, name, strerror(errno), why_no_map());
        close(fd);
        return -1;
    }
    close(fd);
    dev->mapped[bar / 2].start = map;
    dev->mapped[bar / 2].bytes = lead + *bytes;
    *start = (uintptr_t)map + lead;
    return 0;
}

int ivshmem_pci_set_command(struct ivshmem_pci *dev, int fd, off_t offset,
                            enum ivshmem_pci_command command)
{
    static const struct {
        const char *name;
        int bit;
    } commands[] = {
        [IVSHMEM_PCI_MEMORY] = { "memory space (bit 1)", PCI_COMMAND_MEMORY },
        [IVSHMEM_PCI_BUS_MASTER] = { "bus master (bit 2)", PCI_COMMAND_MASTER },
    };
    unsigned char bytes[2]; /* little-endian */

    offset += PCI_COMMAND;
    if (pread(fd, bytes, sizeof(bytes), offset) == sizeof(bytes)) {
        bytes[0] = (unsigned char)(bytes[0] | commands[command].bit);
        if (pwrite(fd, bytes, sizeof(bytes), offset) == sizeof(bytes)) {
            return 0;
        }
    }
    return ivshmem_pci_fail(dev, "cannot set %s in the PCI command register "
                            "of %s: %s", commands[command].name, dev->address,
                            strerror(errno));
}

static int enable_memory(struct ivshmem_pci *dev)
{
    int fd = open_file(dev->address, "config", O_RDWR);
    int result;

    if (fd < 0) {
        return ivshmem_pci_fail(dev, "cannot open " PCI_DEVICES "/%s/config: "
                                "%s", dev->address, strerror(errno));
    }
    result = ivshmem_pci_set_command(dev, fd, 0, IVSHMEM_PCI_MEMORY);
    close(fd);
    return result;
}

int ivshmem_pci_open(struct ivshmem_pci *dev, const char *address)
{
    uintptr_t registers, memory;
    size_t registers_bytes, memory_bytes;

    memset(dev, 0, sizeof(*dev));
    dev->container = dev->group = dev->device = -1;
    if (address == NULL) {
        if (find(dev) < 0) {
            return -1;
        }
    } else if (strlen(address) >= sizeof(dev->address) ||
               !is_ivshmem(address)) {
        errno = ENODEV;
        return ivshmem_pci_fail(dev, "there is no PCI device 1af4:1110 at %s",
                                address);
    } else {
        strcpy(dev->address, address);
    }
    if (enable_memory(dev) < 0 ||
        map_bar(dev, REGISTERS_BAR, &registers, &registers_bytes) < 0 ||
        map_bar(dev, MEMORY_BAR, &memory, &memory_bytes) < 0) {
        ivshmem_pci_close(dev);
        return -1;
    }
    ivshmem_flat_map(&dev->shm, registers, memory, memory_bytes);
    return 0;
}

void ivshmem_pci_close(struct ivshmem_pci *dev)
{
    int number = errno;

    ivshmem_pci_disable_interrupts(dev);
    for (int i = 0; i < 2; i++) {
        if (dev->mapped[i].start != NULL) {
            munmap(dev->mapped[i].start, dev->mapped[i].bytes);
            dev->mapped[i].start = NULL;
        }
    }
    errno = number;
}
