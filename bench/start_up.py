# SPDX-License-Identifier: GPL-2.0-or-later
"""How much the device adds to a VM's start-up time and memory.

Boards run guest/bench/start-up.c, whose first instructions print a line. The
time is from before QEMU is executed until this line arrives, including the time
to start a process and to read its output. The CPU time is QEMU's until then,
which depends less on the load of the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from board import BOARD
from many_peers import announce, many_peers, room_for
from measure import Difference, Group, Measurement, Subject
from ivshmem import Testbed, procfs
from ivshmem.board import Board, usual_device
from ivshmem.fake_server import PEER, FakeServer

PATIENCE_SECONDS = 20.0

WITHOUT = "no device"
ALONE = "ivshmem-flat, no peers"
WITH_PEERS = {ALONE: 0, "1 peer": 1, "100 peers": 100, "1,000 peers": 1000}
CPU = "{}: CPU time"

MANY_PEERS = 10000


def start_without() -> Mapping[str, float]:
    """In milliseconds, like all functions below."""
    with Testbed(PATIENCE_SECONDS) as bed:
        return _times(WITHOUT, bed, [], lambda: None)


def start_with(name: str, peers: int) -> Mapping[str, float]:
    with room_for(peers), Testbed(PATIENCE_SECONDS) as bed:
        others = many_peers(bed, peers)
        return _times(name, bed, usual_device(BOARD, others.socket),
                      others.introduce)


def _times(name: str, bed: Testbed, device: Sequence[str],
           introduce: Callable[[], None]) -> Mapping[str, float]:
    start = time.monotonic()
    board = bed.board(BOARD, "start-up", device=device)
    introduce()
    _wait_for_start(bed, board)
    end = time.monotonic()
    return {name: (end - start) * 1000,
            CPU.format(name): procfs.cpu_seconds(board.pid) * 1000}


def memory_for_each() -> float:
    """QEMU's private memory for each peer in bytes, if this many join."""
    with room_for(MANY_PEERS), Testbed(PATIENCE_SECONDS) as bed:
        server = bed.enter(FakeServer())
        board = bed.board(BOARD, "start-up",
                          device=usual_device(BOARD, server.socket))
        server.accept(PATIENCE_SECONDS)
        server.shake_hands()
        _wait_for_start(bed, board)
        board.check_idle()
        before = procfs.anonymous_bytes(board.pid)
        announce(server, range(PEER + 1, PEER + 1 + MANY_PEERS))
        bed.wait("QEMU to know all peers", lambda: bool(board.qmp.command(
            "qom-get", path="/machine/peripheral-anon/device[0]",
            property="peers") == MANY_PEERS + 1))
        return (procfs.anonymous_bytes(board.pid) - before) / MANY_PEERS


def _wait_for_start(bed: Testbed, board: Board) -> None:
    bed.wait("the board to start", lambda: board.said("^start-up$"))


def _subject(name: str, samples: Callable[[], Mapping[str, float]]) -> Group:
    return Group((name, CPU.format(name)), samples)


MEASUREMENTS = [
    Measurement(
        "start-up", "time from before exec to the guest's first line", "ms",
        [_subject(WITHOUT, start_without),
         *(_subject(name, partial(start_with, name, WITH_PEERS[name]))
           for name in WITH_PEERS)],
        [Difference(ALONE, WITHOUT, goal=5.0),
         *(Difference(CPU.format(name), CPU.format(WITHOUT))
           for name in WITH_PEERS)], rounds=15),
    Measurement(
        "peer-memory", "QEMU's memory for each peer", "bytes",
        [Subject(f"{MANY_PEERS:,} peers", memory_for_each)], rounds=5),
]
