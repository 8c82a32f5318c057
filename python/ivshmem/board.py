# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine with an ivshmem-flat device and firmware."""

import re
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from . import artifacts
from .boards import CORTEX_M, wiring
from .machine import Machine, client_chardev
from .process import News
from .memory import MIB

# The boards that guest/ is built for: those of TARGETS=arm, and of others.
BOARDS = ("lm3s6965evb", "mps2-an385")
OTHER_BOARDS = ("sifive_e", "leon3_generic")


def flat_device(server_socket: Path, registers: int = CORTEX_M.registers,
                memory: int = CORTEX_M.memory,
                line: int | None = CORTEX_M.line, size: int = 4 * MIB,
                more_lines: Sequence[int] = ()) -> list[str]:
    """A device of a Cortex-M board, by default where most have it. Addresses
    and size are bytes; line is the number of vector 0's interrupt, None for
    none, and more_lines are those of vector 1 and so on."""
    irq = None if line is None else ";".join(
        map(CORTEX_M.path, (line, *more_lines)))
    return device_options(server_socket, registers, memory, irq, size)


def device_options(server_socket: Path, registers: int, memory: int,
                   irq: str | None, size: int) -> list[str]:
    """The same, with the interrupt lines as x-irq-qompath has them."""
    lines = "" if irq is None else f"x-irq-qompath={irq},"
    return [*client_chardev(server_socket, f"iv{registers:x}"),
            "-device", f"ivshmem-flat,x-bus-qompath=/sysbus,{lines}"
            f"chardev=iv{registers:x},x-bus-address-mmr={registers:#x},"
            f"x-bus-address-shmem={memory:#x},shmem-size={size}"]


def usual_device(board: str, server_socket: Path, vectors: int = 1,
                 size: int = 4 * MIB) -> list[str]:
    """A device where boards.py has it. Vectors beyond the board's lines have
    no interrupt."""
    where = wiring(board)
    return device_options(server_socket, where.registers, where.memory,
                          where.paths(vectors), size)


def command_line(board: str, image: Path, device: Sequence[str],
                 qemu: Path | None = None) -> list[str]:
    """QEMU's, save for where consoles go. What the guest does wrong is on
    stderr."""
    program = qemu or artifacts.qemu_system(wiring(board).target)
    return [str(program), "-M", board, "-kernel", str(image),
            "-d", "guest_errors", *device]


def tracing(file: Path) -> list[str]:
    """For timeline.py. What the guest does wrong is there, too."""
    return ["-trace", "ivshmem_flat_*", "-msg", "timestamp=on",
            "-D", str(file)]


class Board(Machine):
    """A running board. Its console is its UART.

    What the guest does wrong is among the errors, or in the file `trace`, for
    timeline.py, if there is one. `qemu` is another QEMU than
    the one with the device.
    """

    # See guest/.
    FAILURE = re.compile(r"FAILED|FAULT")
    # QEMU 7.2 says so of every lm3s6965evb, before it has run anything.
    TIMER = "Timer with period zero, disabling"

    def __init__(self, name: str, board: str, image: Path,
                 device: Sequence[str], news: SimpleQueue[News], *,
                 kind: str | None = None, paused: bool = False,
                 qemu: Path | None = None, trace: Path | None = None,
                 pass_fds: Sequence[int] = ()) -> None:
        super().__init__(
            name, kind or board,
            [*command_line(board, image, device, qemu),
             *(["-S"] if paused else []), *(tracing(trace) if trace else [])],
            news, pass_fds)

    def failure(self) -> str | None:
        failure = super().failure()
        if failure and re.search("ivshmem-flat.*(not a valid|pluggable)",
                                 failure):
            failure += ("\nthis QEMU has no ivshmem-flat for the command line:"
                        " run `make qemu`, and unset QEMU_SYSTEM_ARM")
        return failure

    def _is_noise(self, line: str) -> bool:
        return line == self.TIMER or super()._is_noise(line)
