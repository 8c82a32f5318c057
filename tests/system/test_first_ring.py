# SPDX-License-Identifier: GPL-2.0-or-later
"""No doorbell is lost, even at the first instruction of a guest.

The boards run guest/tests/first-ring.c, which describes its words in shared
memory and its output.
"""

import pytest

from boards import EVERY_BOARD, OTHER_PAIRS
from ivshmem import Testbed
from ivshmem.board import BOARDS, Board
from ivshmem.server import IvshmemServer

pytestmark = pytest.mark.both_servers

ROUNDS = 10
PAIRS = [BOARDS, BOARDS[::-1], *OTHER_PAIRS]


def order_rings(server: IvshmemServer, *peers: int) -> None:
    """Tells the next board to ring these peers first of all."""
    server.memory.set_words(0, len(peers), *(peer << 16 for peer in peers))


def wait_listening(bed: Testbed, board: Board) -> int:
    """Waits until the firmware is up. Returns the board's ID."""
    pattern = r"^first-ring: listening id=(\d+)$"
    return int(bed.wait(f"{board.name} to listen",
                        lambda: board.said(pattern)).group(1))


def wait_doorbell(bed: Testbed, board: Board, number: int) -> None:
    bed.wait(f"doorbell {number} on {board.name}",
             lambda: board.said(f"^first-ring: doorbell {number}$"))


@pytest.mark.parametrize("listening, ringing", PAIRS)
def test_first_instruction_rings_everyone(bed: Testbed, listening: str,
                                          ringing: str) -> None:
    """A board that has just started can ring all earlier peers: another board,
    and peers that joined before and after that board."""
    server = bed.server()
    before = bed.peer(server)
    listener = bed.board(listening, "first-ring", server)
    listener_id = wait_listening(bed, listener)
    after = bed.peer(server)
    order_rings(server, after.id, listener_id, before.id)

    for number in range(1, ROUNDS + 1):
        ringer = bed.board(ringing, "first-ring", server)
        wait_doorbell(bed, listener, number)
        assert before.wait_for_doorbells(bed.remaining()) == 1
        assert after.wait_for_doorbells(bed.remaining()) == 1
        ringer.stop()

    assert listener.count("doorbell") == ROUNDS


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_rung_while_starting(bed: Testbed, board: str) -> None:
    """A doorbell that arrives while QEMU sets up the machine waits for the
    guest."""
    server = bed.server()
    peer = bed.peer(server)

    for number in range(1, ROUNDS + 1):
        starting = bed.board(board, "first-ring", server)
        # The server assigns IDs in order. The peer hears of the new board
        # before that board gets its own vectors.
        peer.wait_for_peer(peer.id + number, bed.remaining())
        peer.ring(peer.id + number)
        assert wait_listening(bed, starting) == peer.id + number
        wait_doorbell(bed, starting, 1)
        assert starting.count("doorbell") == 1
        starting.stop()


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_rung_before_the_first_instruction(bed: Testbed, board: str) -> None:
    """A doorbell to a machine that is paused (-S) waits until it runs. It
    interrupts as soon as the firmware enables the line. The compiler must not
    move that store before the handler is set."""
    server = bed.server()
    peer = bed.peer(server)
    paused = bed.board(board, "first-ring", server, paused=True)
    assert paused.qmp.command("query-status")["status"] == "prelaunch"
    peer.wait_for_peer(peer.id + 1, bed.remaining())

    peer.ring(peer.id + 1)
    paused.qmp.command("cont")

    wait_doorbell(bed, paused, 1)


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_rings_itself_with_its_first_instruction(bed: Testbed,
                                                 board: str) -> None:
    server = bed.server()
    order_rings(server, 0)

    alone = bed.board(board, "first-ring", server)

    assert wait_listening(bed, alone) == 0
    wait_doorbell(bed, alone, 1)
