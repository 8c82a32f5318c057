# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU machine with an ivshmem-flat device and firmware."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from . import parts
from .process import News, Process
from .qmp import QmpClient

# The boards that guest/ is built for.
BOARDS = ("lm3s6965evb", "mps2-an385")

# What firmware prints when it gives up: see guest/.
FIRMWARE_FAILURE = re.compile(r"FAILED|FAULT")


def flat_device(server_socket: Path) -> list[str]:
    """The device where guest/boards/board.h expects it."""
    return ["-chardev", f"socket,path={server_socket},id=iv",
            "-device", "ivshmem-flat,x-bus-qompath=/sysbus,chardev=iv,"
            "x-irq-qompath=nvic/unnamed-gpio-in[29],"
            "x-bus-address-shmem=0x60000000,shmem-size=4M"]


class Board(Process):
    """A running board. `output` is its UART, `errors` QEMU's stderr.

    What the guest does wrong (-d guest_errors) is among the errors.
    """

    def __init__(self, name: str, board: str, image: Path,
                 device: Sequence[str], news: SimpleQueue[News], *,
                 paused: bool = False) -> None:
        self.board = board
        ours, theirs = socket.socketpair()
        with theirs:
            super().__init__(
                name,
                [str(parts.qemu_system_arm()), "-M", board,
                 "-kernel", str(image), "-display", "none",
                 "-monitor", "none", "-serial", "stdio",
                 "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                 "-mon", "chardev=qmp,mode=control", "-d", "guest_errors",
                 *(["-S"] if paused else []), *device],
                news, pass_fds=[theirs.fileno()])
        self.qmp = QmpClient(ours)

    def said(self, pattern: str) -> re.Match[str] | None:
        """The first line on the console that holds the pattern."""
        matches = (re.search(pattern, line) for line in list(self.output))
        return next(filter(None, matches), None)

    def count(self, pattern: str) -> int:
        """How many lines on the console hold the pattern."""
        return sum(1 for line in list(self.output) if re.search(pattern, line))

    def trouble(self) -> str | None:
        for line in list(self.output):
            if FIRMWARE_FAILURE.search(line):
                return f"{self.name} says: {line}"
        trouble = super().trouble()
        if trouble and re.search("ivshmem-flat.*(not a valid|pluggable)",
                                 trouble):
            trouble += ("\nthis QEMU has no ivshmem-flat for the command line:"
                        " run `make qemu`, and unset QEMU_SYSTEM_ARM")
        return trouble

    def complaints(self) -> list[str]:
        """Ends QEMU and returns all that it has said on stderr."""
        self.qmp.command("quit")
        self.wait_for_end()
        return self.errors

    def stop(self) -> None:
        super().stop()
        self.qmp.close()
