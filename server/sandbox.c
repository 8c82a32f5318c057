/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allows only these system calls after startup. A re-executed server inherits the
 * filter and cannot change it, so the list includes what startup needs. A forbidden
 * call fails with ENOSYS: a newer ivshmemd or C library can then fall back or report
 * the problem, while killing the process would disconnect every VM. An attacker gains
 * as little either way, and the kernel's audit log records each such call. The filter
 * allows no new process or thread, only local sockets, and no tracing, mounting or
 * loading.
 */
#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "error.h"
#include "sandbox.h"

static const char *const allowed[] = {
    /* the main loop */
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "poll",
    "ppoll", "signalfd4", "timerfd_create", "timerfd_settime", "clock_gettime",
    "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "restart_syscall",
    /* clients, the control socket, the service manager; see below for socket() */
    "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    /* files */
    "access", "chmod", "chown", "close", "close_range", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fallocate", "fchmod", "fchmodat", "fchown", "fchownat",
    "fcntl", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd", "getdents64",
    "ioctl", "lseek", "lstat", "memfd_create", "newfstatat", "open", "openat", "pread64",
    "read", "readlink", "readlinkat", "readv", "stat", "statfs", "statx", "umask",
    "unlink", "unlinkat", "write", "writev",
    /* memory and our own threads */
    "brk", "futex", "get_robust_list", "getrandom", "madvise", "membarrier", "mmap",
    "mprotect", "mremap", "munmap", "rseq", "sched_getaffinity", "sched_yield",
    "set_robust_list", "set_tid_address", "sysinfo",
    /* the process */
    "arch_prctl", "execve", "exit", "exit_group", "getegid", "geteuid", "getgid",
    "getgroups", "getpid", "getppid", "getrlimit", "gettid", "getuid", "prctl",
    "prlimit64", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
    "tgkill", "uname",
};

bool sandbox_renounce_privileges(GError **error)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return fail(error, "cannot set no_new_privs: %s", g_strerror(errno));
    }
    return true;
}

static int allow_all(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp local = {
        .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX,
    };
    int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                        &local);
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(allowed) && !result; i++) {
        int call = seccomp_syscall_resolve_name(allowed[i]);

        /* Some architectures lack some of them. */
        if (call != __NR_SCMP_ERROR) {
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
        }
    }
    return result;
}

bool sandbox_enter(SandboxMode mode, GError **error)
{
    scmp_filter_ctx filter;
    int result;

    if (mode == SANDBOX_OFF) {
        return true;
    }
    filter = seccomp_init(mode == SANDBOX_KILL ? SCMP_ACT_KILL_PROCESS :
                                                 SCMP_ACT_ERRNO(ENOSYS));
    if (!filter) {
        return fail(error, "cannot create a filter of system calls: start with "
                    "--sandbox=off to run without one");
    }
    result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (!result) {
        result = allow_all(filter);
    }
    if (!result) {
        result = seccomp_load(filter);
    }
    seccomp_release(filter);
    if (result) {
        return fail(error, "cannot filter system calls: %s. Start with --sandbox=off to "
                    "run without a filter", g_strerror(-result));
    }
    return true;
}
