# SPDX-License-Identifier: Apache-2.0
"""The demo: starts guests that run guest/demo/member.c and checks what they
report."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .testbed import Testbed
from .linux import LINUX
from .machine import Machine
from .process import TestbedError
from .memory import MIB
from .server import IvshmemServer
from .zephyr import ON_ZEPHYR

# From guest/demo/protocol.h, which explains them.
MEMBERS_DEFAULT = 2
MEMBERS_MAX = 3
MESSAGES = 5
# A member rings each other member when it joins, for each message and each
# acknowledgement, when its block is ready and when it has verified the other's.
RINGS = 1 + MESSAGES + MESSAGES + 1 + 1
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
    """Offsets of a member's words."""

    def __init__(self, slot: int) -> None:
        self.state = 0x100 + slot * 64
        self.id = self.state + 4
        self.name = self.state + 8
        self.filled = self.state + 24
        self._verified = self.state + 28

    def verified(self, slot: int) -> int:
        return self._verified + slot * 4


class Mailbox:
    """Offsets of the words that one slot sends to another."""

    def __init__(self, sender: int, receiver: int) -> None:
        self.sequence = 0x1000 + (sender * MEMBERS_MAX + receiver) * 256
        self.acknowledged = self.sequence + 4
        self.length = self.sequence + 8
        self.checksum = self.sequence + 12
        self.text = self.sequence + 16


def block_offset(slot: int) -> int:
    return 0x100000 + slot * BLOCK_BYTES


def block(own_id: int, slot: int) -> bytes:
    """The block that the member with this ID must have written."""
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
    """The counts that a member reports at its end."""

    id: int
    peers: int
    sent: int
    received: int
    bytes: int


def start(bed: Testbed, server: IvshmemServer, names: Sequence[str],
          in_order: bool, traces: Path | None = None) -> list[Machine]:
    """Starts these members, each a BOARD, zephyr:BOARD or LINUX. With
    `in_order`, each starts once the previous one has its slot. Boards write
    traces to this directory, as SLOT-BOARD.trace."""
    if len(names) != MEMBERS_DEFAULT:
        server.memory.set_words(Lobby.EXPECTED, len(names))
    members: list[Machine] = []
    for slot, name in enumerate(names):
        trace = traces / f"{slot}-{name}.trace" if traces else None
        member = _start_member(bed, server, name, trace)
        members.append(member)
        if in_order:
            bed.wait(f"{member.name} to take slot {slot}",
                     lambda: member.said(f"sits in slot {slot} "))
    return members


def _start_member(bed: Testbed, server: IvshmemServer, name: str,
                  trace: Path | None) -> Machine:
    if name == LINUX:
        return bed.linux("demo", server)
    if name.startswith(ON_ZEPHYR):
        return bed.zephyr(name.removeprefix(ON_ZEPHYR), "demo", server)
    return bed.board(name, "demo", server, trace=trace)


def finish(bed: Testbed, members: Sequence[Machine]) -> list[Result]:
    """Waits until all members have verified everything."""
    results = []
    for member in members:
        match = bed.wait(f"{member.name} to finish",
                         lambda: member.said(RESULT))
        results.append(Result(*map(int, match.groups())))
    check(results)
    return results


def check(results: Sequence[Result]) -> None:
    """Raises if a member reports success without the whole demo."""
    peers = len(results) - 1
    if len({result.id for result in results}) != len(results):
        raise TestbedError(f"two members report the same ID: {results}")
    for result in results:
        expected = Result(result.id, peers, peers * MESSAGES,
                          peers * MESSAGES, peers * BLOCK_BYTES)
        if result != expected:
            raise TestbedError(f"a member reports {result}, expected "
                               f"{expected}")


def check_course(server: IvshmemServer, members: Sequence[Machine]) -> None:
    """Raises if a member did not report every step with every other member,
    was interrupted more often than it was rung, or has a wrong block in the
    shared memory."""
    ids = {member: int(member.found(r"^id (\d+): .* is up$")[1])
           for member in members}
    for member, own_id in ids.items():
        slot = int(member.found(r"sits in slot (\d) of")[1])
        if server.memory.read(block_offset(slot),
                              BLOCK_BYTES) != block(own_id, slot):
            raise TestbedError(f"the block of {member.name} in shared memory "
                               "is wrong")
        heard = int(member.found(r"done, heard (\d+) doorbells$")[1])
        if heard > (rung := (len(members) - 1) * RINGS):
            raise TestbedError(f"{member.name} heard {heard} doorbells, but "
                               f"was rung at most {rung} times")
        for other, peer in ids.items():
            if other is member:
                continue
            for pattern, times in {
                    f"meets id {peer}, {other.kind}, in slot \\d": 1,
                    f"message \\d of 5 from id {peer}: \".+\"": MESSAGES,
                    f"id {peer} has acknowledged all of 5 messages": 1,
                    f"verified 1048576 bytes of id {peer}, answers": 1,
                    f"id {peer} has verified the block of id {own_id}": 1,
            }.items():
                found = member.count(f"^id {own_id}: {pattern}$")
                if found != times:
                    raise TestbedError(f"{member.name} says '{pattern}' "
                                       f"{found} times instead of {times}")
