/*
 * Unit tests of eventfds shared with other processes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/*
 * Each test runs with the host's system calls, and without those that never
 * block.
 */

#include "qemu/osdep.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "hw/misc/ivshmem-flat-eventfd.h"

#define FULL (UINT64_MAX - 1)

static void refuse(int syscall_number, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syscall_number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = { .len = ARRAY_SIZE(code), .filter = code };

    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_cmpint(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), ==, 0);
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1;
}

static void test_is_eventfd(void)
{
    int fd = eventfd(0, 0);
    int null = open("/dev/null", O_RDWR);
    int ends[2];

    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_true(ivshmem_flat_is_eventfd(fd));
    g_assert_false(ivshmem_flat_is_eventfd(null));
    g_assert_false(ivshmem_flat_is_eventfd(ends[0]));
    g_assert_false(ivshmem_flat_is_eventfd(ends[1]));
    /* The check did not signal it */
    g_assert_false(is_readable(fd));
    close(fd);
    close(null);
    close(ends[0]);
    close(ends[1]);
}

static void test_signal(void)
{
    int fd = eventfd(0, 0);

    /* More requests than the kernel's queue has room for */
    for (unsigned i = 0; i < 1000; i++) {
        g_assert_cmpint(ivshmem_flat_signal_eventfd(fd), ==, 0);
        g_assert_true(is_readable(fd));
    }
    close(fd);
}

static void test_signal_no_eventfd(void)
{
    int null = open("/dev/null", O_RDONLY);

    g_assert_cmpint(ivshmem_flat_signal_eventfd(null), <, 0);
    close(null);
}

static void test_signal_full(const void *flags)
{
    const uint64_t full = FULL;
    int fd = eventfd(0, GPOINTER_TO_INT(flags));

    g_assert_cmpint(write(fd, &full, sizeof(full)), ==, sizeof(full));
    alarm(10);
    g_assert_cmpint(ivshmem_flat_signal_eventfd(fd), ==, 0);
    alarm(0);
    g_assert_true(is_readable(fd));
    close(fd);
}

static void test_take(const void *flags)
{
    int fd = eventfd(0, GPOINTER_TO_INT(flags));

    alarm(10);
    g_assert_false(ivshmem_flat_take_eventfd(fd));
    g_assert_cmpint(ivshmem_flat_signal_eventfd(fd), ==, 0);
    g_assert_cmpint(ivshmem_flat_signal_eventfd(fd), ==, 0);
    g_assert_true(ivshmem_flat_take_eventfd(fd));
    g_assert_false(ivshmem_flat_take_eventfd(fd));
    alarm(0);
    close(fd);
}

static void *drain(void *opaque)
{
    int fd = GPOINTER_TO_INT(opaque);
    uint64_t count;

    do {
        g_assert_cmpint(read(fd, &count, sizeof(count)), ==, sizeof(count));
    } while (count < FULL / 2);
    return NULL;
}

/* A peer drains the eventfd, which it has made a blocking one */
static void test_take_race(void)
{
    int fd = eventfd(0, 0);
    GThread *peer = g_thread_new("peer", drain, GINT_TO_POINTER(fd));
    const uint64_t end = FULL / 2;

    alarm(30);
    for (unsigned i = 0; i < 100000; i++) {
        ivshmem_flat_signal_eventfd(fd);
        ivshmem_flat_take_eventfd(fd);
    }
    g_assert_cmpint(write(fd, &end, sizeof(end)), ==, sizeof(end));
    g_thread_join(peer);
    alarm(0);
    close(fd);
}

/* Signalling works at the fd limit; once fds are free again, it never blocks */
static void without_fds(void)
{
    struct rlimit limit, none;
    int fd;

    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 30 * G_USEC_PER_SEC, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr_unmatched("*no asynchronous I/O*");
        return;
    }
    fd = eventfd(0, 0);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    none = limit;
    none.rlim_cur = fd + 1;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    g_assert_true(ivshmem_flat_is_eventfd(fd));
    g_assert_cmpint(ivshmem_flat_signal_eventfd(fd), ==, 0);
    g_assert_true(is_readable(fd));
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    close(fd);
    test_signal_full(GINT_TO_POINTER(0));
}

static void without_aio(void)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 30 * G_USEC_PER_SEC, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*no asynchronous I/O (Function not "
                                  "implemented)*");
        g_test_trap_assert_stderr_unmatched("*no asynchronous I/O*no async*");
        return;
    }
    refuse(SYS_io_setup, ENOSYS);
    test_is_eventfd();
    test_signal();
    test_signal_no_eventfd();
    test_signal_full(GINT_TO_POINTER(EFD_NONBLOCK));
    test_take(GINT_TO_POINTER(0));
}

static void without_preadv2(const void *error)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 30 * G_USEC_PER_SEC, 0);
        g_test_trap_assert_passed();
        return;
    }
    refuse(SYS_preadv2, GPOINTER_TO_INT(error));
    test_take(GINT_TO_POINTER(0));
    test_take(GINT_TO_POINTER(EFD_NONBLOCK));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ivshmem-flat/eventfd/is-eventfd", test_is_eventfd);
    g_test_add_func("/ivshmem-flat/eventfd/signal", test_signal);
    g_test_add_func("/ivshmem-flat/eventfd/signal/no-eventfd",
                    test_signal_no_eventfd);
    g_test_add_data_func("/ivshmem-flat/eventfd/signal/full",
                         GINT_TO_POINTER(EFD_NONBLOCK), test_signal_full);
    g_test_add_data_func("/ivshmem-flat/eventfd/signal/full-blocking",
                         GINT_TO_POINTER(0), test_signal_full);
    g_test_add_data_func("/ivshmem-flat/eventfd/take",
                         GINT_TO_POINTER(EFD_NONBLOCK), test_take);
    g_test_add_data_func("/ivshmem-flat/eventfd/take/blocking",
                         GINT_TO_POINTER(0), test_take);
    g_test_add_func("/ivshmem-flat/eventfd/take/race", test_take_race);
    g_test_add_func("/ivshmem-flat/eventfd/without-fds", without_fds);
    g_test_add_func("/ivshmem-flat/eventfd/without-aio", without_aio);
    g_test_add_data_func("/ivshmem-flat/eventfd/without-preadv2",
                         GINT_TO_POINTER(ENOSYS), without_preadv2);
    g_test_add_data_func("/ivshmem-flat/eventfd/without-rwf-nowait",
                         GINT_TO_POINTER(EOPNOTSUPP), without_preadv2);
    return g_test_run();
}
