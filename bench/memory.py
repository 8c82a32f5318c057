# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast a guest accesses the shared memory, compared with its own RAM.

The board runs guest/bench/memory.c, which alternates between the two.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping

from board import BOARD, microseconds
from measure import Group, Measurement, Ratio
from ivshmem import Testbed

PATIENCE_SECONDS = 20.0

KINDS = ("store", "load", "copy")
RAM = {kind: f"{kind}, RAM" for kind in KINDS}
WINDOW = {kind: f"{kind}, window" for kind in KINDS}


def speeds() -> Mapping[str, float]:
    """Medians of the board's turns in MB/s. A copied byte counts once."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    with Testbed(PATIENCE_SECONDS) as bed:
        board = bed.board(BOARD, "memory", bed.server())
        bed.wait("the board to finish", lambda: board.said("^memory: done$"))
        for turn in board.matches(
                r"^memory: (\w+) bytes=(\d+) ram=(\d+) window=(\d+)$"):
            kind, length, ram, window = turn.groups()
            for name, ticks in (RAM[kind], ram), (WINDOW[kind], window):
                found[name].append(int(length) / microseconds(ticks))
    return {name: statistics.median(values) for name, values in found.items()}


MEASUREMENTS = [
    Measurement(
        "memory", "shared memory compared with the board's RAM",
        "MB/s",
        [Group((*RAM.values(), *WINDOW.values()), speeds)],
        [Ratio(WINDOW[kind], RAM[kind], goal=0.95) for kind in KINDS],
        better="more"),
]
