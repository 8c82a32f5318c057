# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that records every message, and reads only when told to.

ivshmem.peer.Peer is the ordinary client. With this one a test can check each
message, read slowly, and break the protocol.
"""

import array
import os
import select
import socket
import struct
from pathlib import Path

from ivshmem import eventfd

from .doorbells import is_rung

VERSION = 0
MEMORY = -1  # the number that comes with the shared memory
MESSAGE_BYTES = 8
GREETING = 2  # the index of the message with the memory

Message = tuple[int, bool]  # a number, and whether an fd came with it


class Client:
    """Connects to a server. The name, an abstract address, identifies the
    connection in the server."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.id: int | None = None
        self.memory: int | None = None
        self.messages: list[Message] = []
        self.is_closed = False  # by the server
        self._doorbells: dict[int, list[int]] = {}
        self._part = b""
        self._part_fds: list[int] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if name:
            self._socket.bind(f"\0{name}")
        try:
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise
        # Some Python releases ignore the flags of recv_fds().
        self._socket.setblocking(False)

    def wait(self, seconds: float) -> None:
        """Waits until there is something to read, or for this long."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.poll(int(seconds * 1000))

    def read(self) -> "Client":
        """Reads all messages that have arrived."""
        while not self.is_closed:
            try:
                data, fds, _, _ = socket.recv_fds(
                    self._socket, MESSAGE_BYTES - len(self._part), 1)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data, fds = b"", []
            self._part += data
            self._part_fds += fds
            if not data:
                self.is_closed = True
            elif len(self._part) == MESSAGE_BYTES:
                number = struct.unpack("<q", self._part)[0]
                self._take(number, self._part_fds)
                self._part, self._part_fds = b"", []
        return self

    def view(self) -> dict[int, int]:
        """The announced peers, with the number of vectors of each."""
        self.read()
        return {peer: len(fds) for peer, fds in self._doorbells.items()}

    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self.read().is_closed

    def greeted(self) -> bool:
        return len(self.read().messages) > GREETING

    def ring(self, peer: int, vector: int = 0) -> None:
        eventfd.write(self._doorbells[peer][vector])

    def rung(self, vector: int = 0) -> bool:
        """Whether the vector was rung since the last call."""
        assert self.id is not None
        return is_rung(self._doorbells[self.id][vector])

    def say(self, data: bytes, *fds: int) -> None:
        """Sends data, which a client must not do."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                   array.array("i", fds))] if fds else []
        self._socket.sendmsg([data], rights)

    def say_out_of_band(self, byte: bytes) -> None:
        self._socket.send(byte, socket.MSG_OOB)

    def close(self) -> None:
        self._socket.close()
        for fds in self._doorbells.values():
            for fd in fds:
                os.close(fd)
        self._doorbells.clear()
        if self.memory is not None:
            os.close(self.memory)
            self.memory = None

    def _take(self, number: int, fds: list[int]) -> None:
        index = len(self.messages)
        self.messages.append((number, bool(fds)))
        if index < GREETING:
            assert not fds, f"message {index}, {number}, has an fd"
            if index == 0:
                assert number == VERSION
            else:
                self.id = number
        elif index == GREETING:
            assert number == MEMORY
            self.memory, = fds
        elif fds:
            self._doorbells.setdefault(number, []).append(*fds)
        else:
            assert number in self._doorbells, (
                f"message {index}: peer {number} leaves, but had not joined")
            for fd in self._doorbells.pop(number):
                os.close(fd)
