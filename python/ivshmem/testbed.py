# SPDX-License-Identifier: Apache-2.0
"""Starts servers, machines and peers, waits for them, and cleans up."""

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

# How often to check a condition, which need not show in any output
LOOK_SECONDS = 0.02


class Testbed:
    """A context manager. It stops everything that it started.

    All waits together take at most `timeout` seconds. While waiting, it calls
    `show` with each line that a process writes. At the end, it raises if a
    process failed or, if `strict`, wrote something unexpected to stderr. The
    transcript has all lines, or the last `history` ones.
    """

    __test__ = False  # not a test class, despite its name

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
        """Ends everything, and raises if a process did not end well."""
        try:
            # Otherwise a guest may ring a machine that has just been stopped.
            for process in self.processes:
                process.hold()
        finally:
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
        """Starts a server of the bed's kind, and waits until it listens.
        Options are as for IvshmemServer."""
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
        """Starts a board with PROGRAM.elf of guest/, connected to the server.

        `device` replaces the usual QEMU options for the device; then no server
        is needed. Other options are as for Board."""
        if device is None:
            if server is None:
                raise TestbedError(f"{board} needs a server, or device= with "
                                   "QEMU options")
            device = usual_device(board, server.socket)
        return self.image(board, artifacts.firmware(board, program), device,
                          **options)

    def image(self, board: str, image: Path, device: Sequence[str],
              **options: Any) -> Board:
        """Starts a board with any image; the rest as for board()."""
        return self._started(Board(self._name(board), board, image, device,
                                   self._news, **options))

    def zephyr(self, board: str, program: str, server: IvshmemServer,
               device: Sequence[str] | None = None,
               paused: bool = False) -> ZephyrBoard:
        """Starts a board with a program of scripts/build-zephyr; the rest as
        for board()."""
        return self._started(ZephyrBoard(
            self._name(ZEPHYR), board, artifacts.zephyr(board, program),
            flat_device(server.socket) if device is None else device,
            self._news, paused=paused))

    def linux(self, command: str, server: Server | None = None,
              device: Sequence[str] | None = None, vectors: int = 1,
              **options: Any) -> LinuxGuest:
        """Starts a Linux guest that runs a command of guest/linux. Its device
        has this many vectors and is connected to the server.

        `device` replaces the usual QEMU options for the device; then no server
        is needed. Other options are as for LinuxGuest."""
        if device is None:
            if server is None:
                raise TestbedError("Linux needs a server, or device= with "
                                   "QEMU options")
            device = doorbell_device(server.socket, vectors)
        return self._started(LinuxGuest(self._name(LINUX), command, device,
                                        self._news, **options))

    def machine(self, kind: str, argv: Sequence[str]) -> Machine:
        """Starts any other QEMU."""
        return self._started(Machine(self._name(kind), kind, argv,
                                     self._news))

    def program(self, name: str, argv: Sequence[str],
                pass_fds: Sequence[int] = ()) -> Process:
        """Starts any other program. It inherits these fds."""
        return self._started(Process(name, argv, self._news, pass_fds))

    def peer(self, server: IvshmemServer, vectors: int = 1) -> Peer:
        """Connects a peer on the host."""
        peer = Peer(server.socket, vectors, self.remaining())
        self._stack.callback(peer.close)
        return peer

    def directory(self) -> Path:
        """Makes a directory. The bed removes it at its end."""
        return Path(self.enter(
            tempfile.TemporaryDirectory(prefix="ivshmem-flat-")))

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enters a context. It exits with the bed, after everything started
        later."""
        return self._stack.enter_context(context)

    def remaining(self) -> float:
        """Seconds until the bed's timeout."""
        return max(self._deadline - time.monotonic(), 0.0)

    def wait(self, what: str, condition: Callable[[], T | None],
             seconds: float | None = None) -> T:
        """Waits until the condition is true and returns its value.

        Raises after this many seconds or at the bed's timeout, and at once if a
        process has died or firmware reports a failure."""
        end = self._deadline
        if seconds is not None:
            end = min(end, time.monotonic() + seconds)
        while True:
            # Before the condition, which a process's last output may satisfy.
            trouble = next(filter(None, (process.trouble()
                                         for process in self.processes)), None)
            value = condition()
            left = end - time.monotonic()
            self.show_news(0.0 if value or trouble or left <= 0
                           else min(left, LOOK_SECONDS))
            if value:
                return value
            if trouble:
                raise TestbedError(f"waiting for {what}: {trouble}")
            if left <= 0:
                limit = (f"{self._timeout:g} s in total"
                         if end == self._deadline else f"{seconds:g} s")
                raise TestbedError(f"timed out waiting for {what} "
                                   f"(limit: {limit})")

    def show_news(self, patience: float = 0.0) -> None:
        """Shows all new lines. Waits up to `patience` seconds for the first."""
        with suppress(Empty):
            news = self._news.get(timeout=patience)
            while True:
                self._history.append(news)
                self._show(news)
                news = self._news.get_nowait()

    def wait_for_failure(self, process: Process, pattern: str,
                         seconds: float | None = None) -> None:
        """Waits until this process fails with a message that matches the
        pattern, and excuses it."""
        failure = self.wait(f"{process.name} to fail", process.failure,
                            seconds)
        if not re.search(pattern, failure):
            raise TestbedError(f"{process.name} failed, but not with "
                               f"'{pattern}': {failure}")
        process.excuse()

    def transcript(self) -> str:
        """Lists the processes and what they wrote, by time."""
        self.show_news()
        return "\n".join([
            *(process.summary() for process in self.processes),
            *(show_line(news.time - self._began, news.process.name, news.line,
                        news.is_error)
              for news in sorted(self._history, key=lambda news: news.time)
              if news.line is not None)])

    def _name(self, kind: str) -> str:
        """The name of the next machine of this kind."""
        same = sum(1 for other in self.processes
                   if isinstance(other, Machine) and other.kind == kind)
        return f"{kind}.{same + 1}" if same else kind

    def _started(self, process: P) -> P:
        self._stack.callback(process.stop)
        self.processes.append(process)
        return process
