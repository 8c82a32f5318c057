# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine with an ivshmem-flat device and firmware."""

import re
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from . import artifacts
from .boards import CORTEX_M, WIRINGS, wiring
from .machine import Machine, client_chardev
from .process import News
from .memory import MIB

# The boards that guest/ is built for, with TARGETS=arm and with other targets.
BOARDS = ("lm3s6965evb", "mps2-an385")
OTHER_BOARDS = ("sifive_e", "leon3_generic")


def flat_device(server_socket: Path, registers: int = CORTEX_M.registers,
                memory: int = CORTEX_M.memory,
                line: int | None = CORTEX_M.line, size: int = 4 * MIB,
                more_lines: Sequence[int] = ()) -> list[str]:
    """QEMU options for the device on a Cortex-M board. The defaults suit most.
    The size is in bytes. `line` is the interrupt number of vector 0, or None
    for no interrupt; `more_lines` are those of vectors 1 and up."""
    irq = None if line is None else ";".join(
        map(CORTEX_M.path, (line, *more_lines)))
    return device_options(server_socket, registers, memory, irq, size)


def device_options(server_socket: Path, registers: int, memory: int,
                   irq: str | None, size: int) -> list[str]:
    """The same for any board. `irq` is the value of x-irq-qompath."""
    lines = "" if irq is None else f"x-irq-qompath={irq},"
    return [*client_chardev(server_socket, f"iv{registers:x}"),
            "-device", f"ivshmem-flat,x-bus-qompath=/sysbus,{lines}"
            f"chardev=iv{registers:x},x-bus-address-mmr={registers:#x},"
            f"x-bus-address-shmem={memory:#x},shmem-size={size}"]


def usual_device(board: str, server_socket: Path, vectors: int = 1,
                 size: int = 4 * MIB) -> list[str]:
    """The same with the addresses and lines of boards.py. If there are more
    vectors than lines, the rest have no interrupt."""
    where = wiring(board)
    return device_options(server_socket, where.registers, where.memory,
                          where.paths(vectors), size)


def command_line(board: str, image: Path, device: Sequence[str],
                 qemu: Path | None = None) -> list[str]:
    """QEMU's command line without its consoles. It reports guest errors on
    stderr."""
    program = qemu or artifacts.qemu_system(wiring(board).target)
    return [str(program), "-M", board, "-kernel", str(image),
            "-d", "guest_errors", *device]


def tracing(file: Path) -> list[str]:
    """QEMU options that write a trace for timeline.py. Guest errors are then
    in this file as well."""
    return ["-trace", "ivshmem_flat_*", "-msg", "timestamp=on",
            "-D", str(file)]


class Board(Machine):
    """A running board. Its console is its UART.

    `errors` has the guest's errors, unless they go to `trace`, a file for
    timeline.py. `qemu` is the program to use instead of the usual one.
    """

    # Printed by the firmware in guest/
    FAILURE = re.compile(r"FAILED|FAULT")
    # QEMU itself causes these when it starts a board: 7.2 the first on Stellaris
    # boards, all releases the second on ast1030-evb.
    NOISE = ("Timer with period zero, disabling",
             "aspeed_timer_ctrl_pulse_enable: Timer does not support pulse mode")

    def __init__(self, name: str, board: str, image: Path,
                 device: Sequence[str], news: SimpleQueue[News], *,
                 kind: str | None = None, paused: bool = False,
                 qemu: Path | None = None, trace: Path | None = None,
                 pass_fds: Sequence[int] = ()) -> None:
        # On some boards QEMU 7.2 resets the CPU before there is memory. A guest
        # cannot cause these errors, because then there is memory.
        table = WIRINGS.get(board, CORTEX_M).vector_table
        self._noise = (*self.NOISE, *(
            f"Invalid read at addr 0x{address:X}, size 4, region '(null)', "
            "reason: rejected" for address in (table, table + 4)))
        super().__init__(
            name, kind or board,
            [*command_line(board, image, device, qemu),
             *(["-S"] if paused else []), *(tracing(trace) if trace else [])],
            news, pass_fds)

    def failure(self) -> str | None:
        failure = super().failure()
        if failure and re.search("ivshmem-flat.*(not a valid|pluggable)",
                                 failure):
            failure += ("\nthis QEMU does not support -device ivshmem-flat:"
                        " run `make qemu`, and unset QEMU_SYSTEM_ARM")
        return failure

    def _is_noise(self, line: str) -> bool:
        return line in self._noise or super()._is_noise(line)
