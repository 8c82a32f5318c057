# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs can still ring each other after the server has ended.

When QEMU's server ends, it tells its clients that others have left before it
hangs up on them. Those VMs are still there, and can still be rung.
"""

import os
import signal
import time

import pytest

from ivshmem import Testbed, TestbedError
from ivshmem.board import BOARDS, Board
from ivshmem.peer import Peer
from ivshmem.server import IvshmemServer
from ring_on_command import RingCommands

pytestmark = [
    pytest.mark.both_servers,
    pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT]),
]

GONE = "warning: .*server has gone"
PINGS = 2000


def end_server(bed: Testbed, server: IvshmemServer, end: signal.Signals,
               *boards: Board) -> None:
    """Ends the server and waits until the boards have noticed."""
    for board in boards:
        board.expect_error(GONE)
    os.kill(server.pid, end)
    bed.wait_for_failure(server, f"ended with status 0|killed by {end.name}")
    for board in boards:
        bed.wait(f"{board.name} to warn", lambda: board.errors)


def check_rings(bed: Testbed, server: IvshmemServer, caller: Peer,
                ringing: int, rung: int) -> None:
    """The caller rings one board, which rings the other. Both run the same
    command and ring the caller, which thus gets a doorbell from each."""
    RingCommands(server.memory).order([(rung, 0), (caller.id, 0)])
    caller.ring(ringing)
    heard = 0
    while heard < 2:
        try:
            heard += caller.wait_for_doorbells(min(10.0, bed.remaining()))
        except TestbedError as error:
            raise TestbedError(f"board {ringing} cannot ring board {rung}: "
                               f"{heard} of 2 doorbells came") from error


def test_boards_still_ring_each_other(bed: Testbed,
                                      end: signal.Signals) -> None:
    server = bed.server()
    boards = []
    for name in BOARDS:
        boards.append(bed.board(name, "ring-on-command", server))
        bed.wait(f"{name} to be up", lambda: boards[-1].said("ready"))
    caller = bed.peer(server)
    assert caller.id == len(boards)
    check_rings(bed, server, caller, 0, 1)

    end_server(bed, server, end, *boards)

    # Ring until the device would have forgotten peers that had left.
    final = time.monotonic() + 1.5
    while True:
        is_late = time.monotonic() > final
        check_rings(bed, server, caller, 0, 1)
        check_rings(bed, server, caller, 1, 0)
        if is_late:
            break
    for board in boards:
        assert board.qmp.command(
            "qom-get", path="/machine/peripheral-anon/device[0]",
            property="peers") == 2


@pytest.mark.bed_seconds(120.0)
def test_a_board_and_linux_still_ring_each_other(bed: Testbed,
                                                 end: signal.Signals) -> None:
    """Linux joins first, so that QEMU's server tells the board that Linux has
    left, and not the reverse: the PCI device would believe that."""
    server = bed.server()
    server.memory.set_words(0, 0 << 16)
    linux = bed.linux(f"ivshmem ping 1 {PINGS}", server)
    linux.qmp.command("query-status")  # answered once it is a client
    board = bed.board(BOARDS[1], "echo", server)
    bed.wait("the board to listen",
             lambda: board.said("^echo: listening id=1$"))
    bed.wait("Linux to ring", lambda: server.memory.word(4) > 0)

    end_server(bed, server, end, board)

    assert server.memory.word(4) < PINGS, "the server ended too late"
    bed.wait("Linux to end", lambda: linux.said(
        rf"^peer 1 answered {PINGS} of {PINGS} doorbells, "))
    assert server.memory.word(4) == PINGS, "doorbells heard by the board"
