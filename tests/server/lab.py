# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts servers and clients for a test, in its own folder."""

import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from ivshmem import Testbed, TestbedError, artifacts
from ivshmem.process import Process
from ivshmem.server import is_listening

from .client import Client

T = TypeVar("T")

# How long a program that ends by itself may take.
SECONDS = 10.0

# How long to wait for one client before checking others
LOOK_SECONDS = 0.02

# Options that say where the server listens
SOCKET_OPTIONS = ("-S", "--socket", "--config")

READY = "^ivshmemd is ready: "


def sandbox() -> str:
    """By default, a forbidden system call kills the server and fails the test.
    IVSHMEMD_SANDBOX can change this for sanitizers, which need more calls."""
    return f"--sandbox={os.environ.get('IVSHMEMD_SANDBOX', 'kill')}"


def with_mounts(*mounts: str) -> list[str]:
    """A command that executes another one with these `mount` commands in
    effect, in its own mount namespace. Skips the test if that is not
    possible."""
    script = " && ".join([*(f"mount {each}" for each in mounts), 'exec "$@"'])
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *as_root, "sh", "-c", script, "sh"]
    tried = subprocess.run([*command, "true"], text=True, capture_output=True,
                           timeout=SECONDS)
    if tried.returncode:
        pytest.skip(f"cannot mount a file system: {tried.stderr.strip()}")
    return command


class Lab:
    """The servers and clients of a test. They end with its bed."""

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed
        self.directory = bed.directory()
        self.socket = self.path("socket")
        self.control = self.path("control")
        # A name for the shared memory, unique to this test
        self.object = self.directory.name
        self._clients: list[Client] = []
        self._at_end: list[Callable[[], None]] = []

    def close(self) -> None:
        for end in self._at_end:
            end()
        for client in self._clients:
            client.close()
        Path("/dev/shm", self.object).unlink(missing_ok=True)

    def at_end(self, function: Callable[[], None]) -> None:
        """Registers a function to call when all processes have ended."""
        self._at_end.append(function)

    def path(self, name: str) -> Path:
        return self.directory / name

    def command(self, *options: str, activated: bool = False) -> list[str]:
        """An ivshmemd command line. It listens on `socket`, unless the options
        or an inherited socket say otherwise."""
        own = activated or any(option.split("=")[0] in SOCKET_OPTIONS
                               for option in options)
        return [str(artifacts.ivshmemd()), sandbox(),
                *(() if own else ("-S", str(self.socket))), *options]

    def launch(self, *options: str, within: Sequence[str] = ()) -> Process:
        """Starts ivshmemd. `within` is a command that executes it."""
        return self.bed.program("ivshmemd",
                                [*within, *self.command(*options)])

    def ivshmemd(self, *options: str, within: Sequence[str] = ()) -> Process:
        """The same, and waits until it is ready."""
        process = self.launch(*options, within=within)
        self.wait("ivshmemd to be ready", lambda: process.said(READY))
        return process

    def refused(self, *options: str, within: Sequence[str] = ()) -> str:
        """The message of an ivshmemd that must refuse to start."""
        ended = subprocess.run([*within, *self.command(*options)], text=True,
                               capture_output=True, timeout=SECONDS)
        assert (ended.returncode, ended.stdout) == (1, ""), ended
        return ended.stderr

    def qemus_server(self, *options: str,
                     within: Sequence[str] = ()) -> Process:
        """Starts QEMU's own server, which has the same short options."""
        process = self.bed.program(
            "ivshmem-server", [*within, str(artifacts.ivshmem_server()), "-F",
                               "-S", str(self.socket), *options])
        self.wait("ivshmem-server to listen",
                  lambda: is_listening(self.socket))
        return process

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(artifacts.ivshmemctl()), "--control", str(self.control),
             *arguments],
            text=True, capture_output=True, timeout=2 * SECONDS)

    def peer_command(self, *arguments: str) -> list[str]:
        """The command line of an ivshmemctl that joins the server at
        `socket`."""
        return [str(artifacts.ivshmemctl()), "-S", str(self.socket),
                *arguments]

    def peer(self, *arguments: str, within: Sequence[str] = (),
             stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Runs it to its end. Its output may be binary."""
        return subprocess.run([*within, *self.peer_command(*arguments)],
                              input=stdin, capture_output=True,
                              timeout=2 * SECONDS)

    def connect(self, path: Path | None = None, name: str = "") -> Client:
        """Connects a client that does not read anything yet."""
        try:
            client = Client(path or self.socket, name)
        except OSError as error:
            raise TestbedError(f"cannot connect to the server: {error}") from error
        self._clients.append(client)
        return client

    def fill_queue(self, path: Path) -> None:
        """Connects to a socket where nobody accepts, until its queue is
        full."""
        while True:
            waiting = socket.socket(socket.AF_UNIX)
            self.at_end(waiting.close)
            waiting.setblocking(False)
            try:
                waiting.connect(str(path))
            except BlockingIOError:
                return

    def client(self, path: Path | None = None) -> Client:
        """Connects a client, which reads its ID and the memory."""
        client = self.connect(path)
        client.wait(LOOK_SECONDS)
        self.wait("a client to be greeted", client.greeted)
        return client

    def clients(self, number: int, vectors: int = 1) -> list[Client]:
        """Connects this many clients, and waits until each knows all others."""
        clients = [self.client() for _ in range(number)]
        everybody = {client.id: vectors for client in clients}
        for client in clients:
            self.wait_for_view(client, everybody)
        return clients

    def wait(self, what: str, condition: Callable[[], T | None],
             seconds: float | None = None) -> T:
        return self.bed.wait(what, condition, seconds)

    def wait_for_view(self, client: Client, view: dict[int | None, int],
                      seconds: float | None = None) -> None:
        """Waits until these are the peers that the client knows."""
        try:
            self.wait(f"client {client.id} to know the others",
                      lambda: client.view() == view or client.is_closed,
                      seconds)
        finally:
            assert client.view() == view

    def stop(self, process: Process) -> None:
        """Sends SIGTERM. The process must then end well."""
        process.stop()
        assert process.failure() is None
        process.excuse()
