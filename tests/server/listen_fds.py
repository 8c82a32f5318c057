# SPDX-License-Identifier: GPL-2.0-or-later
"""listen_fds.py FD... -- COMMAND...: executes the command with these fds as 3,
4 and so on, as sd_listen_fds(3) expects them."""

import fcntl
import os
import sys

FIRST = 3


def main() -> None:
    split = sys.argv.index("--")
    fds, command = sys.argv[1:split], sys.argv[split + 1:]
    # First to numbers above those that they get
    apart = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, FIRST + len(fds))
             for fd in fds]
    for number, fd in enumerate(apart, FIRST):
        os.dup2(fd, number)
    os.environ["LISTEN_FDS"] = str(len(fds))
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
