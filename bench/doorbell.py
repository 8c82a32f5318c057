# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a doorbell takes to another machine and back.

The boards run guest/bench/round-trip.c, which explains the words in shared
memory. The floor is what the host's kernel takes for the same between two
processes.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from measure import Measurement, Ratio, Subject
from testbed import Testbed, TestbedError, parts

BOARD = "mps2-an385"
TICKS_PER_US = 25  # BOARD_TICKS_HZ

SECONDS = 0.3       # of each sample
PATIENCE_SECONDS = 10.0

OURS = "ivshmem-flat"
FLOOR = "floor: eventfd and poll"


def floor() -> float:
    """Two host processes; see floor.c."""
    done = subprocess.run([_floor_program(), str(round(SECONDS * 1000))],
                          capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS)
    if done.returncode != 0:
        raise TestbedError(done.stderr.strip())
    return float(done.stdout)


def boards(sleep: bool) -> float:
    """Two boards that wait for each other, asleep or busy."""
    with Testbed(timeout=PATIENCE_SECONDS) as bed:
        server = bed.server()
        answerer, caller = 0, 1
        server.memory.set_words(0, caller, answerer, sleep,
                                round(SECONDS * 1e6 * TICKS_PER_US))
        for expected in (answerer, caller):
            board = bed.board(BOARD, "round-trip", server)
            bed.wait(f"{board.name} to be ready",
                     lambda: board.said(f"ready id={expected}$"))
        server.memory.set_words(16, 1)
        trips, ticks = map(int, bed.wait(
            "the trips to be made", lambda: board.said(
                r"trips=(\d+) ticks=(\d+)$")).groups())
    return ticks / TICKS_PER_US / trips


def _floor_program() -> Path:
    """Compiled when it is older than its source."""
    source = Path(__file__).with_name("floor.c")
    program = parts.CHECKOUT / "build/bench/floor"
    if (not program.exists() or
            program.stat().st_mtime < source.stat().st_mtime):
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror",
                        "-o", program, source], check=True)
    return program


MEASUREMENTS = [
    Measurement(
        "doorbell-busy", "doorbell and answer, both guests wait busily", "us",
        [Subject(FLOOR, floor), Subject(OURS, lambda: boards(sleep=False))],
        [Ratio(OURS, FLOOR, goal=1.0)]),
    Measurement(
        "doorbell-sleep", "doorbell and answer, both guests sleep (WFI)", "us",
        [Subject(FLOOR, floor), Subject(OURS, lambda: boards(sleep=True))],
        [Ratio(OURS, FLOOR, goal=1.5)]),
]
