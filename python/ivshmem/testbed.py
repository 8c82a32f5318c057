# SPDX-License-Identifier: Apache-2.0
"""Starts parts, waits for what they do, and leaves nothing behind."""

import re
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from . import artifacts
from .board import Board, flat_device, usual_device
from .linux import LINUX, LinuxGuest, doorbell_device
from .machine import Machine
from .peer import Peer
from .process import News, Process, TestbedError, show_line
from .server import IVSHMEMD, IvshmemServer, Server
from .zephyr import ZEPHYR, ZephyrBoard

T = TypeVar("T")
P = TypeVar("P", bound=Process)

# Not every condition shows in the output of a process: how often to look.
LOOK_SECONDS = 0.02


class Testbed:
    """A context manager. Everything it started ends with it.

    Waits take `timeout` seconds at most, all of them together. Meanwhile
    `show` is called with each line that a process writes. A bed that ends well
    raises where a process has not: where it failed, or, if the bed is
    `strict`, said on stderr what nobody expected. The transcript has the last
    `history` lines, or all.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(self, timeout: float = 60.0,
                 show: Callable[[News], None] = lambda news: None, *,
                 strict: bool = True, server_kind: str = IVSHMEMD,
                 history: int | None = None) -> None:
        self.processes: list[Process] = []
        self._timeout = timeout
        self._began = time.monotonic()
        self._deadline = self._began + timeout
        self._show = show
        self._strict = strict
        self._server_kind = server_kind
        self._history: deque[News] = deque(maxlen=history)
        self._news: SimpleQueue[News] = SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> "Testbed":
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()

    def close(self) -> None:
        """Ends everything, and raises where a process has not ended well."""
        # A guest must not ring a machine that has just been stopped.
        for process in self.processes:
            process.hold()
        self.stop()
        faults = []
        for process in self.processes:
            if trouble := process.trouble():
                faults.append(trouble)
            elif self._strict:
                faults += process.unexpected_errors()
        if faults:
            raise TestbedError("\n".join(faults))

    def stop(self) -> None:
        """Ends everything. May be called again."""
        self._stack.close()

    def server(self, **options: Any) -> IvshmemServer:
        """A server that accepts clients, of the bed's kind; options as of
        IvshmemServer."""
        options.setdefault("kind", self._server_kind)
        server = self._started(
            IvshmemServer(self.directory(), self._news, **options))
        self.wait(f"{server.name} to listen", server.listening)
        server.map_memory()
        return server

    def board(self, board: str, program: str,
              server: Server | None = None,
              device: Sequence[str] | None = None,
              **options: Any) -> Board:
        """A board that runs PROGRAM.elf of guest/ on a client of the server.

        `device` replaces the usual command line of the device, and then no
        server is needed; further options as of Board."""
        if device is None:
            if server is None:
                raise TestbedError(f"{board} is given neither a server nor a "
                                   "command line for its device")
            device = usual_device(board, server.socket)
        return self.image(board, artifacts.firmware(board, program), device,
                          **options)

    def image(self, board: str, image: Path, device: Sequence[str],
              **options: Any) -> Board:
        """A board that runs an image; the rest as for board()."""
        return self._started(Board(self._name(board), board, image, device,
                                   self._news, **options))

    def zephyr(self, board: str, program: str, server: IvshmemServer,
               device: Sequence[str] | None = None,
               paused: bool = False) -> ZephyrBoard:
        """A board that runs a program which scripts/build-zephyr builds; the
        rest as for board()."""
        return self._started(ZephyrBoard(
            self._name(ZEPHYR), board, artifacts.zephyr(board, program),
            flat_device(server.socket) if device is None else device,
            self._news, paused=paused))

    def linux(self, command: str, server: Server | None = None,
              device: Sequence[str] | None = None, vectors: int = 1,
              **options: Any) -> LinuxGuest:
        """A Linux guest that runs a command of guest/linux. Its device is a
        client of the server and has this number of vectors.

        `device` replaces the usual command line of the device, and then no
        server is needed; further options as of LinuxGuest."""
        if device is None:
            if server is None:
                raise TestbedError("Linux is given neither a server nor a "
                                   "command line for its device")
            device = doorbell_device(server.socket, vectors)
        return self._started(LinuxGuest(self._name(LINUX), command, device,
                                        self._news, **options))

    def machine(self, kind: str, argv: Sequence[str]) -> Machine:
        """Any other QEMU."""
        return self._started(Machine(self._name(kind), kind, argv,
                                     self._news))

    def program(self, name: str, argv: Sequence[str],
                pass_fds: Sequence[int] = ()) -> Process:
        """Any other program. It inherits the fds that it is passed."""
        return self._started(Process(name, argv, self._news, pass_fds))

    def peer(self, server: IvshmemServer, vectors: int = 1) -> Peer:
        """A peer on bare eventfds."""
        peer = Peer(server.socket, vectors, self.remaining())
        self._stack.callback(peer.close)
        return peer

    def directory(self) -> Path:
        """A new one, which ends with the bed, too."""
        return Path(self.enter(
            tempfile.TemporaryDirectory(prefix="ivshmem-flat-")))

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enters it. It ends with the bed, after all that is started later."""
        return self._stack.enter_context(context)

    def remaining(self) -> float:
        """Seconds until the bed's time is up."""
        return max(self._deadline - time.monotonic(), 0.0)

    def wait(self, what: str, condition: Callable[[], T | None],
             seconds: float | None = None) -> T:
        """Waits until the condition holds and returns its value.

        Raises when time is up, the bed's or so many seconds, or at once when a
        process has died or firmware has given up."""
        end = self._deadline
        if seconds is not None:
            end = min(end, time.monotonic() + seconds)
        while True:
            # First, as what it wrote before it died may be what is waited for.
            trouble = next(filter(None, (process.trouble()
                                         for process in self.processes)), None)
            value = condition()
            left = end - time.monotonic()
            self._show_news(0.0 if value or trouble or left <= 0
                            else min(left, LOOK_SECONDS))
            if value:
                return value
            if trouble:
                raise TestbedError(f"waiting for {what}: {trouble}")
            if left <= 0:
                allowed = (self._timeout if end == self._deadline else seconds)
                raise TestbedError(f"timed out waiting for {what}: the "
                                   f"{allowed:g} s allowed are over")

    def wait_for_failure(self, process: Process, pattern: str,
                         seconds: float | None = None) -> None:
        """Waits until this process fails for a reason that holds the pattern,
        and excuses it."""
        failure = self.wait(f"{process.name} to fail", process.failure,
                            seconds)
        if not re.search(pattern, failure):
            raise TestbedError(f"{process.name} should fail with '{pattern}': "
                               f"{failure}")
        process.excuse()

    def transcript(self) -> str:
        """Lists the processes, then all that they have written, by time."""
        self._show_news()
        return "\n".join([
            *(process.summary() for process in self.processes),
            *(show_line(news.time - self._began, news.process.name, news.line,
                        news.is_error)
              for news in sorted(self._history, key=lambda news: news.time)
              if news.line is not None)])

    def _show_news(self, patience: float = 0.0) -> None:
        """Shows all new lines; waits up to `patience` seconds for the first."""
        with suppress(Empty):
            news = self._news.get(timeout=patience)
            while True:
                self._history.append(news)
                self._show(news)
                news = self._news.get_nowait()

    def _name(self, kind: str) -> str:
        """Of the next machine of this kind."""
        same = sum(1 for other in self.processes
                   if isinstance(other, Machine) and other.kind == kind)
        return f"{kind}.{same + 1}" if same else kind

    def _started(self, process: P) -> P:
        self._stack.callback(process.stop)
        self.processes.append(process)
        return process
