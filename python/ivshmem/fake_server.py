# SPDX-License-Identifier: Apache-2.0
"""A server that sends whatever a test wants, even what no real server sends.

The protocol is in QEMU's docs/specs/ivshmem-spec.rst, section
"The ivshmem Client-Server Protocol".
"""

import array
import fcntl
import mmap
import os
import select
import socket
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from . import eventfd
from .memory import MIB, SharedMemory
from .process import TestbedError

VERSION = 0
MEMORY = -1  # the number that comes with the shared memory

# A good handshake: the client's ID, and the other peers.
OWN_ID = 3
PEER = 5
PEER_VECTORS = 2

MEMORY_BYTES = 4 * MIB

# How long a client may take to read what was sent.
SAY_SECONDS = 30.0
LOOK_SECONDS = 0.001

Message = tuple[int, list[int]]  # a number, and the fds that go with it


class Fds:
    """Makes file descriptors of every kind to send, and owns them."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def close(self) -> None:
        self._stack.close()

    def memory(self, size: int = MEMORY_BYTES) -> int:
        fd = self._keep(os.memfd_create("ivshmem-flat-test"))
        os.ftruncate(fd, size)
        return fd

    def small_memory(self) -> int:
        return self.memory(MEMORY_BYTES // 2)

    def big_memory(self) -> int:
        return self.memory(MEMORY_BYTES * 2)

    def read_only_memory(self) -> int:
        return self._open(f"/proc/self/fd/{self.memory()}", os.O_RDONLY)

    def eventfd(self) -> int:
        return self._keep(eventfd.create())

    def semaphore(self) -> int:
        """An eventfd from which each read takes 1."""
        return self._keep(eventfd.create(semaphore=True))

    def regular_file(self) -> int:
        return self._stack.enter_context(tempfile.TemporaryFile()).fileno()

    def directory(self) -> int:
        return self._open("/", os.O_RDONLY | os.O_DIRECTORY)

    def dev_zero(self) -> int:
        """A file without an end."""
        return self._open("/dev/zero", os.O_RDWR)

    def full_pipe(self) -> int:
        """The write end of a pipe that is full."""
        read_end, write_end = map(self._keep, os.pipe())
        os.set_blocking(write_end, False)
        with suppress(BlockingIOError):
            while True:
                os.write(write_end, bytes(mmap.PAGESIZE))
        return write_end

    def deserted_socket(self) -> int:
        """A socket whose other end is closed."""
        ours, theirs = socket.socketpair()
        theirs.close()
        return self._stack.enter_context(ours).fileno()

    def epoll(self) -> int:
        """An anonymous inode like an eventfd. Polls as readable, but read()
        fails."""
        epoll = self._stack.enter_context(select.epoll())
        ready = self.eventfd()
        eventfd.write(ready)
        epoll.register(ready, select.EPOLLIN)
        return epoll.fileno()

    def _open(self, path: str, flags: int) -> int:
        return self._keep(os.open(path, flags | os.O_CLOEXEC))

    def _keep(self, fd: int) -> int:
        self._stack.callback(os.close, fd)
        return fd


class FakeServer:
    """Serves one client, and does only what it is told.

    `fds` makes fds to send. `memory` is the shared memory of a good handshake.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._connection: socket.socket | None = None
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "FakeServer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _set_up(self) -> None:
        self.fds = Fds()
        self._stack.callback(self.fds.close)
        self.memory_fd = self.fds.memory()
        self.own_doorbell = self.fds.eventfd()
        self.peer_doorbells = [self.fds.eventfd() for _ in range(PEER_VECTORS)]
        self.handshake: list[Message] = [
            (VERSION, []),
            (OWN_ID, []),
            (MEMORY, [self.memory_fd]),
            *((PEER, [doorbell]) for doorbell in self.peer_doorbells),
            (OWN_ID, [self.own_doorbell]),
        ]
        self.memory = SharedMemory(self.memory_fd)
        self._stack.callback(self.memory.close)
        directory = tempfile.TemporaryDirectory(prefix="ivshmem-flat-")
        self.socket = Path(self._stack.enter_context(directory), "server.sock")
        self._listener = self._stack.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self._listener.bind(str(self.socket))
        self._listener.listen(1)
        self._listener.setblocking(False)

    def close(self) -> None:
        self.hang_up()
        self._stack.close()

    def accept(self, seconds: float = 0.0) -> bool:
        """Accepts a client if one connects within this time."""
        if not select.select([self._listener], [], [], seconds)[0]:
            return False
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(SAY_SECONDS)
        return True

    def shake_hands(self, messages: int | None = None) -> None:
        """Sends what a good server sends to a new client: all of it, or only
        this number of messages."""
        for number, fds in self.handshake[:messages]:
            self.say(number, *fds)

    def say(self, number: int, *fds: int) -> None:
        """Sends a message: a signed 64-bit number, with these fds."""
        self.say_bytes(_encode(number), *fds)

    def say_often(self, number: int, times: int) -> None:
        """Sends this many messages at once, without waiting for the client."""
        self.say_bytes(_encode(number) * times)

    def say_half(self, number: int, *fds: int) -> None:
        """Sends the first half of a message, with the fds."""
        self.say_bytes(_encode(number)[:3], *fds)

    def say_slowly(self, number: int, fds: dict[int, int]) -> None:
        """Sends one byte at a time, each after the previous one was read.
        `fds` maps the index of a byte to the fd that goes with it."""
        for index, byte in enumerate(_encode(number)):
            self.say_bytes(bytes([byte]), *(fd for i, fd in fds.items()
                                            if i == index))
            deadline = time.monotonic() + SAY_SECONDS
            while not self.all_heard():
                if time.monotonic() > deadline:
                    raise TestbedError(f"the client did not read byte {index} "
                                       "of a message within "
                                       f"{SAY_SECONDS:g} s")
                time.sleep(LOOK_SECONDS)

    def say_bytes(self, data: bytes, *fds: int) -> None:
        if self._connection is None:
            raise TestbedError("the fake server has no client")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                   array.array("i", fds))] if fds else []
        sent = self._connection.sendmsg([data], rights)
        self._connection.sendall(data[sent:])

    @contextmanager
    def repeating(self, say: Callable[[], None],
                  pause: float = 0.0) -> Iterator[None]:
        """Calls say() repeatedly until the block ends or the client is gone.
        `pause` is in seconds."""
        enough = Event()

        def repeat() -> None:
            with suppress(ConnectionError):
                while not enough.is_set():
                    say()
                    enough.wait(pause)

        talker = Thread(target=repeat, daemon=True)
        talker.start()
        try:
            yield
        finally:
            enough.set()
            talker.join(SAY_SECONDS)

    def all_heard(self) -> bool:
        """Whether the client has read everything, or is gone."""
        if self._connection is None:
            return True
        unread = fcntl.ioctl(self._connection, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(unread, sys.byteorder) == 0

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _encode(number: int) -> bytes:
    return struct.pack("<q", number)
