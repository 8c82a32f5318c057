# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's firmware, in every pairing and as three."""

import os
import signal

import pytest

from testbed import Testbed, TestbedError, demo
from testbed.board import BOARDS, Board
from testbed.peer import Peer
from testbed.server import IvshmemServer


def assert_whole_course(boards: list[Board]) -> None:
    """Each console must tell of every step with every other board."""
    for board in boards:
        own_id = own_id_of(board)
        for other in boards:
            if other is board:
                continue
            peer = own_id_of(other)
            assert board.said(rf"^id {own_id}: meets id {peer}, "
                              rf"{other.board}, in slot \d$")
            assert board.count(rf"^id {own_id}: message \d of 5 from id "
                               rf"{peer}: \".+\"$") == demo.MESSAGES
            assert board.said(rf"^id {own_id}: id {peer} has acknowledged "
                              "all of 5 messages$")
            assert board.said(rf"^id {own_id}: verified 1048576 bytes of id "
                              rf"{peer}, ")
            assert board.said(rf"^id {own_id}: id {peer} has verified the "
                              rf"block of id {own_id}$")
        assert board.complaints() == []


def assert_blocks(server: IvshmemServer, boards: list[Board]) -> None:
    """The host, too, must find every byte of every block."""
    for board in boards:
        slot = int(board.said(r"sits in slot (\d) of").group(1))
        found = server.memory.read(demo.block_offset(slot), demo.BLOCK_BYTES)
        as_generated = found == demo.block(own_id_of(board), slot)
        assert as_generated, f"block of {board.name}"


def own_id_of(board: Board) -> int:
    return int(board.said(r"^id (\d+): .* is up$").group(1))


@pytest.mark.parametrize("second", BOARDS)
@pytest.mark.parametrize("first", BOARDS)
def test_two_boards_verify_each_other(bed: Testbed, first: str,
                                      second: str) -> None:
    server = bed.server()

    boards = demo.start(bed, server, [first, second], in_order=True)
    results = demo.finish(bed, boards)

    assert [result.id for result in results] == [0, 1]
    assert_whole_course(boards)
    assert_blocks(server, boards)


def test_three_boards_at_once(bed: Testbed) -> None:
    server = bed.server()

    boards = demo.start(bed, server, [*BOARDS, BOARDS[0]], in_order=False)
    results = demo.finish(bed, boards)

    assert sorted(result.id for result in results) == [0, 1, 2]
    assert_whole_course(boards)
    assert_blocks(server, boards)


def test_one_board_too_many_is_turned_away(bed: Testbed) -> None:
    server = bed.server()
    demo.finish(bed, demo.start(bed, server, BOARDS, in_order=False))

    bed.board(BOARDS[0], "demo", server)

    with pytest.raises(TestbedError, match="FAILED the lobby is full, 2 of 2"):
        bed.wait("the third board to give up", lambda: False)


@pytest.mark.parametrize("attempt", range(3))
def test_a_board_held_up_answers_the_one_that_came(bed: Testbed,
                                                   attempt: int) -> None:
    """A board whose QEMU got no CPU time while others came and went is rung
    by the newcomer long before its device has read of it from the server. The
    answer must reach the newcomer all the same."""
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
    assert waiting.complaints() == []
