# SPDX-License-Identifier: GPL-2.0-or-later
"""A sensor and a logger find each other by name: guest/examples/names.c."""

import os
import signal
from collections.abc import Callable
from itertools import permutations

import pytest

from boards import Keeper, if_built, property_of, start_returning
from ivshmem import Testbed
from ivshmem.board import BOARDS, OTHER_BOARDS, Board
from ivshmem.server import IvshmemServer, Server

both_servers = pytest.mark.both_servers

ROLES = {BOARDS[0]: "sensor", BOARDS[1]: "logger",
         OTHER_BOARDS[0]: "sensor", OTHER_BOARDS[1]: "logger"}
MESSAGES = {"sensor": "21 degrees", "logger": "noted"}
RING_BUFFERS = (0x1000, 0x2000)

# Each sensor with each logger: the CPUs and byte orders may differ
PAIRS = [BOARDS, if_built(OTHER_BOARDS[0], BOARDS[1]),
         if_built(BOARDS[0], OTHER_BOARDS[1]), if_built(*OTHER_BOARDS)]


def start(bed: Testbed, server: Server, name: str, returns: int = 0) -> Board:
    return start_returning(bed, server, name, "names", returns)


def ids(board: Board) -> list[int]:
    """The IDs with which the board has entered its name, in order."""
    return [int(match[1]) for match in board.matches(
        f"^names: {ROLES[board.kind]} is id (\\d+)$")]


def met(board: Board, other: Board) -> list[int]:
    """The other board's ID at each meeting."""
    return [int(match[1]) for match in board.matches(
        f"^names: met {ROLES[other.kind]}, id (\\d+)$")]


def heard(board: Board, other: Board) -> int:
    role = ROLES[other.kind]
    return board.count(f"^names: {role} says '{MESSAGES[role]}'$")


def wait_for_talk(bed: Testbed, *boards: Board) -> None:
    """Waits until each board has met the others with their current IDs, and
    has got a message at each meeting."""
    def have_talked() -> bool:
        return all(
            ids(other) and met(board, other)[-1:] == ids(other)[-1:] and
            heard(board, other) == len(met(board, other)) >= len(ids(board))
            for board, other in permutations(boards))

    bed.wait("the boards to exchange messages", have_talked)
    for board in boards:
        board.check_idle()


@both_servers
@pytest.mark.parametrize("sensor, logger", PAIRS)
@pytest.mark.parametrize("sensor_first", [True, False])
def test_boards_find_each_other(bed: Testbed, sensor: str, logger: str,
                                sensor_first: bool) -> None:
    """Boards find each other's IDs by name, and ring no other peer."""
    server = bed.server()
    peers = [bed.peer(server) for _ in range(3)]
    names = (sensor, logger) if sensor_first else (logger, sensor)
    boards = []
    for name in names:
        boards.append(start(bed, server, name))
        bed.wait("the name to be entered", lambda: ids(boards[-1]))

    wait_for_talk(bed, *boards)

    assert [ids(board) for board in boards] == [[3], [4]]
    assert [peer.take_doorbells() for peer in peers] == [0, 0, 0]
    assert all(heard(*pair) == 1 for pair in permutations(boards))


def reset(bed: Testbed, board: Board, server: IvshmemServer) -> Board:
    board.qmp.command("system_reset")
    return board


def replace(bed: Testbed, board: Board, server: IvshmemServer) -> Board:
    board.stop()
    return start(bed, server, board.kind)


@both_servers
@pytest.mark.parametrize("restart", [reset, replace])
@pytest.mark.parametrize("stays, leaves", [
    BOARDS, BOARDS[::-1], if_built(*OTHER_BOARDS),
    if_built(*OTHER_BOARDS[::-1])])
def test_board_restarts(
        bed: Testbed, stays: str, leaves: str,
        restart: Callable[[Testbed, Board, IvshmemServer], Board]) -> None:
    """A board restarts, with nonsense in the ring buffers. The two boards must
    meet again."""
    server = bed.server()
    one, other = (start(bed, server, name) for name in (stays, leaves))
    wait_for_talk(bed, one, other)

    for number in (2, 3):
        for offset in RING_BUFFERS:
            server.memory.set_words(offset, 1000)
        other = restart(bed, other, server)
        bed.wait("the boards to meet again",
                 lambda: len(met(one, other)) == number)
        wait_for_talk(bed, one, other)


@both_servers
@pytest.mark.parametrize("first, second", [
    BOARDS, BOARDS[::-1], if_built(*OTHER_BOARDS)])
def test_server_returns_with_new_memory(bed: Testbed, first: str,
                                        second: str) -> None:
    returns = 3
    server = bed.server()
    boards = [start(bed, server, name, returns) for name in (first, second)]
    wait_for_talk(bed, *boards)

    for number in range(2, 2 + returns):
        server.stop()
        server = bed.server(socket=server.socket)
        bed.wait("the names to be entered again", lambda: all(
            len(ids(board)) == number for board in boards))
        wait_for_talk(bed, *boards)


@pytest.mark.parametrize("names", [BOARDS, BOARDS[::-1]])
def test_server_returns_with_the_same_memory(bed: Testbed,
                                             names: tuple[str, str]) -> None:
    """The second board comes back first and gets the ID that the first board's
    name still shows. It must not ring that ID."""
    keeper = Keeper(bed.directory() / "socket")
    server = keeper.start(bed)
    boards = [start(bed, keeper, name, returns=3) for name in names]
    wait_for_talk(bed, *boards)

    for _ in range(3):
        first, second = sorted(boards, key=lambda board: ids(board)[-1])
        os.kill(first.pid, signal.SIGSTOP)
        try:
            server.stop()
            server = keeper.start(bed)
            server.expect_error("from an earlier run: its contents are kept")
            bed.wait("the second board to return", lambda: ids(second)[-1] == 0)
            rung = property_of(second, "doorbells")
            second.check_idle()
            assert property_of(second, "doorbells") == rung
        finally:
            os.kill(first.pid, signal.SIGCONT)
        bed.wait("the first board to return", lambda: ids(first)[-1] == 1)
        wait_for_talk(bed, *boards)


@both_servers
@pytest.mark.parametrize("first, second, logger", [
    (BOARDS[0], BOARDS[0], BOARDS[1]),
    if_built(OTHER_BOARDS[0], BOARDS[0], OTHER_BOARDS[1])])
def test_name_of_a_board_that_runs(bed: Testbed, first: str, second: str,
                                   logger: str) -> None:
    """If a second board enters the same name, it gets the name, and the older
    board fails with a message."""
    server = bed.server()
    boards = [start(bed, server, name) for name in (first, logger)]
    bed.wait("the boards to exchange messages", lambda: all(
        heard(*pair) == 1 for pair in permutations(boards)))

    newer = start(bed, server, second)
    bed.wait_for_failure(boards[0], "names: FAILED id 2 has taken the name "
                         "'sensor': rename one of them$")
    boards[0].check_idle()

    wait_for_talk(bed, newer, boards[1])
