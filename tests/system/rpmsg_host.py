# SPDX-License-Identifier: GPL-2.0-or-later
"""The host of an RPMsg link to a remote that uses guest/ivshmem-rpmsg.h.

That header describes the memory. The host behaves like OpenAMP's, unless a
test makes it do otherwise.
"""

import struct
import time
from collections import deque
from collections.abc import Callable

from ivshmem import Testbed
from ivshmem.memory import SharedMemory
from ivshmem.peer import Peer

BUFFERS = 32
BUFFER_BYTES = 512
HEADER = struct.Struct("<IIIHH")  # source, destination, reserved, bytes, flags
MESSAGE_MAX = BUFFER_BYTES - HEADER.size

NAMES, NAME_BYTES, NAME_ENTRIES = 0, 64, 16
OWNER, ID, STARTS, CLOSED, CLEAN, NAME = 0, 4, 8, 12, 16, 32

LINK, LINK_BYTES = 0x10000, 0x10000
STATUS = LINK
DRIVER_OK = 4
ALL_BUFFERS = LINK + 4
TO_REMOTE = ALL_BUFFERS + 2 * BUFFERS * BUFFER_BYTES
TO_HOST = TO_REMOTE + 848
ADDRESS = 0x60000000  # of offset 0, for the board

NAME_SERVICE = 0x35
OWN_ADDRESS = 0x401
NO_RING = 1

SECONDS = 20.0


class Name:
    """An entry in the name table."""

    def __init__(self, memory: SharedMemory, name: str) -> None:
        self._memory = memory
        self._name = name.encode()
        self._entry: int | None = None

    def find(self) -> bool:
        for entry in range(NAMES, NAMES + NAME_BYTES * NAME_ENTRIES,
                           NAME_BYTES):
            found = self._memory.read(entry + NAME, 32).rstrip(b"\0")
            if self._memory.word(entry + ID) and found == self._name:
                self._entry = entry
        return self._entry is not None

    def enter(self, own_id: int) -> None:
        if not self.find():
            self._entry = next(
                entry for entry in range(NAMES, NAMES + 1024, NAME_BYTES)
                if not self._memory.word(entry + OWNER))
            self[OWNER] = own_id + 1
            self._memory.write(self._entry + NAME, self._name)
        self[CLOSED] = self[CLEAN] = 0
        self[STARTS] += 1
        self[ID] = own_id + 1

    def __getitem__(self, word: int) -> int:
        assert self._entry is not None
        return self._memory.word(self._entry + word)

    def __setitem__(self, word: int, value: int) -> None:
        assert self._entry is not None
        self._memory.set_words(self._entry + word, value)


class Vring:
    """The host's view of a vring. Flags and index share a word."""

    def __init__(self, memory: SharedMemory, offset: int, flags: int) -> None:
        self._memory = memory
        self._descriptors = offset
        self._available = offset + 16 * BUFFERS
        self._used = self._available + 72
        self._flags = flags
        self.made = 0  # available, modulo 2^16
        self.seen = 0  # used

    def describe(self, number: int, address: int, size: int) -> None:
        self._memory.set_words(self._descriptors + 16 * number,
                               address & 0xFFFFFFFF, address >> 32, size, 0)

    def make_available(self, number: int) -> None:
        self._memory.write(self._available + 4 + self.made % BUFFERS * 2,
                           struct.pack("<H", number))
        self.made = (self.made + 1) & 0xFFFF
        self._memory.set_words(self._available, self._flags | self.made << 16)

    def take_used(self) -> int | None:
        """The next descriptor that the remote has used, if any."""
        if self._memory.word(self._used) >> 16 == self.seen:
            return None
        number = self._memory.word(self._used + 4 + self.seen % BUFFERS * 8)
        self.seen = (self.seen + 1) & 0xFFFF
        return number


class RpmsgHost:
    """One start of a host. `peer` is its connection to the server."""

    def __init__(self, bed: Testbed, peer: Peer) -> None:
        self._bed = bed
        self._peer = peer
        self.memory = peer.memory
        self._own = Name(self.memory, "host")
        self._remote = Name(self.memory, "remote")
        self._remote_address = 0
        self._own.enter(peer.id)

    def connect(self, when_set_up: Callable[[], object] = lambda: None,
                when_announced: Callable[[], object] = lambda: None) -> None:
        """Links with the remote and binds the service that it announces.

        Calls `when_set_up` before it tells the remote that all is set up, and
        `when_announced` before it reads the announcement.
        """
        self._bed.wait("the remote's name", self._remote.find)
        start = self._remote[STARTS]
        for step, act in ((CLOSED, self._close), (CLEAN, self._set_up)):
            act()
            self._own[step] = start
            self._bed.wait(f"the remote's word {step}", lambda: (
                self._remote[step] == self._own[STARTS]))
        self._peer.wait_for_peer(self.remote_id, SECONDS)
        when_set_up()
        self.memory.set_words(STATUS, DRIVER_OK)
        self.ring()
        when_announced()

        [source, destination, payload] = self.receive()
        assert destination == NAME_SERVICE
        assert payload == struct.pack("<32sII", b"echo", source, 0)
        self._remote_address = source
        self.send(b"")
        assert self.receive() == (source, OWN_ADDRESS, b"")

    @property
    def remote_id(self) -> int:
        return self._remote[ID] - 1

    def _close(self) -> None:
        self._withheld: deque[int] = deque()
        self._free = deque(range(BUFFERS))

    def _set_up(self) -> None:
        self.memory.write(LINK, bytes(LINK_BYTES))
        self.to_remote = Vring(self.memory, TO_REMOTE, NO_RING)
        self.to_host = Vring(self.memory, TO_HOST, 0)
        for number in range(BUFFERS):
            self.to_remote.describe(number, ADDRESS + self._sent(number),
                                    BUFFER_BYTES)
            self.to_host.describe(number, ADDRESS + self._received(number),
                                  BUFFER_BYTES)
            self.to_host.make_available(number)

    def put_message(self, offset: int, payload: bytes) -> None:
        """Writes a message to any offset, without a descriptor for it."""
        self.memory.write(offset, HEADER.pack(
            OWN_ADDRESS, self._remote_address, 0, len(payload), 0) + payload)

    @staticmethod
    def _received(number: int) -> int:
        return ALL_BUFFERS + number * BUFFER_BYTES

    @staticmethod
    def _sent(number: int) -> int:
        return ALL_BUFFERS + (BUFFERS + number) * BUFFER_BYTES

    def ring(self) -> None:
        self._peer.ring(self.remote_id)

    def send(self, payload: bytes, destination: int | None = None,
             size: int | None = None) -> None:
        """Waits for a free buffer and sends. `size` is the size in the header,
        if it is to be wrong."""
        deadline = time.monotonic() + SECONDS
        while not self._free:
            self._reclaim()
            assert time.monotonic() < deadline, "no buffer was returned"
        number = self._free.popleft()
        self.memory.write(self._sent(number), HEADER.pack(
            OWN_ADDRESS,
            self._remote_address if destination is None else destination, 0,
            len(payload) if size is None else size, 0) + payload)
        self.to_remote.make_available(number)
        self.ring()

    def in_use(self) -> int:
        """The number of buffers that the remote has not returned."""
        self._reclaim()
        return BUFFERS - len(self._free)

    def _reclaim(self) -> None:
        while (number := self.to_remote.take_used()) is not None:
            if number < BUFFERS:
                self._free.append(number)

    def receive(self, is_kept: bool = False) -> tuple[int, int, bytes]:
        """Waits for a message. Returns its source, destination and payload.
        Gives its buffer back to the remote, unless it is to be kept."""
        while (number := self.to_host.take_used()) is None:
            self._peer.wait_for_doorbells(SECONDS)
        data = self.memory.read(self._received(number), BUFFER_BYTES)
        source, destination, _, size, _ = HEADER.unpack_from(data)
        if is_kept:
            self._withheld.append(number)
        else:
            self.to_host.make_available(number)
        return source, destination, data[HEADER.size:HEADER.size + size]

    def give_back(self) -> None:
        """Gives back all kept buffers."""
        while self._withheld:
            self.to_host.make_available(self._withheld.popleft())
        self.ring()

    def is_silent(self) -> bool:
        return self.to_host.take_used() is None

    def rings(self) -> int:
        """How many times the remote has rung since the last call or wait
        in receive()."""
        return self._peer.take_doorbells()

    def has_restarted(self, start: int) -> bool:
        return self._remote[STARTS] != start

    def start_of_remote(self) -> int:
        return self._remote[STARTS]

    def answers(self, payload: bytes) -> bool:
        """Whether the remote sends back this message."""
        self.send(payload)
        return self.receive()[2] == payload
