# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing has become slower by a factor: bench/ in short.

A busy host makes things slow, too, now and then or most of the time. So all is
held against what the same host does at the same time, and one good try will do.
"""

import sys

import pytest

from ivshmem import TestbedError, artifacts

sys.path.append(str(artifacts.CHECKOUT / "bench"))

import doorbell
import memory
import ringing
from many_peers import room_for

TRIES = 10

# Where the guest itself takes turns with what it is held against.
TRIES_IN_TURNS = 3

# Times the trip between two host processes. Usual are 1 to 10.
ROUND_TRIP_MOST = 30

# Times what a doorbell costs where there is one peer. Usual is 1.
PEERS = 10_000
RING_MOST = 3

# Doorbells in a row come while the one before is still under way. After each
# row, nothing makes up for the last one.
RINGS = 1000
ROWS = 100

# Times the speed of the board's RAM. Usual is 1.
MEMORY_LEAST = 0.5


pytestmark = pytest.mark.xdist_group("bench")


@pytest.mark.speed
@pytest.mark.parametrize("sleep", [False, True], ids=["busy", "asleep"])
def test_round_trip_of_a_doorbell(sleep: bool) -> None:
    """Two processes that share a core are faster than others, and than two
    machines can be: the slowest of their best trips counts."""
    floors, trips = [], []
    for _ in range(TRIES):
        floors.append(doorbell.floor().best)
        trips.append(doorbell.ours(sleep).best)
        if min(trips) < ROUND_TRIP_MOST * max(floors):
            return
    pytest.fail(f"microseconds of {TRIES} tries: two boards {trips}, "
                f"two host processes {floors}")


@pytest.mark.parametrize("asleep", [False, True], ids=["busy", "asleep"])
def test_last_of_many_doorbells_is_seen(asleep: bool) -> None:
    storm = ringing.storm(asleep, RINGS, ROWS)

    assert ROWS <= storm.interrupts <= RINGS * ROWS


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
    for _ in range(TRIES_IN_TURNS):
        (one, _), (many, _) = ringing.costs((1, PEERS))
        tries.append((one, many))
        if many < RING_MOST * one:
            return
    pytest.fail(f"nanoseconds that a doorbell takes with 1 peer and with "
                f"{PEERS}: {tries}")


@pytest.mark.speed
def test_shared_memory_beside_ram() -> None:
    tries = []
    for _ in range(TRIES_IN_TURNS):
        speeds = memory.speeds()
        tries.append(speeds)
        if all(speeds[memory.WINDOW[kind]] > MEMORY_LEAST *
               speeds[memory.RAM[kind]] for kind in memory.KINDS):
            return
    pytest.fail(f"MB/s: {tries}")
