# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a doorbell takes to another machine and back.

Boards run guest/bench/doorbell.c, which explains the words in shared memory,
Linux runs guest/linux/ivshmem.c. The floor is what the host's kernel takes for
the same between two processes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

from board import BOARD, TICKS_PER_US, microseconds
from compiled import compiled
from measure import Group, Measurement, Ratio, Subject
from ivshmem import Testbed, TestbedError, artifacts
from ivshmem.board import Board, usual_device
from ivshmem.memory import MIB
from ivshmem.server import IvshmemServer

ANSWERER, CALLER = 0, 1
GO = 16

SECONDS = 0.3  # of the trips that make a sample
PATIENCE_SECONDS = 10.0

# Linux takes a while to start.
LINUX_TRIPS = 1000
LINUX_PATIENCE_SECONDS = 60.0

FLOOR = "floor: eventfd and poll"
OURS = "ivshmem-flat"
POLLING = "ivshmem-flat, polling iothread"
THEIRS = "QEMU's own ivshmem-flat"
LINUX = "ivshmem-flat, PCI device in Linux"

REFERENCE_BYTES = 1 * MIB

# Longer than a trip takes, or QEMU would soon cease to.
POLL_MAX_NS = 400_000

StartBoard = Callable[[Testbed, IvshmemServer], Board]


def _reference() -> Path | None:
    """QEMU's own device, if build-reference could make it;
    hw/arm/ivshmem-flat-testboard.c wires it."""
    try:
        program = artifacts.qemu_build() / "reference/qemu-system-arm"
    except TestbedError:
        return None
    return program if program.exists() else None


REFERENCE = _reference()


@dataclass(frozen=True)
class Trip:
    """There and back, in microseconds: on average, and at best, which is what
    a busy host leaves as it is."""

    mean: float
    best: float


def floor() -> Trip:
    """Two host processes; see eventfd_baseline.c."""
    try:
        done = subprocess.run([compiled("eventfd_baseline"),
                               str(round(SECONDS * 1000))],
                              check=True, capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS)
    except (subprocess.CalledProcessError,
            subprocess.TimeoutExpired) as error:
        raise TestbedError(f"{error}: {error.stderr!s}") from error
    return Trip(*map(float, done.stdout.split()))


def ours(sleep: bool) -> Trip:
    """Two boards that wait for each other, asleep or busy."""
    return _between_boards(_our_board, sleep)


def polling() -> float:
    """The same, asleep; each device's IOThread looks for a while before it
    sleeps, too."""
    return _between_boards(_polling_board, sleep=True).mean


def theirs(sleep: bool) -> Trip:
    """The same with the device that QEMU has without us."""
    return _between_boards(_their_board, sleep, REFERENCE_BYTES)


def with_linux() -> float:
    """Our board answers, Linux has the PCI device; both sleep."""
    with Testbed(LINUX_PATIENCE_SECONDS) as bed:
        server = bed.server()
        _order(server, sleep=True)
        _start(bed, server, _our_board, ANSWERER)
        linux = bed.linux(f"ivshmem ping {ANSWERER} {LINUX_TRIPS}", server)
        return float(bed.wait("Linux to make its trips", lambda: linux.said(
            r"^peer \d+ answered .*, ([\d.]+) us each$")).group(1))


def _between_boards(start: StartBoard, sleep: bool,
                    memory_bytes: int = 4 * MIB) -> Trip:
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server(size=memory_bytes)
        _order(server, sleep)
        _start(bed, server, start, ANSWERER)
        caller = _start(bed, server, start, CALLER)
        server.memory.set_words(GO, 1)
        bed.wait("the trips to be made", lambda: caller.said("fastest"))
        totals = [caller.found(rf"^doorbell: {which}trips=(\d+) ticks=(\d+)$")
                  for which in ("", "fastest ")]
    return Trip(*(microseconds(total[2]) / int(total[1]) for total in totals))


def _order(server: IvshmemServer, sleep: bool) -> None:
    server.memory.set_words(0, CALLER, ANSWERER, sleep,
                            round(SECONDS * 1e6 * TICKS_PER_US))


def _start(bed: Testbed, server: IvshmemServer, start: StartBoard,
           expected_id: int) -> Board:
    board = start(bed, server)
    bed.wait(f"{board.name} to be ready as id={expected_id}", lambda:
             board.said(f"^doorbell: ready id={expected_id}$"))
    return board


def _our_board(bed: Testbed, server: IvshmemServer) -> Board:
    return bed.board(BOARD, "doorbell", server)


def _polling_board(bed: Testbed, server: IvshmemServer) -> Board:
    *others, device = usual_device(BOARD, server.socket)
    return bed.board(BOARD, "doorbell", server, device=[
        "-object", f"iothread,id=io,poll-max-ns={POLL_MAX_NS}",
        *others, f"{device},iothread=io"])


def _their_board(bed: Testbed, server: IvshmemServer) -> Board:
    return bed.board(BOARD, "doorbell", server, qemu=REFERENCE, device=[
        "-M", "ivshmem-flat-testboard",
        "-chardev", f"socket,path={server.socket},id=ivshmem"])


def _best(name: str) -> str:
    return f"{name}, at best"


def _group(name: str, trip: Callable[[], Trip]) -> Group:
    return Group((name, _best(name)),
                 lambda: dict(zip((name, _best(name)), astuple(trip()))))


def _measurement(name: str, how: str, sleep: bool, of_theirs: float,
                 of_floor: float) -> Measurement:
    subjects: list[Subject | Group] = [
        _group(FLOOR, floor), _group(OURS, lambda: ours(sleep))]
    ratios = [Ratio(OURS, FLOOR, of_floor), Ratio(_best(OURS), _best(FLOOR))]
    if REFERENCE:
        subjects.append(_group(THEIRS, lambda: theirs(sleep)))
        ratios += [Ratio(OURS, THEIRS, of_theirs),
                   Ratio(_best(OURS), _best(THEIRS))]
    if sleep:
        # A busy guest needs the CPU that it would take.
        subjects.append(Subject(POLLING, polling))
        ratios += [Ratio(POLLING, ratio.to, ratio.goal) for ratio in ratios
                   if ratio.goal]
    return Measurement(
        name, f"a doorbell and its answer, both guests wait {how}", "us",
        subjects, ratios)


MEASUREMENTS = [
    _measurement("doorbell-busy", "busily", False, 0.25, 1.0),
    _measurement("doorbell-sleep", "asleep (WFI)", True, 0.9, 1.5),
    Measurement(
        "doorbell-linux",
        "a doorbell and its answer, a board and Linux wait asleep", "us",
        [Subject(OURS, lambda: ours(sleep=True).mean),
         Subject(LINUX, with_linux)],
        [Ratio(OURS, LINUX)], rounds=3),
]
