# SPDX-License-Identifier: Apache-2.0
"""A server as a process of the testbed: ivshmemd, or QEMU's."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from . import artifacts
from .memory import MIB, SharedMemory
from .process import News, Process, TestbedError

# Ours and QEMU's, with the same options.
IVSHMEMD = "ivshmemd"
IVSHMEM_SERVER = "ivshmem-server"
PROGRAMS = {IVSHMEMD: artifacts.ivshmemd,
            IVSHMEM_SERVER: artifacts.ivshmem_server}

# The size of sun_path in a UNIX socket address, without the final zero.
SOCKET_PATH_MAX = 107


class Server(Protocol):
    """What a client needs to know of a server."""

    socket: Path


class ServerWithMemory(Server, Protocol):
    """What a program on the host needs in addition."""

    memory: SharedMemory


class IvshmemServer(Process):
    """A server with its own socket and shared memory. `kind` is one of
    PROGRAMS. ivshmemd listens on one more socket for each of `ids`: a client
    of socket_of(id) gets that peer ID.

    Start it with Testbed.server(), which also maps `memory`.
    """

    def __init__(self, directory: Path, news: SimpleQueue[News], *,
                 kind: str = IVSHMEMD, socket: Path | None = None,
                 size: int = 4 * MIB, vectors: int = 1,
                 ids: Sequence[int] = ()) -> None:
        self.socket = socket or directory / "server.sock"
        self._sockets = {peer: directory / f"peer-{peer}.sock"
                         for peer in ids}
        for path in self._all_sockets():
            if len(os.fsencode(path)) > SOCKET_PATH_MAX:
                raise TestbedError(
                    f"{path} is too long for a UNIX socket, at most "
                    f"{SOCKET_PATH_MAX} bytes: set TMPDIR to a shorter path")
        self.memory: SharedMemory
        # By default, all of QEMU's servers use the same name for their memory.
        self._object = (Path("/dev/shm", directory.name)
                        if kind == IVSHMEM_SERVER else None)
        name = ["-M", self._object.name] if self._object else []
        super().__init__(
            kind, [str(PROGRAMS[kind]()), "-F", "-S", str(self.socket), *name,
                   "-l", str(size), "-n", str(vectors),
                   *(f"--socket={path},id={peer}"
                     for peer, path in self._sockets.items())], news)

    def socket_of(self, peer: int) -> Path:
        """The socket for the client with this ID."""
        return self._sockets[peer]

    def listening(self) -> bool:
        """Whether clients can connect. It asks the kernel, because connecting
        uses up an ID."""
        return all(map(is_listening, self._all_sockets()))

    def _all_sockets(self) -> list[Path]:
        return [self.socket, *self._sockets.values()]

    def map_memory(self) -> None:
        self.memory = SharedMemory(self._object or memfd(self))

    def stop(self) -> None:
        super().stop()
        # Left over if the server was killed
        if self._object:
            self._object.unlink(missing_ok=True)
        if hasattr(self, "memory"):  # the server had the socket
            self.memory.close()
            self.socket.unlink(missing_ok=True)


def memfd(ivshmemd: Process) -> Path:
    """A path by which a program that is not a client can open the memory."""
    for fd in Path(f"/proc/{ivshmemd.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            if os.readlink(fd) == "/memfd:ivshmem (deleted)":
                return fd
    raise TestbedError(f"{ivshmemd.name} has no fd for the shared memory")


def is_listening(socket: Path) -> bool:
    """Whether some process accepts connections on this UNIX socket."""
    accepting = 0x10000  # __SO_ACCEPTCON
    # Other programs' sockets can have any bytes in their names.
    sockets = os.fsdecode(Path("/proc/net/unix").read_bytes())
    for line in sockets.split("\n")[1:]:
        columns = line.split(maxsplit=7)
        if len(columns) == 8 and columns[7] == str(socket):
            if int(columns[3], 16) & accepting:
                return True
    return False
