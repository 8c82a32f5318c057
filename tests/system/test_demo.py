# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's firmware on two boards, in each pairing, and on three."""

import os
import signal
from itertools import product

import pytest

from boards import EVERY_BOARD, OTHER_PAIRS, if_built
from ivshmem import Testbed, demo
from ivshmem.board import BOARDS, OTHER_BOARDS
from ivshmem.peer import Peer

pytestmark = pytest.mark.both_servers

RINGS_AT_ONCE = 1000


@pytest.mark.parametrize("first, second", [
    *product(BOARDS, BOARDS), *OTHER_PAIRS])
def test_two_boards_verify_each_other(bed: Testbed, first: str,
                                      second: str) -> None:
    server = bed.server()

    boards = demo.start(bed, server, [first, second], in_order=True)
    results = demo.finish(bed, boards)

    assert [result.id for result in results] == [0, 1]
    demo.check_course(server, boards)


@pytest.mark.parametrize("first, second, third", [
    (*BOARDS, BOARDS[0]), if_built(*OTHER_BOARDS, BOARDS[1])])
def test_three_boards_at_once(bed: Testbed, first: str, second: str,
                              third: str) -> None:
    server = bed.server()

    boards = demo.start(bed, server, [first, second, third], in_order=False)
    results = demo.finish(bed, boards)

    assert sorted(result.id for result in results) == [0, 1, 2]
    demo.check_course(server, boards)


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_doorbells_at_any_moment_do_no_harm(bed: Testbed, board: str) -> None:
    """A doorbell means "look again". An interrupt must not disturb the
    firmware, whenever it arrives."""
    server = bed.server()
    peer = bed.peer(server)
    members = demo.start(bed, server, [board, BOARDS[1]], in_order=True)
    ids = [peer.id + 1, peer.id + 2]
    for own_id in ids:
        peer.wait_for_peer(own_id, bed.remaining())

    def done_while_rung() -> bool:
        for _ in range(RINGS_AT_ONCE):
            for own_id in ids:
                peer.ring(own_id)
        return all(member.said(demo.RESULT) for member in members)

    bed.wait("the demo to end", done_while_rung)
    demo.finish(bed, members)
    for slot, own_id in enumerate(ids):
        assert server.memory.read(
            demo.block_offset(slot),
            demo.BLOCK_BYTES) == demo.block(own_id, slot)


def test_one_board_too_many_is_turned_away(bed: Testbed) -> None:
    server = bed.server()
    demo.finish(bed, demo.start(bed, server, BOARDS, in_order=False))

    third = bed.board(BOARDS[0], "demo", server)

    bed.wait_for_failure(third, "FAILED the lobby is full, 2 of 2")


@pytest.mark.parametrize("attempt", range(3))
def test_stopped_qemu_answers_a_newcomer(bed: Testbed,
                                         attempt: int) -> None:
    """A QEMU gets no CPU time while peers join and leave. Then a new board
    rings its board, before the device has read of the new peer. The answer
    must still reach the new board."""
    server = bed.server()
    waiting = bed.board(BOARDS[0], "demo", server)
    bed.wait("the first board to be present", lambda: server.memory.word(
        demo.Seat(0).state) == demo.PRESENT)

    os.kill(waiting.pid, signal.SIGSTOP)
    try:
        for _ in range(50):
            Peer(server.socket).close()
        newcomer = bed.board(BOARDS[1], "demo", server)
        bed.wait("the newcomer's first message", lambda: server.memory.word(
            demo.Mailbox(1, 0).sequence) == 1)
    finally:
        os.kill(waiting.pid, signal.SIGCONT)

    demo.finish(bed, [waiting, newcomer])
