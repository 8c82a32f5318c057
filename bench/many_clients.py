# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs a server to tell many clients about each other.

All clients are in one process, many-clients.c, which checks the announcements.
They connect one after another, each as soon as the previous one knows all
peers, and read immediately. The server sends N clients N * N announcements:
half of them to existing clients, one by one, and half to new clients, many in a
row.

QEMU's own server takes turns with ours, with as many clients as it supports.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compiled import compiled
from many_peers import SERVED_MAX, room_for
from measure import Group, Measurement, Ratio, Subject
from ivshmem import Testbed, artifacts, procfs
from ivshmem.process import Process
from ivshmem.server import is_listening

OURS = "ivshmemd"
THEIRS = "QEMU's"

FEW = (10, 100, SERVED_MAX)  # supported by QEMU's server, too
MANY = 1000
MOST = 5000

# A server has a socket and a vector for each client.
FDS_EACH = 2

NEWCOMERS = 10
PATIENCE_SECONDS = 60.0

# 25 million announcements take 4 minutes on a busy machine
MOST_PATIENCE_SECONDS = 600.0
MILLION = 1_000_000

# Turns with and without a client that never reads
TURNS = 10
ANNOUNCEMENTS = 10  # in each turn

ALL_READ = f"{MANY:,} clients read"
ONE_STALLS = f"{MANY:,} clients read, one more does not"

KIB_4 = "4 KiB"


@dataclass(frozen=True)
class Costs:
    """In seconds."""

    cpu: float       # of the server, until all clients know each other
    time: float      # until then
    newcomer: float  # from its connect() until a newcomer knows all


class Clients:
    """Runs the commands that many-clients.c lists."""

    def __init__(self, bed: Testbed, socket: Path) -> None:
        self._bed = bed
        self._process = bed.program("many-clients", [
            str(compiled("many-clients")), str(socket)])
        self._orders = 0

    def do(self, order: str) -> list[float]:
        """Runs a command, and returns the seconds of each repetition."""
        self._process.type(order)
        self._orders += 1
        answers = self._process.output
        self._bed.wait(f"the clients to {order}",
                       lambda: len(answers) == self._orders)
        return [float(word) for word in answers[-1].split()]

    def join(self, number: int) -> float:
        return self.do(f"join {number}")[0]


def costs(server: str, number: int, patience: float = PATIENCE_SECONDS,
          ) -> Costs:
    with room_for(number, FDS_EACH), Testbed(patience) as bed:
        process, clients = _start(bed, server)
        before = procfs.cpu_seconds(process.pid)
        seconds = clients.join(number)
        cpu = procfs.cpu_seconds(process.pid) - before
        return Costs(cpu, seconds, statistics.median(
            clients.do(f"newcomer {NEWCOMERS}")))


def memory_each(server: str, number: int) -> float:
    """The server's memory for each client in bytes, without the kernel's."""
    with room_for(number, FDS_EACH), Testbed(PATIENCE_SECONDS) as bed:
        process, clients = _start(bed, server)
        before = _memory_bytes(process.pid)
        clients.join(number)
        return (_memory_bytes(process.pid) - before) / number


def slow_client() -> Mapping[str, float]:
    """Milliseconds until all clients know a new one, with and without a client
    that never reads. Its socket is full at once, because it is told about more
    clients than a socket can hold messages."""
    with room_for(MANY, FDS_EACH), Testbed(PATIENCE_SECONDS) as bed:
        _, clients = _start(bed, OURS)
        clients.join(MANY)
        times: dict[str, list[float]] = {ALL_READ: [], ONE_STALLS: []}
        for _ in range(TURNS):
            times[ALL_READ] += clients.do(f"announce {ANNOUNCEMENTS}")
            clients.do("stall")
            times[ONE_STALLS] += clients.do(f"announce {ANNOUNCEMENTS}")
            clients.do("hang-up")
        return {name: statistics.median(seconds) * 1000
                for name, seconds in times.items()}


def _start(bed: Testbed, server: str) -> tuple[Process, Clients]:
    directory = bed.directory()
    socket = directory / "server.sock"
    if server == OURS:
        argv = [str(artifacts.ivshmemd())]
    else:  # its default memory could be that of a user's server
        argv = [str(artifacts.ivshmem_server()), "-m", str(directory)]
    process = bed.program(server, [*argv, "-F", "-S", str(socket)])
    bed.wait(f"{server} to listen", lambda: is_listening(socket))
    return process, Clients(bed, socket)


def _memory_bytes(pid: int) -> int:
    """Private memory. The counters in /proc/PID/status are not exact."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(map(int, re.findall(
        r"^Pss_(?:Anon|Shmem):\s*(\d+) kB$", rollup, re.M)))


def _name(server: str, number: int, what: str) -> str:
    return f"{server}, {number:,}: {what}"


CPU, TIME, NEWCOMER = "CPU time", "time", "newcomer"
CPU_PER_MILLION = "CPU per million"


def _subject(server: str, number: int) -> Group:
    """In milliseconds."""
    names = tuple(_name(server, number, what)
                  for what in (CPU, TIME, NEWCOMER))

    def samples() -> Mapping[str, float]:
        found = costs(server, number)
        return {name: seconds * 1000 for name, seconds in
                zip(names, (found.cpu, found.time, found.newcomer))}

    return Group(names, samples)


def _ratios(number: int) -> Sequence[Ratio]:
    return [Ratio(_name(OURS, number, what), _name(THEIRS, number, what),
                  1.0 if (number, what) == (SERVED_MAX, CPU) else None)
            for what in (CPU, TIME, NEWCOMER)]


def _cpu_per_million(cpu: float, number: int) -> float:
    return cpu * MILLION / number ** 2


def _most() -> Mapping[str, float]:
    found = costs(OURS, MOST, MOST_PATIENCE_SECONDS)
    return {_name(OURS, MOST, CPU): found.cpu,
            _name(OURS, MOST, TIME): found.time,
            _name(OURS, MOST, NEWCOMER): found.newcomer,
            _name(OURS, MOST, CPU_PER_MILLION):
            _cpu_per_million(found.cpu, MOST)}


MEASUREMENTS = [
    Measurement(
        "server", "time until N clients know each other, and until a new "
        "client knows all", "ms",
        [*(_subject(server, number) for number in FEW
           for server in (OURS, THEIRS)),
         _subject(OURS, MANY)],
        [ratio for number in FEW for ratio in _ratios(number)], rounds=9),
    Measurement(
        "server-5000", f"the same with {MOST:,} clients, and CPU time per "
        "million announcements", "s",
        [Subject(_name(OURS, MANY, CPU_PER_MILLION), lambda:
                 _cpu_per_million(costs(OURS, MANY).cpu, MANY)),
         Group(tuple(_name(OURS, MOST, what) for what in
                     (CPU, TIME, NEWCOMER, CPU_PER_MILLION)), _most)],
        [Ratio(_name(OURS, MOST, CPU_PER_MILLION),
               _name(OURS, MANY, CPU_PER_MILLION), goal=1.5)], rounds=1),
    Measurement(
        "server-slow-client", "time until all clients know a new one", "ms",
        [Group((ALL_READ, ONE_STALLS), slow_client)],
        [Ratio(ONE_STALLS, ALL_READ, goal=1.1)], rounds=5),
    Measurement(
        "server-memory", "server memory for each client",
        "bytes",
        [*(Subject(f"{server}, {number:,}",
                   partial(memory_each, server, number))
           for server, number in ((OURS, SERVED_MAX), (THEIRS, SERVED_MAX),
                                  (OURS, MANY))),
         Subject(KIB_4, lambda: 4096.0)],
        [Ratio(f"{OURS}, {SERVED_MAX:,}", f"{THEIRS}, {SERVED_MAX:,}"),
         Ratio(f"{OURS}, {MANY:,}", KIB_4, goal=1.0)], rounds=3),
]
