/*
 * Signal and take eventfds shared with other processes, without blocking
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Writing to a full eventfd blocks unless O_NONBLOCK is set.  The kernel itself
 * never blocks when it signals that an asynchronous request has completed.  So
 * submit a request that does nothing: it completes at once, and its completion
 * signals the eventfd.
 */

#include "qemu/osdep.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "qemu/error-report.h"
#include "hw/misc/ivshmem-flat-eventfd.h"

#define MAX_ENDED_REQUESTS 64

/* Shared by all devices, created on the first request */
static aio_context_t requests;
static int null_fd = -1;

static bool can_request(void)
{
    static enum { UNKNOWN, NO, YES } answer;

    if (null_fd < 0) {
        null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null_fd < 0) {
            return false; /* no fd is left: next time there may be one */
        }
    }
    if (answer == UNKNOWN) {
        answer = syscall(SYS_io_setup, MAX_ENDED_REQUESTS, &requests) == 0 ?
                 YES : NO;
        if (answer == NO) {
            warn_report("ivshmem-flat: no asynchronous I/O (%s): a peer that "
                        "makes its eventfd blocking can delay this VM; allow "
                        "io_setup() and io_submit(), and raise "
                        "/proc/sys/fs/aio-max-nr above aio-nr",
                        strerror(errno));
        }
    }
    return answer == YES;
}

/*
 * Submits a request to /dev/null, whose completion signals @fd.  Returns 0 or
 * -errno.
 */
static int request(uint16_t opcode, int fd)
{
    struct iocb iocb = {
        .aio_lio_opcode = opcode,
        .aio_fildes = null_fd,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = fd,
    };
    struct iocb *iocbs[] = { &iocb };
    struct io_event ended[MAX_ENDED_REQUESTS];

    while (syscall(SYS_io_submit, requests, 1, iocbs) < 0) {
        int error = -errno;

        /* The queue is full until completed requests are collected */
        if (error != -EAGAIN ||
            syscall(SYS_io_getevents, requests, 0, MAX_ENDED_REQUESTS, ended,
                    NULL) <= 0) {
            return error;
        }
    }
    return 0;
}

bool ivshmem_flat_is_eventfd(int fd)
{
    g_autofree char *path = NULL;
    g_autofree char *target = NULL;

    if (can_request()) {
        /*
         * The kernel checks the eventfd before it refuses to write to a file
         * that is open for reading only.
         */
        return request(IOCB_CMD_PWRITE, fd) == -EBADF;
    }
    path = g_strdup_printf("/proc/self/fd/%d", fd);
    target = g_file_read_link(path, NULL);
    return !g_strcmp0(target, "anon_inode:[eventfd]");
}

int ivshmem_flat_signal_eventfd(int fd)
{
    const uint64_t one = 1;

    if (can_request()) {
        return request(IOCB_CMD_PREAD, fd);
    }
    if (write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN) {
        return 0;
    }
    return -errno;
}

bool ivshmem_flat_take_eventfd(int fd)
{
    uint64_t count;
    struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
    struct pollfd readable = { .fd = fd, .events = POLLIN };
    ssize_t size;

    do {
        size = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
        if (size < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
            /* Linux before 5.8 */
            size = poll(&readable, 1, 0) == 1 ?
                   read(fd, &count, sizeof(count)) : 0;
        }
    } while (size < 0 && errno == EINTR);

    return size == sizeof(count);
}
