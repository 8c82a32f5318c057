# SPDX-License-Identifier: GPL-2.0-or-later
"""Many idle peers for one VM.

Their IDs start at 0, and the VM has the next one.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from ivshmem import Testbed, TestbedError, eventfd
from ivshmem.fake_server import MEMORY, VERSION, FakeServer
from ivshmem.memory import SharedMemory
from ivshmem.server import IvshmemServer

# The most peers that join a real server. More would take minutes.
SERVED_MAX = 250

MESSAGE_BYTES = 8
PATIENCE_SECONDS = 10.0

# Other fds of a program, with room to spare.
OTHER_FDS = 100


@dataclass
class ManyPeers:
    """What a VM needs to start. Call introduce() after the start; the VM's
    devices are served in the order in which they connect."""

    peers: int
    socket: Path
    memory: SharedMemory
    _announcer: FakeServer | None = None

    def introduce(self) -> None:
        """Announces the peers to the VM, unless a real server does it."""
        if self._announcer:
            if not self._announcer.accept(PATIENCE_SECONDS):
                raise TestbedError("QEMU did not connect within "
                                   f"{PATIENCE_SECONDS:g} s")
            _welcome(self._announcer, self.peers)


def many_peers(bed: Testbed, peers: int) -> ManyPeers:
    """Clients of a real server or, if there are too many, only announcements of
    them. They end with the bed."""
    if peers <= SERVED_MAX:
        server = bed.server()
        _join(bed, server, peers)
        return ManyPeers(peers, server.socket, server.memory)
    announcer = bed.enter(FakeServer())
    return ManyPeers(peers, announcer.socket, announcer.memory, announcer)


@contextmanager
def room_for(peers: int, fds_each: int = 1) -> Iterator[None]:
    """Allows programs started in this block enough fds for the peers."""
    needed = peers * fds_each + OTHER_FDS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TestbedError(f"{peers} peers need {needed} fds, but the limit is "
                           f"{hard}: raise it (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _join(bed: Testbed, server: IvshmemServer, peers: int) -> None:
    """Connects one after the other. The clients never read their fds."""
    clients = []
    unread = [0] * peers
    with DefaultSelector() as selector:
        for peer in range(peers):
            client = bed.enter(socket.socket(socket.AF_UNIX))
            client.connect(str(server.socket))
            clients.append(client)
            selector.register(client, EVENT_READ, peer)
            # Version, ID, memory, each peer's vector, its own among them.
            unread[peer] = (peer + 4) * MESSAGE_BYTES
            while unread[peer] > 0:
                ready = selector.select(PATIENCE_SECONDS)
                if not ready:
                    raise TestbedError(
                        f"{server.name} did not announce all peers to peer "
                        f"{peer} within {PATIENCE_SECONDS:g} s")
                for key, _ in ready:
                    unread[key.data] -= len(clients[key.data].recv(65536))


def announce(server: FakeServer, peers: Iterable[int]) -> None:
    """Announces peers with these IDs, each with its own eventfd. Only the
    receiver keeps the eventfd."""
    for peer in peers:
        doorbell = eventfd.create()
        try:
            server.say(peer, doorbell)
        finally:
            os.close(doorbell)


def _welcome(server: FakeServer, peers: int) -> None:
    """Sends all messages that a server sends to a new client."""
    server.say(VERSION)
    server.say(peers)
    server.say(MEMORY, server.memory_fd)
    announce(server, range(peers))
    server.say(peers, server.own_doorbell)
