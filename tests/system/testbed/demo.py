# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: boards that run guest/demo-member.c and what they must report."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .bed import Testbed
from .board import Board
from .process import TestbedError
from .server import MIB, IvshmemServer

# From guest/demo-protocol.h, which explains all of these.
MEMBERS_DEFAULT = 2
MEMBERS_MAX = 3
MESSAGES = 5
TEXT_BYTES = 64
BLOCK_BYTES = MIB
ABSENT, PRESENT, DONE, FAILED = range(4)

RESULT = (r"^demo: ok id=(\d+) peers=(\d+) sent=(\d+) received=(\d+) "
          r"bytes=(\d+)$")


class Lobby:
    """Offsets in shared memory."""

    EXPECTED = 0
    CLAIMED = 4


class Seat:
    """Offsets of one member's words."""

    def __init__(self, slot: int) -> None:
        self.state = 0x100 + slot * 64
        self.id = self.state + 4
        self.name = self.state + 8
        self.filled = self.state + 24
        self._verified = self.state + 28

    def verified(self, slot: int) -> int:
        return self._verified + slot * 4


class Mailbox:
    """Offsets of the words between two slots."""

    def __init__(self, sender: int, receiver: int) -> None:
        self.sequence = 0x1000 + (sender * MEMBERS_MAX + receiver) * 256
        self.acknowledged = self.sequence + 4
        self.length = self.sequence + 8
        self.checksum = self.sequence + 12
        self.text = self.sequence + 16


def block_offset(slot: int) -> int:
    return 0x100000 + slot * BLOCK_BYTES


def block(own_id: int, slot: int) -> bytes:
    """What the member with this ID must have put into its block."""
    word = ((own_id << 16 | slot) + 1) * 0x9E3779B1 & 0xFFFFFFFF
    words = []
    for _ in range(BLOCK_BYTES // 4):
        word ^= word << 13 & 0xFFFFFFFF
        word ^= word >> 17
        word ^= word << 5 & 0xFFFFFFFF
        words.append(word)
    return struct.pack(f"<{len(words)}I", *words)


@dataclass(frozen=True)
class Result:
    """What a board reports at its end, as counted by its firmware."""

    id: int
    peers: int
    sent: int
    received: int
    bytes: int


def start(bed: Testbed, server: IvshmemServer, boards: Sequence[str],
          in_order: bool) -> list[Board]:
    """Starts the boards, each once the one before sits in its slot if
    in_order, else all at once."""
    if len(boards) != MEMBERS_DEFAULT:
        server.memory.set_words(Lobby.EXPECTED, len(boards))
    running: list[Board] = []
    for slot, name in enumerate(boards):
        board = bed.board(name, "demo", server)
        running.append(board)
        if in_order:
            bed.wait(f"{board.name} to take slot {slot}",
                     lambda: board.said(f"sits in slot {slot} "))
    return running


def finish(bed: Testbed, boards: Sequence[Board]) -> list[Result]:
    """Returns the results when all boards have verified everything."""
    results = []
    for board in boards:
        match = bed.wait(f"{board.name} to finish", lambda: board.said(RESULT))
        results.append(Result(*map(int, match.groups())))
    check(results)
    return results


def check(results: Sequence[Result]) -> None:
    """Raises where boards report success over less than the whole demo."""
    peers = len(results) - 1
    if len({result.id for result in results}) != len(results):
        raise TestbedError(f"two boards report the same ID: {results}")
    for result in results:
        expected = Result(result.id, peers, peers * MESSAGES,
                          peers * MESSAGES, peers * BLOCK_BYTES)
        if result != expected:
            raise TestbedError(f"a board reports {result}, should be "
                               f"{expected}")
