# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients act at random while the server is reloaded and killed.

After each round, every client must know exactly the peers that exist. Only one
loss is allowed: a client that the server had accepted when it was killed,
before the service manager had all of its fds. The test recognizes these
clients by their addresses.

CHAOS_SECONDS is the duration and CHAOS_SEED the random seed, which each run
prints. A seed repeats the actions, but not always their result, as the kernel
decides on the timing.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from ivshmem.procfs import open_files

from .client import Client
from .lab import Lab
from .manager import Manager

SECONDS = float(os.environ.get("CHAOS_SECONDS") or 10)
SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))

VECTORS = 8
MOST_CLIENTS = 25  # the number of fds is the square of it

# This client is a process that gets killed, so only other clients notice its
# end.
DOOMED = """
import socket, sys, time
client = socket.socket(socket.AF_UNIX)
client.bind("\\0" + sys.argv[2])
client.connect(sys.argv[1])
print(int.from_bytes(client.recv(16, socket.MSG_WAITALL)[8:], "little"),
      flush=True)
client.recv(1 << 20)
time.sleep(600)
"""


class Doomed:
    """A client in its own process. It stalls until it is killed."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-ISc", DOOMED, str(lab.socket), name],
            stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.id = int(self._process.stdout.readline() or -1)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


class Chaos:
    def __init__(self, lab: Lab, manager: Manager) -> None:
        self.done = {action.__name__: 0 for action, _ in self._actions()}
        self.rounds = self.lost = 0
        self._lab = lab
        self._manager = manager
        self._random = random.Random(SEED)
        self._names = 0
        self._clients: dict[str, Client] = {}
        self._doomed: dict[str, Doomed] = {}
        self._may_be_lost: set[str] = set()  # names
        self._rude: list[Client] = []        # the server must disconnect them
        lab.at_end(self.kill_doomed)

    def play_round(self) -> None:
        actions, weights = zip(*self._actions())
        for _ in range(self._random.randrange(5, 60)):
            action: Callable[[], None]
            action, = self._random.choices(actions, weights)
            action()
            self.done[action.__name__] += 1
        self.check()
        self.rounds += 1

    def check(self) -> None:
        self._lab.wait("all clients to know exactly the peers that exist",
                       self._is_true, 20)
        for client in self._rude:
            self._lab.wait("a misbehaving client to be disconnected",
                           client.closed, 20)
            client.close()
        self._rude.clear()
        clients = list(self._clients.values())
        for _ in range(20 if clients else 0):
            ringing, rung = self._random.choices(clients, k=2)
            vector = self._random.randrange(VECTORS)
            assert rung.id is not None
            ringing.ring(rung.id, vector)
            assert rung.rung(vector)
        for client in clients:
            assert not any(client.rung(vector) for vector in range(VECTORS))

    def end(self) -> None:
        """Disconnects all clients."""
        self.kill_doomed()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def kill_doomed(self) -> None:
        for doomed in self._doomed.values():
            doomed.kill()
        self._doomed.clear()

    def _actions(self) -> list[tuple[Callable[[], None], int]]:
        """Actions, with their relative frequency."""
        return [(self.connect, 40), (self.hang_up, 25), (self.read, 15),
                (self.start_doomed, 1), (self.kill_one, 1),
                (self.send_rubbish, 3), (self.send_fds, 3),
                (self.reload, 3), (self.crash, 4)]

    def connect(self) -> None:
        if len(self._clients) < MOST_CLIENTS:
            name = self._new_name()
            self._clients[name] = self._lab.connect(name=name)

    def hang_up(self) -> None:
        if client := self._take():
            client.close()

    def read(self) -> None:
        """Only some clients read, so others stall for a while."""
        for client in self._clients.values():
            if self._random.random() < 0.3:
                client.read()

    def start_doomed(self) -> None:
        if len(self._doomed) < 3:
            doomed = Doomed(self._lab, self._new_name())
            self._doomed[doomed.name] = doomed

    def kill_one(self) -> None:
        if self._doomed:
            name = self._random.choice(list(self._doomed))
            self._doomed.pop(name).kill()

    def send_rubbish(self) -> None:
        self._misbehave(bytes(self._random.randrange(1, 100)))

    def send_fds(self) -> None:
        self._misbehave(b"x", *[0] * self._random.randrange(1, 20))

    def reload(self) -> None:
        os.kill(self._manager.process.pid, signal.SIGHUP)

    def crash(self) -> None:
        time.sleep(self._random.random() * 0.003)
        manager = self._manager
        manager.process.excuse()
        manager.kill()
        kept = manager.clients(VECTORS)
        present = set(self._clients) | set(self._doomed)
        self._may_be_lost = self._may_be_lost - kept | present - kept
        manager.start()

    def _is_true(self) -> bool:
        for name, client in list(self._clients.items()):
            if client.closed():
                assert name in self._may_be_lost, (
                    f"the server lost client {client.id}")
                self.lost += 1
                self._clients.pop(name).close()
        ids = {client.id for client in self._clients.values()}
        doomed = {one.id: name for name, one in self._doomed.items()}
        truth = {peer: VECTORS for peer in ids}
        for client in self._clients.values():
            view = {peer: vectors for peer, vectors in client.view().items()
                    if doomed.get(peer) not in self._may_be_lost}
            surely = {peer: VECTORS for peer, name in doomed.items()
                      if name not in self._may_be_lost}
            if view != truth | surely:
                return False
        for name in self._may_be_lost & set(self._doomed):
            self._doomed.pop(name).kill()  # unless it was lost
        self._may_be_lost.clear()
        return True

    def _misbehave(self, data: bytes, *fds: int) -> None:
        if client := self._take():
            try:
                client.say(data, *fds)
            except OSError:
                pass  # it was lost or disconnected
            self._rude.append(client)

    def _take(self) -> Client | None:
        if not self._clients:
            return None
        return self._clients.pop(self._random.choice(list(self._clients)))

    def _new_name(self) -> str:
        self._names += 1
        return f"{self._lab.directory.name}/{self._names}"


@pytest.mark.parametrize("options", [[], ["-M"]])
def test_chaos(lab: Lab, options: list[str]) -> None:
    print(f"CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:g}")
    manager = Manager(lab, "-n", str(VECTORS),
                      *(["-M", lab.object] if options else []), seed=SEED)
    manager.start()
    lab.wait("the fd store to be filled", lambda: len(manager.store) >= 3)
    before, kept = open_files(manager.process.pid), set(manager.store)
    chaos = Chaos(lab, manager)
    end = time.monotonic() + SECONDS / 2
    while time.monotonic() < end:
        chaos.play_round()
    print(f"{chaos.rounds} rounds, {chaos.lost} lost, {chaos.done}")
    chaos.end()
    lab.wait("all clients to be gone", lambda: set(manager.store) == kept
             and open_files(manager.process.pid) == before, 20)
    lab.stop(manager.process)
    manager.expect_reloads()
