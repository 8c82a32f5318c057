# SPDX-License-Identifier: GPL-2.0-or-later
"""Short runs of the benchmarks: nothing is more than about three times slower.

A busy host slows everything down. So each result is compared with a reference
that the same host measures at the same time, the best of many runs counts, and
a test passes if one of its tries is fast enough. A host that is too busy to
measure skips a test instead of failing it.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

import doorbell
import memory
import reference
import ringing
import rpmsg
from ivshmem import TestbedError, artifacts, eventfd
from many_peers import room_for

TRIES = 5

# More tries where two guests need a CPU each at the same time
TRIES_BUSY = 20

# Load average for each CPU above which a slow result means nothing.
LOAD_MOST = 4

# Relative to a round trip between two host processes that share a CPU. Usual
# values: 4 to 5 for sleeping guests, 2 to 8 for busy ones.
ROUND_TRIP_MOST = {"asleep": 8, "busy": 6}

# Relative to a write to an eventfd from Python. Usual values: 3 to 5.
RINGING_MOST = 7

# Relative to the cost of a doorbell with one peer. Usual value: 1.
PEERS = 10_000
PEERS_MOST = 3

# Each row of doorbells is rung without waiting. If the last of a row is lost,
# no later one hides it.
RINGS = 1000
ROWS = 100

# Relative to the rate of round trips over Ethernet. Usual values: 3 to 10.
ETHERNET_LEAST = 1

# Relative to the speed of the board's RAM. Usual value: 1.
MEMORY_LEAST = 0.5


pytestmark = pytest.mark.xdist_group("bench")


@contextmanager
def on_one_cpu(number: int) -> Iterator[None]:
    """Processes started in this block share one CPU, so that the time to wake
    another CPU does not count."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cpus)[number % len(cpus)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)


def too_slow(how: str) -> NoReturn:
    load = os.getloadavg()[0]
    if load > LOAD_MOST * len(os.sched_getaffinity(0)):
        pytest.skip(f"the host is too busy to measure: load {load:.1f}, {how}")
    pytest.fail(f"too slow, {how}")


def floor(number: int) -> float:
    with on_one_cpu(number):
        return doorbell.floor().best


@pytest.mark.speed
def test_round_trip_of_guests_that_sleep() -> None:
    ratios = []
    for number in range(TRIES):
        with on_one_cpu(number):
            trip = doorbell.ours(sleep=True).best
        ratios.append(trip / floor(number))
        if ratios[-1] < ROUND_TRIP_MOST["asleep"]:
            return
    too_slow(f"compared with two host processes: {ratios}")


@pytest.mark.speed
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2,
                    reason="two busy guests need two CPUs")
def test_round_trip_of_busy_guests() -> None:
    ratios = []
    for number in range(TRIES_BUSY):
        ratios.append(doorbell.ours(sleep=False).best / floor(number))
        if ratios[-1] < ROUND_TRIP_MOST["busy"]:
            return
    too_slow(f"compared with two host processes: {ratios}")


def ns_to_write() -> float:
    """The best time of a write to an eventfd."""
    times, rings = 300, 100
    fd = eventfd.create()
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter_ns()
        for _ in range(rings):
            eventfd.write(fd)
        best = min(best, (time.perf_counter_ns() - start) / rings)
    os.close(fd)
    return best


@pytest.mark.speed
def test_ringing() -> None:
    """The time from the guest's store to its next instruction."""
    ratios = []
    for _ in range(TRIES):
        (same, _), = ringing.costs((1,))
        ratios.append(same / ns_to_write())
        if ratios[-1] < RINGING_MOST:
            return
    too_slow(f"compared with a write to an eventfd: {ratios}")


@pytest.mark.parametrize("asleep", [False, True], ids=["busy", "asleep"])
def test_last_of_many_doorbells_is_seen(asleep: bool) -> None:
    storm = ringing.storm(asleep, RINGS, ROWS)

    assert ROWS <= storm.interrupts <= RINGS * ROWS


@pytest.mark.speed
@pytest.mark.skipif(artifacts.is_stock(artifacts.qemu_system("arm")),
                    reason="this QEMU was not built here")
def test_qemus_own_device_can_be_measured(
        monkeypatch: pytest.MonkeyPatch) -> None:
    build = artifacts.qemu_system("arm").parent
    done = subprocess.run([artifacts.CHECKOUT / "bench/build-reference"],
                          cwd="/", env={**os.environ, "QEMU_BUILD":
                                        os.path.relpath(build, "/")},
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    if "without QEMU's own ivshmem-flat" in done.stderr:
        pytest.skip(done.stderr)
    monkeypatch.setattr(reference, "REFERENCE",
                        build / "reference/qemu-system-arm")

    ringing.cost_alone(theirs=True)
    doorbell.theirs(sleep=True)


@pytest.fixture
def plenty_of_fds() -> None:
    try:
        with room_for(1 + PEERS):
            pass
    except TestbedError as error:
        pytest.skip(str(error))


@pytest.mark.speed
@pytest.mark.usefixtures("plenty_of_fds")
def test_ringing_one_of_many_peers() -> None:
    tries = []
    for _ in range(TRIES):
        (one, _), (many, _) = ringing.costs((1, PEERS))
        tries.append((one, many))
        if many < PEERS_MOST * one:
            return
    too_slow(f"in ns for each doorbell with 1 peer and with "
                f"{PEERS}: {tries}")


@pytest.mark.speed
def test_shared_memory_beside_ram() -> None:
    tries = []
    for _ in range(TRIES):
        speeds = memory.speeds()
        tries.append(speeds)
        if all(speeds[memory.WINDOW[kind]] > MEMORY_LEAST *
               speeds[memory.RAM[kind]] for kind in memory.KINDS):
            return
    too_slow(f"in MB/s: {tries}")


@pytest.mark.speed
def test_rpmsg_beside_ethernet() -> None:
    """RPMsg messages come back intact, and faster than over Ethernet."""
    tries = []
    for _ in range(TRIES):
        ours, ethernet = rpmsg.by_rpmsg(1), rpmsg.by_ethernet(1)
        tries.append([ours[size] / ethernet[size] for size in rpmsg.SIZES])
        if min(tries[-1]) > ETHERNET_LEAST:
            return
    too_slow(f"compared with Ethernet: {tries}")
