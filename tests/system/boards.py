# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards as test parameters, and helpers for tests that restart the server.

Boards whose CPU is not an Arm are tested if their QEMU was built.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS, OTHER_BOARDS, Board, usual_device
from ivshmem.boards import wiring
from ivshmem.process import Process
from ivshmem.server import Server, is_listening

B = TypeVar("B", bound=Board)

TARGETS = {name: wiring(name).target for name in OTHER_BOARDS}
MISSING = [target for target in TARGETS.values()
           if not artifacts.is_built(target)]
REASON = (f"no QEMU for {' and '.join(MISSING)}: `make check "
          f"TARGETS=\"arm {' '.join(TARGETS.values())}\"` builds and tests them")


def if_built(*names: str) -> Any:
    """A set of boards for a test, skipped if their QEMU is missing."""
    missing = any(TARGETS.get(name) in MISSING for name in names)
    return pytest.param(*names,
                        marks=pytest.mark.skipif(missing, reason=REASON))


EVERY_BOARD = [if_built(name) for name in (*BOARDS, *OTHER_BOARDS)]

# Each of the other boards with each of the two Cortex-M boards
OTHER_PAIRS = [if_built(*pair) for name in OTHER_BOARDS
               for pair in ((name, BOARDS[1]), (BOARDS[0], name))]


def returning_device(board: str, server_socket: Path) -> list[str]:
    """The usual device, with a chardev that reconnects to the server."""
    told = subprocess.run([str(artifacts.qemu_system("arm")), "--version"],
                          check=True, capture_output=True, text=True).stdout
    version = re.search(r"version (\d+)\.(\d+)", told)
    assert version
    # QEMU before 9.2 counts in seconds.
    is_new = tuple(map(int, version.groups())) >= (9, 2)
    options = usual_device(board, server_socket)
    options[1] += ",reconnect-ms=100" if is_new else ",reconnect=1"
    return options


def expect_returns(board: Board, returns: int) -> None:
    """Expects what QEMU prints when the server goes away and comes back this
    many times. At the end of the test the server may be gone again."""
    board.expect_error("warning: .*server has gone", returns + 1, returns)
    board.expect_error("info: .*server is back", returns, returns)
    # QEMU keeps trying while a server is slow to start or to end.
    board.expect_error("Unable to connect character device", most=1000,
                       least=0)
    board.expect_error("warning: .*server closed the connection during",
                       most=10 * returns, least=0)


def start_returning(bed: Testbed, server: Server, name: str, program: str,
                    returns: int = 0) -> Board:
    """Starts a board that the server will come back to this many times."""
    board = bed.board(name, program,
                      device=returning_device(name, server.socket))
    if returns:
        expect_returns(board, returns)
    return with_early_rings(board)


def with_early_rings(board: B) -> B:
    """Accepts that the board rings peers that its QEMU does not know yet, or
    no longer knows."""
    board.expect_error(r"DOORBELL rings vector \d of peer .*: no such",
                       most=100, least=0)
    return board


def property_of(board: Board, name: str) -> object:
    """A property of the board's device, read over QMP."""
    return board.qmp.command(
        "qom-get", path="/machine/peripheral-anon/device[0]", property=name)


@dataclass
class Keeper:
    """An ivshmemd whose memory survives a restart of the server.

    QEMU's server cannot do that.
    """

    socket: Path

    def start(self, bed: Testbed) -> Process:
        server = bed.program("ivshmemd", [
            str(artifacts.ivshmemd()), "-S", str(self.socket),
            "-m", str(self.socket.parent)])
        bed.wait("the server to listen", lambda: is_listening(self.socket))
        return server
