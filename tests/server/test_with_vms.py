# SPDX-License-Identifier: GPL-2.0-or-later
"""ivshmemd with virtual machines: boards, and Linux with the PCI device."""

from pathlib import Path

import pytest

from ivshmem import Testbed, TestbedError, artifacts, soak
from ivshmem.board import BOARDS, Board, usual_device
from ivshmem.linux import plain_device
from ivshmem.memory import SharedMemory
from ivshmem.peer import Peer
from ivshmem.process import Process
from ivshmem.server import memfd

from .lab import Lab
from .manager import Manager


def why_not() -> str | None:
    """What is missing to run virtual machines, if anything."""
    try:
        artifacts.qemu_system("arm")
        artifacts.firmware(BOARDS[0], "echo")
        artifacts.linux("initramfs")
    except TestbedError as error:
        return str(error)
    return None


MISSING = why_not()
pytestmark = [pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
              pytest.mark.bed_seconds(200.0), pytest.mark.timeout(250)]

MANY_BOARDS = 30
MOST_VECTORS = 64
RESTARTS = 5
PINGS = 2000
AA = 0x4141  # an ID with two printable bytes, for Linux's command line


class Running:
    """A running server, for the other functions of the testbed."""

    def __init__(self, socket: Path, process: Process) -> None:
        self.socket = socket
        self.memory = SharedMemory(memfd(process))


def number(board: Board, name: str) -> int:
    """A property of the board's device."""
    value: int = board.qmp.command(
        "qom-get", path="/machine/peripheral-anon/device[0]", property=name)
    return value


def test_many_boards_with_many_vectors(bed: Testbed, lab: Lab) -> None:
    """They start one after another, and each learns all peers."""
    server = Running(lab.socket, lab.ivshmemd("-n", str(MOST_VECTORS)))
    boards: list[Board] = []
    for _ in range(MANY_BOARDS):
        board = bed.board("mps2-an385", "echo", server, paused=True)
        # The board has its ID once it has all of its own vectors.
        assert number(board, "own-id") == len(boards)
        boards.append(board)
    for board in boards:
        bed.wait(f"{board.name} to know all",
                 lambda: number(board, "peers") == MANY_BOARDS - 1)


def test_no_doorbell_of_boards_is_lost(bed: Testbed, lab: Lab) -> None:
    """The server is killed and restarted in the meantime."""
    manager = Manager(lab)
    server = Running(lab.socket, manager.start())
    game = soak.Game(bed, BOARDS, "server", server=server)

    for turn in range(RESTARTS):
        game.go_on(0.3)
        if turn % 2:
            manager.reload()
        else:
            manager.restart()
    game.go_on(0.3)

    game.finish()
    manager.expect_reloads()


def test_no_doorbell_of_linux_is_lost(bed: Testbed, lab: Lab) -> None:
    manager = Manager(lab)
    server = Running(lab.socket, manager.start())
    server.memory.set_words(0, 1 << 16)
    board = bed.board("mps2-an385", "echo", server)
    bed.wait("the board to listen",
             lambda: board.said("^echo: listening id=0$"))
    linux = bed.linux(f"ivshmem ping 0 {PINGS}", server)
    bed.wait("Linux to ring", lambda: server.memory.word(4))

    manager.restart()
    bed.wait("more doorbells", lambda: server.memory.word(4) > PINGS // 4)
    manager.reload()
    bed.wait("more doorbells", lambda: server.memory.word(4) > PINGS // 2)
    manager.restart()

    bed.wait("Linux to end", lambda: linux.said(
        rf"^peer 0 answered {PINGS} of {PINGS} "))
    assert server.memory.word(4) == PINGS
    manager.expect_reloads()


def test_restarted_board_is_the_same_peer(bed: Testbed, lab: Lab) -> None:
    """Another peer rings it before and after, by the ID of its socket."""
    own = lab.path("own")
    server = Running(lab.socket, lab.ivshmemd("--socket", str(lab.socket),
                                              "--socket", f"{own},id=7"))
    at_own_socket = Running(own, lab.bed.processes[0])
    peer = Peer(lab.socket, timeout=bed.remaining())
    server.memory.set_words(0, peer.id << 16)

    for _ in range(3):
        board = bed.board("mps2-an385", "echo", at_own_socket)
        bed.wait("the board to listen",
                 lambda: board.said("^echo: listening id=7$"))
        peer.wait_for_peer(7, bed.remaining())
        peer.ring(7)
        assert peer.wait_for_doorbells(bed.remaining()) == 1
        board.qmp.command("quit")
        bed.wait_for_failure(board, "ended with status 0")
        peer.wait_for_departure(7, bed.remaining())
    peer.close()


def test_plain_device_joins_the_memory(bed: Testbed, lab: Lab) -> None:
    """Linux without a server reads a word of the board, its count of doorbells,
    and writes one: the peer that the board rings in answer."""
    own = lab.path("own")
    lab.ivshmemd("-M", lab.object, "--socket", str(lab.socket),
                 "--socket", f"{own},id={AA}")
    peer = Peer(lab.socket, timeout=bed.remaining())
    named_by_linux = Peer(own, timeout=bed.remaining())
    board = bed.board("mps2-an385", "echo",
                      device=usual_device("mps2-an385", lab.socket))
    bed.wait("the board to listen",
             lambda: board.said("^echo: listening id=1$"))
    peer.wait_for_peer(1, bed.remaining())
    for _ in range(ord("0")):
        peer.ring(1)
        assert peer.wait_for_doorbells(bed.remaining()) == 1

    linux = bed.linux("ivshmem read 4 1 ; ivshmem info ; ivshmem write 2 AA",
                      device=plain_device(Path("/dev/shm", lab.object)))
    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))

    assert linux.said("^0init: "), "written by the board"
    assert linux.said("^own ID 0$") and linux.said("^memory 4194304 bytes$")
    peer.ring(1)
    assert named_by_linux.wait_for_doorbells(bed.remaining()) == 1
    assert peer.take_doorbells() == 0
    for each in (peer, named_by_linux):
        each.close()
