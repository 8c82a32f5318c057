# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM whose server is fake: refused at the start, or unharmed later.

The boards run guest/tests/ring-on-command.c.
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

# Whatever the server does or leaves undone, QEMU refuses within this time.
REFUSAL_SECONDS = 10.0

# How often QEMU warns at most, though a server does wrong a thousand times.
WARNINGS_MAX = 100

# What must come to pass, but not at once. QEMU has its own threads for it.
SETTLE_SECONDS = 20.0
LOOK_SECONDS = 0.01


def message(text: str) -> str:
    """One that holds this pattern, and the hints that follow it. A guest says
    nothing there, see Vm."""
    return rf"^qemu-system-[^\n]*{text}.*(\n(?!qemu-system-).*)*"


@contextmanager
def refused(bed: Testbed, server: FakeServer,
            reason: str) -> Iterator[Board]:
    """What the server does in this block makes QEMU refuse to start, for a
    reason that holds this pattern."""
    board = bed.board(BOARD, "ring-on-command", server)
    bed.wait("QEMU to connect", server.accept)
    board.expect_error(message(reason))
    with suppress(ConnectionError):  # it need not hear the server out
        yield board
    bed.wait_for_failure(board, f"^{board.name} ended with status 1:",
                         REFUSAL_SECONDS)
    if board.output:
        raise TestbedError(f"{board.name} is refused after its guest has run")


@contextmanager
def unharmed(bed: Testbed, server: FakeServer, *,
             warning: str | None = None, files: Mapping[str, int] = {},
             peers: int = 1) -> Iterator["Vm"]:
    """What the server does in this block, after a good handshake, does no harm
    to the VM. QEMU warns with this pattern, if any; afterwards it has `files`
    more (or less) open than before, and knows of this many peers."""
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
        # The guest's mistakes are ours: it rings whom it is told to ring.
        self.board = bed.board(board, "ring-on-command", server, [
            *flat_device(server.socket), "-D", os.devnull])
        self.pid = self.board.pid
        bed.wait("QEMU to connect", server.accept)

    def shake_hands(self) -> None:
        self._server.shake_hands()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Returns when the guest is up and all is well, for the first time."""
        self._bed.wait("the guest", lambda: self.board.said(
            f"^ring-on-command: ready id={OWN_ID}$"))
        self.check()

    def run_command(self, rings: Sequence[tuple[int, int]] = ()) -> None:
        """Rings the guest and has it ring these (peer, vector)."""
        self._send_command(rings, times=1)
        self._wait_for_command()

    @contextmanager
    def commanding(self, rings: Sequence[tuple[int, int]]) -> Iterator[None]:
        """Has the guest ring these again and again, all through the block."""
        self._send_command(rings, times=0)
        yield
        self._commands.end()
        self._wait_for_command()

    def times_rung(self) -> int:
        """How often the guest has rung all whom it is to ring."""
        return self._commands.times_rung()

    def check(self) -> None:
        """All is well, after QEMU has heard all that the server said."""
        self.check_heard()
        self.check_alive()

    def check_heard(self) -> None:
        self._bed.wait("QEMU to hear the server", self._server.all_heard)

    def check_alive(self) -> None:
        """QEMU answers, the VM can be rung, memory works both ways, and all
        vectors of the known peer can be rung."""
        self.check_running()
        self._require("its own ID", self._property("own-id"), OWN_ID)
        self.check_rings([(PEER, vector) for vector in range(PEER_VECTORS)],
                         self._server.peer_doorbells)

    def check_running(self) -> None:
        """QEMU answers."""
        status = self.board.qmp.command("query-status")["status"]
        self._require("the VM", status, "running")

    def check_rings(self, rings: Sequence[tuple[int, int]],
                    doorbells: Sequence[int]) -> None:
        """Each of these, rung by the guest, rings the eventfd that belongs to
        it, and no other of them."""
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
        """As of procfs, without QEMU's displays, which come and go, and what
        bears its process ID, as a sanitizer's report does."""
        return Counter({
            file: number
            for file, number in procfs.open_files(self.pid).items()
            if file != "/memfd:displaysurface (deleted)" and
            not file.endswith(f".{self.pid}")})

    def check_files(self, before: Counter[str],
                    more: Mapping[str, int] = {}) -> None:
        """QEMU has these open, and this many more, sooner or later."""
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
        """QEMU warns with this pattern, and not too often."""
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
        """Looks until it is enough or has taken too long."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while not enough(seen := look()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return seen

    def _require(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise TestbedError(f"{self.board.name}: {what} should be "
                               f"{expected}, is {found}")

    def _property(self, name: str) -> object:
        value: object = self.board.qmp.command(
            "qom-get", path="/machine/peripheral-anon/device[0]",
            property=name)
        return value
