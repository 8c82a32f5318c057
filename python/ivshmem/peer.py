# SPDX-License-Identifier: Apache-2.0
"""A peer on the host, without a VM.

The protocol is in QEMU's docs/specs/ivshmem-spec.rst, sections
"The ivshmem Client-Server Protocol" and "The ivshmem Client-Client Protocol".
"""

import math
import os
import select
import socket
import struct
import time
from pathlib import Path

from . import eventfd
from .memory import SharedMemory
from .process import TestbedError

NO_ID = -1  # the number that comes with the shared memory


class Peer:
    """A client of a server, and a context manager that disconnects.

    `id` is its ID, `memory` the shared memory. Vectors are numbered from 0,
    timeouts are in seconds. Not thread-safe."""

    def __init__(self, server_socket: Path, vectors: int = 1,
                 timeout: float = 30.0) -> None:
        self._vectors = vectors
        self._fds: dict[int, list[int]] = {}  # by ID and vector
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            deadline = time.monotonic() + timeout
            self._connect(server_socket, timeout)
            self.id = self._handshake(deadline)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for_peer(self, peer: int, timeout: float = 30.0) -> None:
        """Waits until the server has announced all vectors of the peer."""
        deadline = time.monotonic() + timeout
        while len(self._fds.get(peer, ())) < self._vectors:
            self._take_message(deadline, f"peer {peer} to be announced")

    def wait_for_departure(self, peer: int, timeout: float = 30.0) -> None:
        """Waits until the server says that the peer has left."""
        deadline = time.monotonic() + timeout
        while peer in self._fds:
            self._take_message(deadline, f"peer {peer} to leave")

    def ring(self, peer: int, vector: int = 0) -> None:
        """Raises if the server has not announced this peer or this vector."""
        try:
            fd = self._fds[peer][vector]
        except (KeyError, IndexError):
            raise TestbedError(
                f"peer {self.id} cannot ring vector {vector} of peer {peer}: "
                "the server has not announced it. Call wait_for_peer() first"
            ) from None
        eventfd.write(fd)

    def fileno(self, vector: int = 0) -> int:
        """An fd that becomes readable when the vector is rung, for select() or
        an event loop. take_doorbells() clears it. Do not close it."""
        return self._fds[self.id][vector]

    def wait_for_doorbells(self, timeout: float = 30.0,
                           vector: int = 0) -> int:
        """Waits until the vector is rung. Returns how many times it was."""
        poll = select.poll()
        poll.register(self.fileno(vector), select.POLLIN)
        limit = None if timeout == math.inf else timeout * 1000
        if not poll.poll(limit):
            raise TestbedError(f"peer {self.id}: vector {vector} was not rung "
                               f"within {timeout:g} s")
        return self.take_doorbells(vector)

    def take_doorbells(self, vector: int = 0) -> int:
        """How many times the vector was rung since the last call."""
        try:
            return eventfd.read(self.fileno(vector))
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self._socket.close()
        for fds in self._fds.values():
            for fd in fds:
                os.close(fd)
        self._fds.clear()
        if hasattr(self, "memory"):
            self.memory.close()

    def _connect(self, server_socket: Path, timeout: float) -> None:
        # With settimeout(), connect() would fail at once if the server has many
        # connections to accept.
        microseconds = (0 if timeout == math.inf  # no limit
                        else max(round(timeout * 1e6), 1))
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO,
            struct.pack("@ll", *divmod(microseconds, 1_000_000)))
        try:
            self._socket.connect(str(server_socket))
        except BlockingIOError:
            raise TestbedError(
                f"timed out waiting for the server at {server_socket} to accept "
                "a connection") from None

    def _handshake(self, deadline: float) -> int:
        version, _ = self._receive(deadline, "the protocol version")
        if version != 0:
            raise TestbedError(f"the server speaks protocol version {version}, "
                               "not 0")
        own_id, _ = self._receive(deadline, "an ID")
        number, memory_fd = self._receive(deadline, "the shared memory")
        if number != NO_ID or memory_fd is None:
            raise TestbedError(f"the server sent {number} instead of the "
                               "shared memory")
        try:
            self.memory = SharedMemory(memory_fd)
        finally:
            os.close(memory_fd)
        # The server sends this client's vectors last, after those of all peers.
        while len(self._fds.get(own_id, ())) < self._vectors:
            self._take_message(deadline, f"the vectors of peer {own_id}")
        for fd in self._fds[own_id]:
            os.set_blocking(fd, False)
        return own_id

    def _take_message(self, deadline: float, what: str) -> None:
        peer, fd = self._receive(deadline, what)
        if fd is not None:
            self._fds.setdefault(peer, []).append(fd)
        else:
            for gone in self._fds.pop(peer, []):
                os.close(gone)

    def _receive(self, deadline: float,
                 what: str) -> tuple[int, int | None]:
        """The next message: a number, and the fd that came with it."""
        data = b""
        fds: list[int] = []
        while len(data) < 8:
            self._socket.settimeout(
                None if deadline == math.inf
                else max(deadline - time.monotonic(), 0.001))
            try:
                piece, new, flags, _ = socket.recv_fds(self._socket,
                                                       8 - len(data), 1)
            except TimeoutError:
                raise TestbedError(
                    f"timed out waiting for {what}") from None
            fds += new
            if flags & socket.MSG_CTRUNC:
                raise TestbedError(
                    f"cannot take the fd for {what}: too many files are open: "
                    "raise the limit, ulimit -n")
            if not piece:
                raise TestbedError(f"waiting for {what}: the server closed the "
                                   "connection")
            data += piece
        return struct.unpack("<q", data)[0], fds[0] if fds else None
