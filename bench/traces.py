# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of tracing doorbells to a file, as for a timeline.

Runs the sleeping boards of doorbell.py. A round trip is two doorbells with three
events each: the register write and the ring in the ringing QEMU, and the
interrupt in the other.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from board import BOARD
from doorbell import OURS, Trip, at_best, between_boards, ours, trip_group
from measure import Difference, Measurement, Ratio, Subject
from ivshmem import Testbed
from ivshmem.board import Board
from ivshmem.server import IvshmemServer

TRACED = "traced"
RING = "ivshmem_flat_ring "


def _start(directory: Path, bed: Testbed, server: IvshmemServer) -> Board:
    number = len(list(directory.iterdir()))
    return bed.board(BOARD, "doorbell", server,
                     trace=directory / f"{number}.trace")


def _trace(directory: Path) -> Trip:
    return between_boards(partial(_start, directory), sleep=True)


def traced() -> Trip:
    with TemporaryDirectory() as directory:
        return _trace(Path(directory))


def bytes_for_each_doorbell() -> float:
    with TemporaryDirectory() as directory:
        _trace(Path(directory))
        traces = [file.read_text() for file in Path(directory).iterdir()]
    return (sum(map(len, traces)) /
            sum(trace.count(RING) for trace in traces))


MEASUREMENTS = [
    Measurement(
        "traces", "doorbell round trip with tracing, both guests sleep", "us",
        [trip_group(OURS, lambda: ours(sleep=True)),
         trip_group(TRACED, traced)],
        [Ratio(TRACED, OURS), Ratio(at_best(TRACED), at_best(OURS)),
         Difference(TRACED, OURS), Difference(at_best(TRACED), at_best(OURS))]),
    Measurement(
        "trace-size", "size of both QEMUs' traces for each doorbell",
        "bytes", [Subject(TRACED, bytes_for_each_doorbell)], rounds=3),
]
