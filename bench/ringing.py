# SPDX-License-Identifier: GPL-2.0-or-later
"""How long ringing takes a guest, and what many doorbells in a row do.

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
from reference import MEMORY_BYTES as THEIR_BYTES
from reference import REFERENCE, THEIRS, their_board
from ivshmem import Testbed, TestbedError
from ivshmem.board import Board, flat_device
from ivshmem.boards import CORTEX_M
from ivshmem.memory import MIB

# Number of peers of each device; see guest/bench/ringing.c for addresses.
PEERS = (1, 100, 1000, 10000)
REGISTERS_STEP = 0x1000
MEMORY = 0x60000000
MEMORY_BYTES = 4 * MIB

PATIENCE_SECONDS = 30.0

OURS = "a single device, ivshmem-flat"
REFERENCE_NAME = f"a single device, {THEIRS}"
ONE = "1 peer"
MOST = "10,000 peers"
IN_TURN = "10,000 peers, each in turn"
KNOWN = (ONE, "100 peers", "1,000 peers", MOST)

# From guest/bench/ringing.c: for the same peer and for each in turn
ALL_RINGS = 60 * 2 * 500

# From guest/bench/coalescing.c
RINGS = 1_000_000
LISTENS, RUNG, SEEN, INTERRUPTS = 0x40, 0x80, 0xC0, 0xC4

ASLEEP = "a board that sleeps"
AWAKE = "a board that stays awake"


@dataclass(frozen=True)
class Turn:
    """Result of one turn, in ns for each doorbell."""

    device: int
    same: float
    all: float


def _turns(bed: Testbed, board: Board) -> list[Turn]:
    """Waits until the board has finished."""
    bed.wait("the board to finish", lambda: board.said("^ringing: done$"))
    return [Turn(device, *(microseconds(ticks) * 1000 / rings
                           for ticks in (same, all_)))
            for device, rings, same, all_ in (
                map(int, match.groups()) for match in board.matches(
                    r"^ringing: device=(\d+) rings=(\d+) same=(\d+) "
                    r"all=(\d+)$"))]


def cost_alone(theirs: bool) -> float:
    """In ns, on a board with one device and one peer, which is on the host.

    QEMU's own device learns of a peer in the main loop, perhaps after the guest
    has started. So the guest waits for that, and all its doorbells must
    arrive."""
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server(size=THEIR_BYTES)
        server.memory.set_words(0, 1, 0)
        peer = bed.peer(server)
        board = (their_board(bed, server, "ringing", paused=True) if theirs
                 else bed.board(BOARD, "ringing", paused=True,
                                device=flat_device(server.socket,
                                                   size=THEIR_BYTES)))
        peer.wait_for_peer(1, bed.remaining())
        board.qmp.command("query-status")
        board.qmp.command("cont")
        turns = _turns(bed, board)
        if (came := peer.take_doorbells()) != ALL_RINGS:
            raise TestbedError(f"{came} of {ALL_RINGS} doorbells arrived")
        return statistics.median(turn.same for turn in turns)


def costs(peers: tuple[int, ...] = PEERS) -> list[tuple[float, float]]:
    """In ns, from a store to the next instruction, for each number of peers:
    ringing the same peer each time, and ringing each peer in turn."""
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
        for turn in _turns(bed, board):
            same[turn.device].append(turn.same)
            each[turn.device].append(turn.all)
    return [(statistics.median(same[number]), statistics.median(each[number]))
            for number in range(len(peers))]


def cost_by_name() -> Mapping[str, float]:
    found = costs()
    return {**{name: same for name, (same, _) in zip(KNOWN, found)},
            IN_TURN: found[-1][1]}


@dataclass(frozen=True)
class Storm:
    """Result of many doorbells to one board."""

    ns_each: float   # for the ringing board
    interrupts: int  # at the other board


def storm(asleep: bool, rings: int = RINGS, rows: int = 1) -> Storm:
    """Rings an idle board this many times in a row. It must have seen the last
    doorbell of a row before the next row begins or the test ends."""
    with Testbed(3 * PATIENCE_SECONDS) as bed:
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


def _ringing() -> Measurement:
    subjects: list[Subject | Group] = [
        Group((*KNOWN, IN_TURN), cost_by_name),
        Subject(OURS, lambda: cost_alone(theirs=False))]
    ratios = [*(Ratio(name, ONE) for name in KNOWN[1:-1]),
              Ratio(MOST, ONE, goal=1.1), Ratio(IN_TURN, ONE)]
    if REFERENCE:
        subjects.append(Subject(REFERENCE_NAME,
                                lambda: cost_alone(theirs=True)))
        ratios.append(Ratio(OURS, REFERENCE_NAME, goal=1.1))
    return Measurement(
        "ringing", "ringing a doorbell, from the store to the next instruction",
        "ns",
        subjects, ratios)


MEASUREMENTS = [
    _ringing(),
    Measurement(
        "storm", f"time for each of {RINGS:,} doorbells in a row", "ns",
        [Subject(ASLEEP, lambda: storm(asleep=True).ns_each),
         Subject(AWAKE, lambda: storm(asleep=False).ns_each)], rounds=3),
    Measurement(
        "coalescing", f"interrupts caused by {RINGS:,} doorbells in a row",
        "interrupts",
        [Subject(ASLEEP, lambda: storm(asleep=True).interrupts),
         Subject(AWAKE, lambda: storm(asleep=False).interrupts)],
        better="", rounds=3),
]
