# SPDX-License-Identifier: GPL-2.0-or-later
"""The documented command lines, with all defaults.

The server's socket, both addresses and the size are the default ones. The
boards run guest/tests/defaults.c, which expects these.
"""

import shlex
from pathlib import Path

import pytest

from ivshmem import Testbed, TestbedError
from ivshmem.board import BOARDS, Board
from ivshmem.server import IvshmemServer, is_listening

pytestmark = [pytest.mark.xdist_group("/tmp/ivshmem_socket"),
              pytest.mark.both_servers]

SOCKET = Path("/tmp/ivshmem_socket")
DEVICE = ("-chardev socket,path=/tmp/ivshmem_socket,id=ivshmem_flat -device "
          "ivshmem-flat,x-bus-qompath=\"/sysbus\",chardev=ivshmem_flat")
IRQ_PATHS = {
    "lm3s6965evb": "/machine/unattached/device[1]/nvic/unnamed-gpio-in[0]",
    "mps2-an385": "/machine/armv7m/nvic/unnamed-gpio-in[0]",
}
QUESTIONS = (0x600DCAFE, 0xDEADBEEF)


@pytest.fixture
def server(bed: Testbed) -> IvshmemServer:
    if is_listening(SOCKET):
        pytest.skip(f"{SOCKET} is in use: another server listens there")
    if SOCKET.exists():
        pytest.fail(f"{SOCKET} is left over from a server that was killed: "
                    "remove it")
    return bed.server(socket=SOCKET)


def start(bed: Testbed, server: IvshmemServer, board: str,
          options: str) -> Board:
    """Starts a board with these options, split as a shell splits them."""
    memory = server.memory
    last = len(memory) - 8
    memory.set_words(0, QUESTIONS[0])
    memory.set_words(last, QUESTIONS[1])
    running = bed.board(board, "defaults", server, shlex.split(options))
    if board == "mps2-an385":  # the default address covers its Ethernet
        running.expect_error("warning: .* covers 'lan9118")
    bed.wait(f"the firmware of {board}", lambda: running.said("^defaults: id"))
    assert running.qmp.command("query-status")["status"] == "running"
    assert memory.word(4) == QUESTIONS[0] ^ 0xFFFFFFFF
    assert memory.word(last + 4) == QUESTIONS[1] ^ 0xFFFFFFFF
    return running


def own_id(board: Board) -> int:
    return int(board.found(r"^defaults: id=(\d+)$")[1])


def has_object(board: Board, path: str) -> bool:
    """Whether this QEMU has an object at this path."""
    try:
        board.qmp.command("qom-list", path=path)
    except TestbedError:
        return False
    return True


@pytest.mark.parametrize("board", BOARDS)
def test_with_interrupt_line(bed: Testbed, server: IvshmemServer,
                             board: str) -> None:
    peer = bed.peer(server)

    running = start(bed, server, board,
                    f"{DEVICE},x-irq-qompath={IRQ_PATHS[board]}")

    assert own_id(running) == peer.id + 1
    peer.wait_for_peer(peer.id + 1, bed.remaining())
    peer.ring(peer.id + 1)
    bed.wait("the board to hear a doorbell",
             lambda: running.said("^defaults: doorbell$"))
    controller = IRQ_PATHS[board].rpartition("/")[0]
    if not has_object(running, controller):
        running.expect_error("warning: .* x-irq-qompath .* does not exist")


@pytest.mark.parametrize("board", BOARDS)
def test_without_interrupt_line(bed: Testbed, server: IvshmemServer,
                                board: str) -> None:
    bed.peer(server)  # has ID 0, so the board's 0 means "no ID"

    running = start(bed, server, board, DEVICE)

    assert own_id(running) == 0
    running.expect_error("warning: .*interrupts are off")
