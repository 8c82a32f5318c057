/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls the library of guest/linux as the arguments say, and tells what came of
 * it, a line each.  Its files are below the folder it runs in, and VFIO is what
 * ioctl() here makes of it:
 *
 *     open, open-at ADDRESS, enable, wait MS, ring VECTOR, poll, info, close
 *
 * FAIL names an ioctl that fails; VECTORS how many the device has.  An alarm
 * that goes off every 20 ms interrupts what waits, if ALARM is set.
 */

#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "ivshmem-pci.h"

static struct ivshmem_pci dev;
static int eventfds[64];

static bool fails(const char *name)
{
    const char *fail = getenv("FAIL");

    errno = EIO;
    return fail && strcmp(fail, name) == 0;
}

static int set_irqs(const struct vfio_irq_set *set)
{
    if (fails("SET_IRQS")) {
        return -1;
    }
    memcpy(eventfds, set->data, set->count * sizeof(int));
    return 0;
}

/* Instead of the system's: the linker puts it in the library's calls. */
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    void *argument;

    (void)fd;
    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);

    switch (request) {
    case VFIO_GROUP_GET_STATUS:
        ((struct vfio_group_status *)argument)->flags =
            fails("VIABLE") ? 0 : VFIO_GROUP_FLAGS_VIABLE;
        return 0;
    case VFIO_GROUP_SET_CONTAINER:
        return fails("SET_CONTAINER") ? -1 : 0;
    case VFIO_SET_IOMMU:
        return fails("SET_IOMMU") ? -1 : 0;
    case VFIO_GROUP_GET_DEVICE_FD:
        return fails("GET_DEVICE_FD") ? -1 : dup(STDIN_FILENO);
    case VFIO_DEVICE_GET_REGION_INFO:
        ((struct vfio_region_info *)argument)->offset = 0;
        return fails("GET_REGION_INFO") ? -1 : 0;
    case VFIO_DEVICE_GET_IRQ_INFO:
        ((struct vfio_irq_info *)argument)->count =
            (unsigned)atoi(getenv("VECTORS") ? getenv("VECTORS") : "1");
        return fails("GET_IRQ_INFO") ? -1 : 0;
    case VFIO_DEVICE_SET_IRQS:
        return set_irqs(argument);
    }
    abort();
}

static int count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = -1; /* its own */

    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void tell(const char *what, int result)
{
    if (result < 0) {
        printf("%s: %s\n", what, dev.error);
    } else {
        printf("%s: %d\n", what, result);
    }
}

static void ignore(int number)
{
    (void)number;
}

static void set_alarm(void)
{
    struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
    struct sigaction action = { .sa_handler = ignore };

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

int main(int argc, char **argv)
{
    int before = count_fds();

    if (getenv("ALARM")) {
        set_alarm();
    }
    for (int i = 1; i < argc; i++) {
        const char *argument = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "open") == 0) {
            tell("open", ivshmem_pci_open(&dev, NULL));
        } else if (strcmp(argv[i], "open-at") == 0) {
            tell("open", ivshmem_pci_open(&dev, argument));
            i++;
        } else if (strcmp(argv[i], "enable") == 0) {
            tell("enable", ivshmem_pci_enable_interrupts(&dev));
        } else if (strcmp(argv[i], "wait") == 0) {
            int vector = ivshmem_pci_wait(&dev, atoi(argument));

            tell(vector < 0 ? strerror(errno) : "wait", vector);
            i++;
        } else if (strcmp(argv[i], "ring") == 0) {
            eventfd_write(eventfds[atoi(argument)], 1);
            i++;
        } else if (strcmp(argv[i], "poll") == 0) {
            struct pollfd fd = { .fd = ivshmem_pci_fd(&dev, 1),
                                 .events = POLLIN };

            printf("poll: %d\n", poll(&fd, 1, 0));
        } else if (strcmp(argv[i], "info") == 0) {
            printf("info: %s, %u vectors, memory %zu, byte 0 is %c\n",
                   dev.address, dev.vectors, dev.shm.size, dev.shm.memory[0]);
        } else if (strcmp(argv[i], "close") == 0) {
            ivshmem_pci_close(&dev);
        } else {
            abort();
        }
    }
    printf("fds left: %d\n", count_fds() - before);
    return 0;
}
