# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine with a console."""

import os
import re
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from . import procfs
from .process import STOP_SECONDS, News, Process, TestbedError
from .qmp import QmpClient

# An idle machine uses almost no CPU time. A busy loop uses all it can get.
IDLE_WINDOW_SECONDS = 0.25
IDLE_SHARE = 0.1

# How long a machine may take to become idle.
IDLE_WITHIN_SECONDS = 10.0


def client_chardev(server_socket: Path, name: str) -> list[str]:
    """QEMU options for a chardev connected to the server. QEMU wants commas in
    the path doubled."""
    path = str(server_socket).replace(",", ",,")
    return ["-chardev", f"socket,path={path},id={name}"]


class Machine(Process):
    """A running machine. `output` is its console; `errors` is QEMU's stderr.

    `kind` is what the demo calls a machine of this kind."""

    # What the guest prints when it fails. This default matches nothing.
    FAILURE = re.compile("(?!)")

    def __init__(self, name: str, kind: str, argv: Sequence[str],
                 news: SimpleQueue[News],
                 pass_fds: Sequence[int] = ()) -> None:
        self.kind = kind
        ours, theirs = socket.socketpair()
        with theirs:
            super().__init__(
                name,
                # Before other -serial options: the console is the first.
                [argv[0], "-serial", "stdio", *argv[1:],
                 "-display", "none", "-monitor", "none",
                 "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                 "-mon", "chardev=qmp,mode=control"],
                news, pass_fds=[theirs.fileno(), *pass_fds])
        self.qmp = QmpClient(ours)

    def failure(self) -> str | None:
        for line in list(self.output):
            if self.FAILURE.search(line):
                return f"{self.name} says: {line}"
        return super().failure()

    def check_idle(self) -> None:
        """Raises unless the machine becomes idle: the guest sleeps, and no
        thread of QEMU is busy."""
        deadline = time.monotonic() + IDLE_WITHIN_SECONDS
        while (used := procfs.cpu_share(
                self.pid, IDLE_WINDOW_SECONDS)) >= IDLE_SHARE:
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"{self.name} should be idle, but still uses {used:.0%} "
                    f"of a CPU after {IDLE_WITHIN_SECONDS:g} s")

    def hold(self) -> None:
        if not self.has_ended():
            with suppress(TestbedError):  # the bed reports what is wrong
                self.qmp.command("stop", STOP_SECONDS)

    def stop(self) -> None:
        super().stop()
        self.qmp.close()

    def _last_words(self) -> list[str]:
        """QEMU writes the CPU's registers after a fatal error."""
        fatal = [line for line in self.errors
                 if re.match("qemu: (fatal|hardware error): ", line)]
        return fatal or super()._last_words()

    def _is_noise(self, line: str) -> bool:
        # QEMU's message when stop() ends it
        return f": terminating on signal 15 from pid {os.getpid()} " in line
