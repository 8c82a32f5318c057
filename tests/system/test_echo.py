# SPDX-License-Identifier: GPL-2.0-or-later
"""A sleeping board answers each doorbell with a doorbell.

The boards run guest/tests/echo.c, which describes its words in shared memory.
"""

import pytest

from boards import EVERY_BOARD
from ivshmem import Testbed
from ivshmem.board import Board
from ivshmem.peer import Peer
from ivshmem.server import IvshmemServer

pytestmark = pytest.mark.both_servers

DOORBELLS = 1000
VECTORS = 4


def start(bed: Testbed, server: IvshmemServer, board: str,
          answer: int) -> Board:
    """Returns when the board listens. It writes `answer` to DOORBELL each time
    it is rung."""
    server.memory.set_words(0, answer)
    running = bed.board(board, "echo", server)
    bed.wait(f"{board} to listen",
             lambda: running.said(r"^echo: listening id=\d+$"))
    return running


def answered(server: IvshmemServer) -> int:
    return server.memory.word(4)


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_a_thousand_doorbells_each_way(bed: Testbed, board: str) -> None:
    """One at a time: if one is lost, the test times out."""
    server = bed.server()
    peer = bed.peer(server)
    running = start(bed, server, board, answer=peer.id << 16)
    peer.wait_for_peer(peer.id + 1, bed.remaining())

    for number in range(1, DOORBELLS + 1):
        peer.ring(peer.id + 1)
        assert peer.wait_for_doorbells(bed.remaining()) == 1
        assert answered(server) == number

    running.check_idle()


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_numbers_of_several_bytes(bed: Testbed, board: str) -> None:
    """IVPOSITION and DOORBELL have the right byte order on each CPU."""
    server = bed.server(vectors=VECTORS)
    for _ in range(0x0102):
        Peer(server.socket, VECTORS).close()
    peer = bed.peer(server, VECTORS)
    assert peer.id == 0x0102

    running = start(bed, server, board, answer=0x01020003)
    peer.wait_for_peer(0x0103, bed.remaining())
    peer.ring(0x0103)

    assert peer.wait_for_doorbells(bed.remaining(), vector=3) == 1
    assert running.said(f"^echo: listening id={0x0103}$")
    assert answered(server) == 1
