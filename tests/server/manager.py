# SPDX-License-Identifier: GPL-2.0-or-later
"""A service manager with an fd store, like systemd.

Datagrams to NOTIFY_SOCKET name the fds to keep: see sd_notify(3) and
sd_pid_notify_with_fds(3). The next process gets them as LISTEN_FDS. As in
systemd, the store drops a connection that the other side has closed.
"""

import os
import random
import re
import select
import signal
import socket
import sys
from pathlib import Path
from threading import Event, Lock, Thread

from ivshmem.process import Process

from .lab import Lab

LISTEN_FDS = Path(__file__).with_name("listen_fds.py")
DATAGRAM = 4096
LOOK_MS = 20
RELOADED = "ivshmemd: reloaded: "
IS_OF_A_CLIENT = re.compile(r"\d+/\d+(/\d+)?$")


class Manager:
    """Starts ivshmemd, kills it, and starts it again with the fds it stored."""

    def __init__(self, lab: Lab, *options: str, seed: int = 0,
                 activated: bool = False, name: str = "notify") -> None:
        self.store: dict[str, int] = {}
        self.states: list[str] = []
        self.sockets: dict[str, int] = {}  # opened by the manager
        self.process: Process
        self._processes: list[Process] = []
        self._lab = lab
        self._command = lab.command(*options, activated=activated)
        self._random = random.Random(seed)
        self._lock = Lock()
        self._ends = Event()
        self._path = lab.path(name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        lab.at_end(self.close)

    def start(self) -> Process:
        """Starts ivshmemd and waits until it is ready."""
        self._drop_closed()
        fds = [*self.store.items(), *self.sockets.items()]
        # The server must not depend on the order.
        self._random.shuffle(fds)
        numbers = [str(fd) for _, fd in fds]
        names = ":".join(name for name, _ in fds)
        ready = self.states.count("READY=1")
        self.process = self._lab.bed.program("ivshmemd", [
            "env", f"NOTIFY_SOCKET={self._path}", f"LISTEN_FDNAMES={names}",
            sys.executable, "-IS", str(LISTEN_FDS), *numbers, "--",
            *self._command],
            pass_fds=[fd for _, fd in fds])
        self._processes.append(self.process)
        self._lab.wait("ivshmemd to be ready",
                       lambda: self.states.count("READY=1") > ready)
        return self.process

    def kill(self) -> None:
        """Kills it like a crash, between any two system calls."""
        os.kill(self.process.pid, signal.SIGKILL)
        self._lab.bed.wait_for_failure(self.process, "SIGKILL")
        self.take()

    def restart(self) -> Process:
        self.kill()
        return self.start()

    def reload(self) -> None:
        """Sends SIGHUP and waits until it has reloaded."""
        ready = self.states.count("READY=1")
        os.kill(self.process.pid, signal.SIGHUP)
        self._lab.wait("ivshmemd to reload",
                       lambda: self.states.count("READY=1") > ready)

    def take(self) -> None:
        """Handles all datagrams that have arrived."""
        with self._lock:
            while True:
                try:
                    data, fds, _, _ = socket.recv_fds(self._socket, DATAGRAM,
                                                      16)
                except BlockingIOError:
                    return
                self._heed(data.decode(), fds)

    def fds_of_clients(self) -> int:
        return sum(1 for name in self.store if IS_OF_A_CLIENT.match(name))

    def clients(self, vectors: int) -> set[str]:
        """The addresses of clients that have all their fds in the store."""
        addresses = set()
        for name, fd in self.store.items():
            if name.count("/") == 1 and IS_OF_A_CLIENT.match(name):
                with socket.socket(fileno=os.dup(fd)) as connection:
                    address: bytes = connection.getpeername()
                if all(f"{name}/{vector}" in self.store
                       for vector in range(vectors)):
                    addresses.add(address.decode().lstrip("\0"))
        return addresses

    def expect_reloads(self) -> None:
        """Accepts the messages about all reloads so far, from any process."""
        for process in self._processes:
            number = sum(1 for line in process.errors if RELOADED in line)
            if number:
                process.expect_error(RELOADED, number)

    def hang(self) -> None:
        """Reads nothing any more."""
        self._ends.set()
        self._thread.join()

    def close(self) -> None:
        self.hang()
        self._socket.close()
        for fd in [*self.store.values(), *self.sockets.values()]:
            os.close(fd)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while not self._ends.is_set():
            if poll.poll(LOOK_MS):
                self.take()

    def _heed(self, text: str, fds: list[int]) -> None:
        fields = dict(line.split("=", 1) for line in text.splitlines())
        name = fields.get("FDNAME", "")
        if "FDSTORE" in fields:
            assert name not in self.store, f"two fds have the name {name}"
            # systemd's rules for a name
            assert name.isprintable() and ":" not in name and len(name) < 256
            self.store[name], = fds
        elif "FDSTOREREMOVE" in fields:
            if name in self.store:
                os.close(self.store.pop(name))
        else:
            self.states.append(text)

    def _drop_closed(self) -> None:
        poll = select.poll()
        names = {fd: name for name, fd in self.store.items()}
        for fd in names:
            try:
                poll.register(fd, 0)
            except OSError:
                continue
        for fd, event in poll.poll(0):
            if event & (select.POLLHUP | select.POLLERR):
                if names[fd].startswith("listener/"):
                    continue
                os.close(self.store.pop(names[fd]))
