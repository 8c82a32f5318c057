# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU machine with an ivshmem-flat device and firmware."""

import re
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from . import parts
from .machine import Machine
from .process import News

# The boards that guest/ is built for.
BOARDS = ("lm3s6965evb", "mps2-an385")


def flat_device(server_socket: Path) -> list[str]:
    """The device where guest/boards/board.h expects it."""
    return ["-chardev", f"socket,path={server_socket},id=iv",
            "-device", "ivshmem-flat,x-bus-qompath=/sysbus,chardev=iv,"
            "x-irq-qompath=nvic/unnamed-gpio-in[29],"
            "x-bus-address-shmem=0x60000000,shmem-size=4M"]


class Board(Machine):
    """A running board. Its console is its UART.

    What the guest does wrong (-d guest_errors) is among the errors.
    """

    # See guest/.
    FAILURE = re.compile(r"FAILED|FAULT")

    def __init__(self, name: str, board: str, image: Path,
                 device: Sequence[str], news: SimpleQueue[News], *,
                 paused: bool = False) -> None:
        super().__init__(
            name, board,
            [str(parts.qemu_system_arm()), "-M", board,
             "-kernel", str(image), "-d", "guest_errors",
             *(["-S"] if paused else []), *device],
            news)

    def trouble(self) -> str | None:
        trouble = super().trouble()
        if trouble and re.search("ivshmem-flat.*(not a valid|pluggable)",
                                 trouble):
            trouble += ("\nthis QEMU has no ivshmem-flat for the command line:"
                        " run `make qemu`, and unset QEMU_SYSTEM_ARM")
        return trouble
