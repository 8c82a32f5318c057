# SPDX-License-Identifier: GPL-2.0-or-later
"""Round trips of a doorbell.

Boards run guest/bench/doorbell.c, which describes the words in shared memory.
Linux runs guest/linux/ivshmem.c. The floor is the time of the same round trip
between two host processes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import astuple, dataclass

from board import BOARD, TICKS_PER_US, microseconds
from compiled import compiled
from measure import Group, Measurement, Ratio, Subject
from reference import MEMORY_BYTES, REFERENCE, THEIRS, their_board
from ivshmem import Testbed, TestbedError
from ivshmem.board import Board, usual_device
from ivshmem.memory import MIB
from ivshmem.server import IvshmemServer

ANSWERER, CALLER = 0, 1
GO = 16

SECONDS = 0.3  # duration of the round trips of one sample
PATIENCE_SECONDS = 10.0

# Linux starts slowly.
LINUX_TRIPS = 1000
LINUX_PATIENCE_SECONDS = 60.0

FLOOR = "floor: eventfd and poll"
OURS = "ivshmem-flat"
SHARED = "ivshmem-flat, iothread="
POLLING = "ivshmem-flat, iothread= that polls"
LINUX = "ivshmem-flat, PCI device in Linux"

# Longer than a round trip, or QEMU would soon stop polling.
POLL_MAX_NS = 400_000

StartBoard = Callable[[Testbed, IvshmemServer], Board]


@dataclass(frozen=True)
class Trip:
    """A round trip in microseconds, on average and at best. Load on the host
    affects the latter less."""

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
        raise TestbedError(f"{error}\n{error.stderr!s}") from error
    return Trip(*map(float, done.stdout.split()))


def ours(sleep: bool) -> Trip:
    """Two boards that sleep or busy-wait."""
    return between_boards(_our_board, sleep)


def with_iothread(sleep: bool, poll_max_ns: int = 0) -> float:
    """The same, with iothread=. The IOThread polls for this long before it
    sleeps."""
    def start(bed: Testbed, server: IvshmemServer) -> Board:
        *others, device = usual_device(BOARD, server.socket)
        return bed.board(BOARD, "doorbell", server, device=[
            "-object", f"iothread,id=io,poll-max-ns={poll_max_ns}",
            *others, f"{device},iothread=io"])

    return between_boards(start, sleep).mean


def theirs(sleep: bool) -> Trip:
    """The same with QEMU's own device."""
    return between_boards(
        lambda bed, server: their_board(bed, server, "doorbell"), sleep,
        MEMORY_BYTES)


def with_linux() -> float:
    """A board answers Linux with the PCI device. Both sleep."""
    with Testbed(LINUX_PATIENCE_SECONDS) as bed:
        server = bed.server()
        _order(server, sleep=True)
        _start(bed, server, _our_board, ANSWERER)
        linux = bed.linux(f"ivshmem ping {ANSWERER} {LINUX_TRIPS}", server)
        return float(bed.wait("Linux to finish", lambda: linux.said(
            r"^peer \d+ answered .*, ([\d.]+) us each$")).group(1))


def between_boards(start: StartBoard, sleep: bool,
                   memory_bytes: int = 4 * MIB) -> Trip:
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server(size=memory_bytes)
        _order(server, sleep)
        _start(bed, server, start, ANSWERER)
        caller = _start(bed, server, start, CALLER)
        server.memory.set_words(GO, 1)
        bed.wait("the caller to finish", lambda: caller.said("fastest"))
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


def at_best(name: str) -> str:
    return f"{name}, at best"


def trip_group(name: str, trip: Callable[[], Trip]) -> Group:
    names = (name, at_best(name))
    return Group(names, lambda: dict(zip(names, astuple(trip()))))


def _measurement(name: str, how: str, sleep: bool, of_theirs: float,
                 of_floor: float) -> Measurement:
    subjects: list[Subject | Group] = [
        trip_group(FLOOR, floor), trip_group(OURS, lambda: ours(sleep)),
        Subject(SHARED, lambda: with_iothread(sleep))]
    ratios = [Ratio(OURS, FLOOR, of_floor), Ratio(at_best(OURS), at_best(FLOOR)),
              Ratio(SHARED, OURS)]
    if REFERENCE:
        subjects.append(trip_group(THEIRS, lambda: theirs(sleep)))
        ratios += [Ratio(OURS, THEIRS, of_theirs),
                   Ratio(at_best(OURS), at_best(THEIRS))]
    if sleep:
        # Between busy guests, polling would take CPU time from them.
        subjects.append(Subject(
            POLLING, lambda: with_iothread(sleep, POLL_MAX_NS)))
        ratios += [Ratio(POLLING, ratio.to, ratio.goal) for ratio in ratios
                   if ratio.goal]
    return Measurement(
        name, f"doorbell round trip, both guests {how}", "us",
        subjects, ratios)


MEASUREMENTS = [
    _measurement("doorbell-busy", "busy-wait", False, 0.25, 1.0),
    _measurement("doorbell-sleep", "sleep (WFI)", True, 0.9, 1.5),
    Measurement(
        "doorbell-linux",
        "doorbell round trip between a board and Linux, both sleep", "us",
        [Subject(OURS, lambda: ours(sleep=True).mean),
         Subject(LINUX, with_linux)],
        [Ratio(OURS, LINUX)], rounds=3),
]
