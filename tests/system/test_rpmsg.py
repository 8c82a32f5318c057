# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMsg between Linux as the host and Zephyr on a board.

Linux runs guest/linux/rpmsg.c, with open-amp and libmetal from the Zephyr
workspace. The board runs zephyr/samples/ipc_echo, which sends back each
message.
"""

import re
from pathlib import Path

import pytest

from boards import with_early_rings
from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS, flat_device
from ivshmem.linux import LinuxGuest
from ivshmem.server import IvshmemServer
from ivshmem.zephyr import ZephyrBoard
from typist import ends, opens, start_typist, types_and_reads

pytestmark = [
    pytest.mark.zephyr,
    pytest.mark.bed_seconds(240.0),
    pytest.mark.skipif(
        not (artifacts.CHECKOUT / "build/linux/ivshmem-rpmsg").exists(),
        reason="the Zephyr workspace has no open-amp and libmetal: get them "
        "with `west update open-amp libmetal`"),
]

VECTORS = 2


def start_board(bed: Testbed, server: IvshmemServer,
                board: str) -> ZephyrBoard:
    # A mailbox rings the guest that had its name, which may be gone.
    return with_early_rings(bed.zephyr(
        board, "rpmsg_echo_remote", server,
        flat_device(server.socket, more_lines=[27])))


def start_linux(bed: Testbed, server: IvshmemServer,
                command: str) -> LinuxGuest:
    return bed.linux(f"ivshmem-rpmsg {command}", server, vectors=VECTORS)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("board_first", [True, False])
def test_messages_come_back(bed: Testbed, board: str,
                            board_first: bool) -> None:
    server = bed.server(vectors=VECTORS)
    if board_first:
        start_board(bed, server, board)
    linux = start_linux(bed, server, "ping echo 1000")
    if not board_first:
        bed.wait("Linux to wait", lambda: server.memory.read(0, 1024).find(
            b"host") > 0)
        start_board(bed, server, board)

    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))

    assert linux.said("^1000 of 1000 messages came back in ")


def test_board_restarts(bed: Testbed) -> None:
    server = bed.server(vectors=VECTORS)
    board = start_board(bed, server, BOARDS[1])
    linux = start_linux(bed, server, "ping echo 3000")

    for restarts in (1, 2):
        bed.wait("Linux and the board to link", lambda: linux.count(
            "^linked with 'echo'$") == restarts)
        board.stop()
        board = start_board(bed, server, BOARDS[1])
    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))

    assert linux.count("^the board has restarted$") == 2
    assert linux.said("^3000 of 3000 messages came back in ")


def test_person_types_to_the_board(bed: Testbed) -> None:
    server = bed.server(vectors=VECTORS)
    start_board(bed, server, BOARDS[1])
    linux = start_linux(bed, server, "console echo")
    bed.wait("Linux and the board to link",
             lambda: linux.said("^linked with 'echo'$"))

    linux.type("hello, board")

    # Once from the terminal's echo, once from the board
    bed.wait("the board's answer", lambda: linux.count("^hello, board$") == 2)


def test_person_types_to_the_board_in_a_terminal(bed: Testbed,
                                                 tmp_path: Path) -> None:
    server = bed.server(vectors=VECTORS)
    start_board(bed, server, BOARDS[1])
    linux = start_typist(bed, server, tmp_path, "echo", VECTORS)

    opens(bed, linux)
    types_and_reads(bed, linux, "hello, board")
    ends(bed, linux)


@pytest.mark.parametrize("start, reason", [
    (False, "no board has entered the name 'remote'"),
    (True, r"peer \d, the board, did not announce the service 'song'")])
def test_no_remote(bed: Testbed, start: bool, reason: str) -> None:
    server = bed.server(vectors=VECTORS)
    if start:
        start_board(bed, server, BOARDS[1])
    linux = start_linux(bed, server, "-t 3 ping song")
    linux.FAILURE = re.compile("panic")

    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))

    assert linux.said(f"^ivshmem-rpmsg: {reason}$")
    assert linux.said("^init: ivshmem-rpmsg ended with status 1$")
