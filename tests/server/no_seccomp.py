# SPDX-License-Identifier: GPL-2.0-or-later
"""no_seccomp.py COMMAND...: execute a command that can filter no system calls,
as in some containers and under QEMU's emulation of user programs."""

import ctypes
import errno
import os
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000 | errno.EINVAL
EQUAL = 4
PR_SET_SECCOMP = 22


class Argument(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = [("number", ctypes.c_uint), ("operator", ctypes.c_int),
                ("value", ctypes.c_uint64), ("other", ctypes.c_uint64)]


library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
rules = ctypes.c_void_p(library.seccomp_init(ALLOW))
none = (Argument * 0)()
sets = (Argument * 1)(Argument(0, EQUAL, PR_SET_SECCOMP, 0))
for name, arguments in ((b"seccomp", none), (b"prctl", sets)):
    call = library.seccomp_syscall_resolve_name(name)
    assert library.seccomp_rule_add_array(
        rules, ERRNO, call, len(arguments), arguments) == 0
assert library.seccomp_load(rules) == 0
os.execvp(sys.argv[1], sys.argv[1:])
