# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM connected to a fake server.

What a server does wrong during the handshake must make QEMU refuse to start.
What it does wrong later must not harm the VM. The boards run
guest/tests/ring-on-command.c.
"""

import os
import re
import select
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from ivshmem import eventfd, procfs
from ivshmem.testbed import Testbed
from ivshmem.board import Board, flat_device
from ring_on_command import RingCommands
from ivshmem.fake_server import OWN_ID, PEER, PEER_VECTORS, FakeServer
from ivshmem.process import TestbedError

T = TypeVar("T")

BOARD = "mps2-an385"
EVENTFD = "anon_inode:[eventfd]"

# QEMU must refuse within this time, whatever the server does.
REFUSAL_SECONDS = 10.0

# The most warnings that QEMU may print, even after thousands of errors
WARNINGS_MAX = 100

# The longest wait for what QEMU's own threads do
SETTLE_SECONDS = 20.0
LOOK_SECONDS = 0.01


def message(text: str) -> str:
    """A pattern for a message of QEMU's and the hints that follow it."""
    return rf"^qemu-system-[^\n]*{text}.*(\n(?!qemu-system-).*)*"


@contextmanager
def refused(bed: Testbed, server: FakeServer,
            reason: str) -> Iterator[Board]:
    """What the server does in this block must make QEMU refuse to start, with
    a message that matches this pattern."""
    board = bed.board(BOARD, "ring-on-command", server)
    bed.wait("QEMU to connect", server.accept)
    board.expect_error(message(reason))
    with suppress(ConnectionError):  # QEMU may hang up early
        yield board
    bed.wait_for_failure(board, f"^{board.name} ended with status 1:",
                         REFUSAL_SECONDS)
    if board.output:
        raise TestbedError(f"{board.name} ran its guest before it ended")


@contextmanager
def unharmed(bed: Testbed, server: FakeServer, *,
             warning: str | None = None, files: Mapping[str, int] = {},
             peers: int = 1) -> Iterator["Vm"]:
    """What the server does in this block, after a good handshake, must not
    harm the VM.

    If `warning` is given, QEMU must print a warning that matches it.
    Afterwards QEMU must know `peers` peers, and have as many more (or fewer)
    files open as `files` says.
    """
    vm = Vm(bed, server)
    vm.shake_hands()
    before = vm.open_files()
    yield vm
    vm.check()
    vm.check_files(before, files)
    vm.check_peers(peers)
    if warning is not None:
        vm.wait_for_warning(warning)


class Vm:
    """A board with a fake server."""

    def __init__(self, bed: Testbed, server: FakeServer,
                 board: str = BOARD) -> None:
        self._bed = bed
        self._server = server
        self._commands = RingCommands(server.memory)
        # Discard guest errors: the guest only rings what a test orders.
        self.board = bed.board(board, "ring-on-command", server, [
            *flat_device(server.socket), "-D", os.devnull])
        self.pid = self.board.pid
        bed.wait("QEMU to connect", server.accept)

    def shake_hands(self) -> None:
        self._server.shake_hands()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Waits until the guest is up, then checks the VM."""
        self._bed.wait("the guest to be ready", lambda: self.board.said(
            f"^ring-on-command: ready id={OWN_ID}$"))
        self.check()

    def run_command(self, rings: Sequence[tuple[int, int]] = ()) -> None:
        """Has the guest ring each of these (peer, vector) once."""
        self._send_command(rings, times=1)
        self._wait_for_command()

    @contextmanager
    def commanding(self, rings: Sequence[tuple[int, int]]) -> Iterator[None]:
        """Has the guest ring these repeatedly during the block."""
        self._send_command(rings, times=0)
        yield
        self._commands.end()
        self._wait_for_command()

    def times_rung(self) -> int:
        """How many times the guest has rung the whole list."""
        return self._commands.times_rung()

    def check(self) -> None:
        """Checks the VM after QEMU has read everything from the server."""
        self.check_heard()
        self.check_alive()

    def check_heard(self) -> None:
        self._bed.wait("QEMU to read all messages", self._server.all_heard)

    def check_alive(self) -> None:
        """QEMU answers, the VM can be rung, it can read and write the shared
        memory, and it can ring all vectors of the known peer."""
        self.check_running()
        self._require("its own ID", self._property("own-id"), OWN_ID)
        self.check_rings([(PEER, vector) for vector in range(PEER_VECTORS)],
                         self._server.peer_doorbells)

    def check_running(self) -> None:
        status = self.board.qmp.command("query-status")["status"]
        self._require("the VM", status, "running")

    def check_rings(self, rings: Sequence[tuple[int, int]],
                    doorbells: Sequence[int]) -> None:
        """When the guest rings these, each must ring its own eventfd only."""
        rung = [0] * len(rings)

        def take() -> list[int]:
            for i, doorbell in enumerate(doorbells):
                if select.select([doorbell], [], [], 0)[0]:
                    rung[i] += eventfd.read(doorbell)
            return rung

        take()
        rung[:] = [0] * len(rings)
        self.run_command(rings)
        expected = [1] * len(rings)
        self._require(f"what rings {rings} brought",
                      self.settle(take, lambda now: now == expected), expected)

    def open_files(self) -> Counter[str]:
        """QEMU's open files according to procfs. Display surfaces are left out
        because they come and go; so are files named after the process ID, such
        as a sanitizer's report."""
        return Counter({
            file: number
            for file, number in procfs.open_files(self.pid).items()
            if file != "/memfd:displaysurface (deleted)" and
            not file.endswith(f".{self.pid}")})

    def check_files(self, before: Counter[str],
                    more: Mapping[str, int] = {}) -> None:
        """Waits until QEMU has exactly these files open, and `more`."""
        expected = Counter(before)
        expected.update(more)
        now = self.settle(self.open_files, lambda now: now == expected)
        for file in expected | now:
            self._require(f"the number of its fds for {file}",
                          now[file], expected[file])

    def check_peers(self, expected: int) -> None:
        self._require("the number of its peers", self._property("peers"),
                      expected)

    def wait_for_warning(self, warning: str) -> None:
        """Waits for a warning that matches this pattern. QEMU must not print
        it too often."""
        pattern = message(f"warning: .*{warning}")
        self.board.expect_error(pattern, most=WARNINGS_MAX)
        self._bed.wait(f"QEMU to warn with '{warning}'", lambda: re.search(
            pattern, "\n".join(self.board.errors), re.MULTILINE))

    def _send_command(self, rings: Sequence[tuple[int, int]],
                        times: int) -> None:
        self._commands.order(rings, times)
        eventfd.write(self._server.own_doorbell)

    def _wait_for_command(self) -> None:
        self._bed.wait("the guest to run its command", self._commands.done)

    @staticmethod
    def settle(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
        """Polls until enough() is true or the time is up. Returns the last
        value."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while not enough(seen := look()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return seen

    def _require(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise TestbedError(f"{self.board.name}: {what} is {found}, "
                               f"expected {expected}")

    def _property(self, name: str) -> object:
        value: object = self.board.qmp.command(
            "qom-get", path="/machine/peripheral-anon/device[0]",
            property=name)
        return value
