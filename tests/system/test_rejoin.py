# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards find each other again after the server or one of them restarts.

They run guest/examples/rejoin.c, which describes the words.
"""

from dataclasses import dataclass, field

import pytest

from boards import Keeper, property_of, start_returning
from ivshmem import Testbed
from ivshmem.board import BOARDS, Board
from ivshmem.server import Server

both_servers = pytest.mark.both_servers
either_first = pytest.mark.parametrize("names", [BOARDS, BOARDS[::-1]])


def start(bed: Testbed, server: Server, name: str, returns: int = 0) -> Board:
    return start_returning(bed, server, name, "rejoin", returns)


@dataclass
class Told:
    """What a board has printed since it last joined."""

    joined: int = 0  # how many times
    epoch: int = 0
    id: int = -1
    others: dict[str, int] = field(default_factory=dict)


def told(board: Board) -> Told:
    result = Told()
    for match in board.matches(r"^rejoin: (?:joined epoch (\d+) as|(\S+) is) "
                               r"id (\d+)$"):
        epoch, other, number = match.groups()
        if epoch:
            result = Told(result.joined + 1, int(epoch), int(number))
        else:
            result.others[other] = int(number)
    return result


def wait_for_meeting(bed: Testbed, *boards: Board, joined: int = 1) -> None:
    """Waits until each has joined this many times and knows the other's ID."""
    def have_met() -> bool:
        all_told = {board.kind: told(board) for board in boards}
        return all(
            one.joined == joined and one.epoch == 1 and
            one.others == {name: other.id for name, other in all_told.items()
                           if other is not one}
            for one in all_told.values())

    bed.wait("the boards to meet", have_met)


@both_servers
@either_first
def test_server_returns_with_new_memory(bed: Testbed,
                                        names: tuple[str, str]) -> None:
    returns = 3
    server = bed.server()
    boards = [start(bed, server, name, returns) for name in names]
    wait_for_meeting(bed, *boards)

    for joined in range(2, 2 + returns):
        server.stop()
        server = bed.server(socket=server.socket)
        wait_for_meeting(bed, *boards, joined=joined)

    assert boards[names.index(BOARDS[0])].count("setting it up") == 1 + returns
    assert boards[names.index(BOARDS[1])].count("setting it up") == 0


@either_first
def test_server_returns_with_the_same_memory(bed: Testbed,
                                             names: tuple[str, str]) -> None:
    """The epoch stays, and nothing is set up again. IDs may change."""
    keeper = Keeper(bed.directory() / "socket")
    server = keeper.start(bed)
    boards = [start(bed, keeper, name, returns=3) for name in names]
    wait_for_meeting(bed, *boards)

    for sessions in range(2, 5):
        server.stop()
        server = keeper.start(bed)
        server.expect_error("from an earlier run: its contents are kept")
        for board in boards:
            bed.wait("the server to return", lambda: property_of(
                board, "sessions") == sessions)
        ids = {board.kind: property_of(board, "own-id") for board in boards}
        for board in boards:
            bed.wait("the boards to meet", lambda: ids == {
                board.kind: told(board).id, **told(board).others})

    assert sum(board.count("setting it up") for board in boards) == 1


@both_servers
@either_first
def test_board_returns(bed: Testbed, names: tuple[str, str]) -> None:
    server = bed.server()
    stays, leaves = (start(bed, server, name) for name in names)
    wait_for_meeting(bed, stays, leaves)

    for number in (2, 3):
        leaves.stop()
        leaves = start(bed, server, names[1])
        wait_for_meeting(bed, stays, leaves)
        assert told(leaves).id == number
