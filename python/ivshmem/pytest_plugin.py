# SPDX-License-Identifier: Apache-2.0
"""pytest fixtures for tests of your own firmware.

    def test_answers(qemu_board, ivshmem_peer):
        board = qemu_board("mps2-an385", "your.elf")
        board.expect("ready")
        ivshmem_peer.wait_for_peer(1)
        ivshmem_peer.ring(1)
        board.expect(r"heard (\\d+)")

Everything that a test starts is stopped when the test ends. If the test fails,
pytest shows what every process wrote, in chronological order. A test also fails
if a board or the server exits by itself or writes to stderr, where QEMU reports
guest errors.

The mark ivshmem changes the settings of a test:

    @pytest.mark.ivshmem(timeout=120, size=1024 * 1024, vectors=2)

`timeout` is how many seconds the test may wait in total (default: 60), `size`
is the size of the shared memory in bytes (default: 4 MiB), and `vectors` is the
number of vectors of each client (default: 1).
"""

import re
from collections.abc import Iterator, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest

from . import boards, peer, process, testbed
from .board import Board, device_options
from .boards import wiring
from .memory import MIB
from .peer import Peer
from .process import TestbedError
from .server import IvshmemServer
from .testbed import Testbed

# For a TestbedError, pytest shows the line of the test, not of the package.
__tracebackhide__ = methodcaller("errisinstance", TestbedError)
for _module in boards, peer, process, testbed:
    setattr(_module, "__tracebackhide__", __tracebackhide__)

DEFAULTS: dict[str, Any] = {"timeout": 60.0, "size": 4 * MIB, "vectors": 1}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "ivshmem(timeout=60, size=4194304, vectors=1): settings of "
        "the ivshmem fixtures for this test")


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Runs after a test that has passed, and fails it if a process did not end
    well."""
    bed = getattr(item, "funcargs", {}).get("ivshmem_bed")
    if isinstance(bed, Testbed):
        bed.close()


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    mark = request.node.get_closest_marker("ivshmem")
    given = mark.kwargs if mark else {}
    if unknown := set(given) - set(DEFAULTS):
        raise pytest.UsageError(
            f"{request.node.nodeid}: the mark ivshmem has no setting "
            f"{', '.join(sorted(unknown))}, only {', '.join(DEFAULTS)}")
    return {**DEFAULTS, **given}


def _where(machine: str, registers: int | None, memory: int | None,
           irq: str | None, vectors: int) -> tuple[int, int, str | None]:
    """Takes missing values from boards.py."""
    if registers is None or memory is None or irq == "":
        try:
            usual = wiring(machine)
        except TestbedError as error:
            raise TestbedError(f"{error}. For another board, pass registers=, "
                               "memory=, irq= and qemu=") from error
        registers = usual.registers if registers is None else registers
        memory = usual.memory if memory is None else memory
        irq = usual.paths(vectors) if irq == "" else irq
    return registers, memory, irq


class QemuBoard:
    """A running board."""

    def __init__(self, bed: Testbed, board: Board) -> None:
        self._bed = bed
        self._board = board
        self._read = 0
        self.qmp = board.qmp

    @property
    def output(self) -> Sequence[str]:
        """All lines on its console so far."""
        return list(self._board.output)

    def expect(self, pattern: str,
               timeout: float | None = None) -> re.Match[str]:
        """Waits for a line on the console that matches this regular expression.
        Starts after the line that the previous call found."""
        def find() -> re.Match[str] | None:
            for number, line in enumerate(self.output[self._read:],
                                          self._read + 1):
                if match := re.search(pattern, line):
                    self._read = number
                    return match
            return None

        return self._bed.wait(f"{self._board.name} to say '{pattern}'", find,
                              timeout)

    def send(self, line: str) -> None:
        """Sends a line of input to the console."""
        self._board.type(line)

    def expect_error(self, pattern: str, most: int = 1) -> None:
        """Expects QEMU to write this to stderr, at most `most` times."""
        self._board.expect_error(pattern, most)

    def stop(self) -> None:
        self._board.stop()


class QemuBoards:
    """Starts boards, connected to the test's server."""

    def __init__(self, bed: Testbed, server: IvshmemServer, size: int,
                 vectors: int) -> None:
        self._bed = bed
        self._server = server
        self._size = size
        self._vectors = vectors

    def __call__(self, machine: str, elf: str | Path, *,
                 registers: int | None = None, memory: int | None = None,
                 irq: str | None = "",
                 failure: str | None = None, arguments: Sequence[str] = (),
                 qemu: str | Path | None = None) -> QemuBoard:
        """Starts a board with an image, and returns at once.

        `machine` is QEMU's name for the board. `registers` and `memory` are the
        addresses of the device. `irq` is the value of x-irq-qompath, such as
        A;B;C for three vectors, or None for no interrupts. The defaults are
        in boards.py, which has lines for the first four vectors. For a machine
        that is not in boards.py, pass all three and `qemu`. A line on the
        console that matches `failure`, a regular expression, fails the test at
        once. `arguments` are more options for QEMU. `qemu` is the program to
        use instead of the usual one."""
        image = Path(elf)
        if not image.is_file():
            raise TestbedError(f"there is no image {image}: build it first")
        where = _where(machine, registers, memory, irq, self._vectors)
        device = device_options(self._server.socket, *where, self._size)
        board = self._bed.image(machine, image, [*device, *arguments],
                                qemu=Path(qemu) if qemu else None)
        board.FAILURE = re.compile(failure or "(?!)")
        return QemuBoard(self._bed, board)


@pytest.fixture
def ivshmem_bed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    """The ivshmem.Testbed that the other fixtures use."""
    bed = Testbed(_settings(request)["timeout"])
    yield bed
    bed.stop()
    print(bed.transcript())


@pytest.fixture
def ivshmem_server(request: pytest.FixtureRequest,
                   ivshmem_bed: Testbed) -> IvshmemServer:
    """A server with its own socket. Its `memory` is the shared memory."""
    settings = _settings(request)
    return ivshmem_bed.server(size=settings["size"],
                              vectors=settings["vectors"])


@pytest.fixture
def ivshmem_peer(request: pytest.FixtureRequest, ivshmem_bed: Testbed,
                 ivshmem_server: IvshmemServer) -> Peer:
    """A peer on the host. Its ID is 0, unless a board was started first."""
    return ivshmem_bed.peer(ivshmem_server, _settings(request)["vectors"])


@pytest.fixture
def qemu_board(request: pytest.FixtureRequest, ivshmem_bed: Testbed,
               ivshmem_server: IvshmemServer) -> QemuBoards:
    """Starts boards: see QemuBoards.__call__()."""
    settings = _settings(request)
    return QemuBoards(ivshmem_bed, ivshmem_server, settings["size"],
                      settings["vectors"])
