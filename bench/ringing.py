# SPDX-License-Identifier: GPL-2.0-or-later
"""What a doorbell costs who rings it, and what becomes of too many of them.

Boards run guest/bench/ringing.c, on a device for each number of peers, and
guest/bench/coalescing.c.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from board import BOARD, microseconds
from many_peers import many_peers, room_for
from measure import Group, Measurement, Ratio, Subject
from ivshmem import Testbed, TestbedError
from ivshmem.board import CORTEX_M, flat_device
from ivshmem.memory import MIB

# Of the devices, in this order; guest/bench/ringing.c says where they are.
PEERS = (1, 100, 1000, 10000)
REGISTERS_STEP = 0x1000
MEMORY = 0x60000000
MEMORY_BYTES = 4 * MIB

PATIENCE_SECONDS = 30.0

ONE = "1 peer"
MOST = "10,000 peers"
IN_TURN = "10,000 peers, each in turn"
KNOWN = (ONE, "100 peers", "1,000 peers", MOST)

# Of guest/bench/coalescing.c
RINGS = 1_000_000
LISTENS, RUNG, SEEN, INTERRUPTS = 0x40, 0x80, 0xC0, 0xC4

ASLEEP = "a board that sleeps"
AWAKE = "a board that does not"


def costs(peers: tuple[int, ...] = PEERS) -> list[tuple[float, float]]:
    """In ns, from a store to the next instruction, with each number of peers:
    for a doorbell of the same peer each time, and of each peer in turn."""
    same: defaultdict[int, list[float]] = defaultdict(list)
    each: defaultdict[int, list[float]] = defaultdict(list)
    with room_for(sum(peers)), Testbed(PATIENCE_SECONDS) as bed:
        groups = [many_peers(bed, number) for number in peers]
        options = []
        for number, some in enumerate(groups):
            some.memory.set_words(0, some.peers, number + 1 < len(groups))
            options += flat_device(
                some.socket, CORTEX_M.registers - number * REGISTERS_STEP,
                MEMORY + number * MEMORY_BYTES, CORTEX_M.line - number)
        board = bed.board(BOARD, "ringing", device=options)
        for some in groups:
            some.introduce()
        bed.wait("the board to finish", lambda: board.said("^ringing: done$"))
        for turn in board.matches(r"^ringing: device=(\d+) rings=(\d+) "
                                  r"same=(\d+) all=(\d+)$"):
            number, rings = int(turn[1]), int(turn[2])
            same[number].append(microseconds(turn[3]) * 1000 / rings)
            each[number].append(microseconds(turn[4]) * 1000 / rings)
    return [(statistics.median(same[number]), statistics.median(each[number]))
            for number in range(len(peers))]


def cost_by_name() -> Mapping[str, float]:
    found = costs()
    return {**{name: same for name, (same, _) in zip(KNOWN, found)},
            IN_TURN: found[-1][1]}


@dataclass(frozen=True)
class Storm:
    """What doorbells to one board came to."""

    ns_each: float   # to the board that rang
    interrupts: int  # at the other


def storm(asleep: bool, rings: int = RINGS, rows: int = 1) -> Storm:
    """Rings a board that has nothing else to do, so often in a row; before the
    next row, and the end, it has seen the last doorbell."""
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server()
        memory = server.memory
        memory.set_words(0, rings, rows, not asleep)
        bed.board(BOARD, "coalescing", server)
        bed.wait("the other board to listen", lambda: memory.word(LISTENS))
        ringer = bed.board(BOARD, "coalescing", server)
        try:
            rang = bed.wait("the last doorbell to be seen", lambda:
                            ringer.said(r"^coalescing: rang ticks=(\d+)$"))
        except TestbedError as error:
            raise TestbedError(f"{error}; rung {memory.word(RUNG)}, seen "
                               f"{memory.word(SEEN)}") from error
        return Storm(microseconds(rang[1]) * 1000 / rings / rows,
                     memory.word(INTERRUPTS))


MEASUREMENTS = [
    Measurement(
        "ringing", "a doorbell, from the store to the next instruction", "ns",
        [Group((*KNOWN, IN_TURN), cost_by_name)],
        [*(Ratio(name, ONE) for name in KNOWN[1:-1]),
         Ratio(MOST, ONE, goal=1.1), Ratio(IN_TURN, ONE)]),
    Measurement(
        "storm", f"a doorbell, {RINGS:,} of them in a row, the last one seen",
        "ns",
        [Subject(ASLEEP, lambda: storm(asleep=True).ns_each),
         Subject(AWAKE, lambda: storm(asleep=False).ns_each)], rounds=3),
    Measurement(
        "coalescing", f"what {RINGS:,} doorbells in a row come to",
        "interrupts",
        [Subject(ASLEEP, lambda: storm(asleep=True).interrupts),
         Subject(AWAKE, lambda: storm(asleep=False).interrupts)],
        better="", rounds=3),
]
