# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that breaks the protocol does not harm the VM.

Each test breaks it in one way. During the handshake, QEMU must refuse the
device and say why. Later it must warn and go on, and neither lose doorbells
nor leak memory or file descriptors.
"""

import itertools
import os
import select
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Event, Thread

import pytest

from ivshmem import Testbed, eventfd
from ivshmem.board import BOARDS
from ivshmem.fake_server import (MEMORY, OWN_ID, PEER, VERSION, Fds, FakeServer)
from fake_server_vm import EVENTFD, Vm, refused, unharmed
from ivshmem.procfs import anonymous_bytes

STRANGER = 9  # a peer that the handshake does not announce

# Neither IDs nor MEMORY. Truncated to fewer bits, some would be valid.
NO_IDS = [-2**63, -2**63 + OWN_ID, -2**32 + PEER, -2**31, -2**16 + PEER, -2,
          2**16, 2**16 + OWN_ID, 2**16 + PEER, 2**31 - 1, 2**31, 2**32 - 1,
          2**32, 2**32 + OWN_ID, 2**32 + PEER, 2**63 - 1]

# The chardev's socket, and the device's duplicate of it
HUNG_UP = {"socket": -2}

# About 26 bytes for each of 20,000 peers
LEAK_BYTES = 512 * 1024

MakeFd = Callable[[Fds], int]

NO_EVENTFD = [Fds.regular_file, Fds.full_pipe, Fds.dev_zero,
              Fds.deserted_socket, Fds.epoll]

NO_FILE = "neither a memory object nor a file"
NO_MEMORY: dict[MakeFd, str] = {
    Fds.eventfd: NO_FILE,
    Fds.full_pipe: NO_FILE,
    Fds.deserted_socket: NO_FILE,
    Fds.directory: NO_FILE,
    Fds.dev_zero: NO_FILE,
    Fds.small_memory: r"4194304 bytes.* has 2097152\b",
    Fds.big_memory: r"4194304 bytes.* has 8388608\b",
    Fds.regular_file: r"4194304 bytes.* has 0\b",
    Fds.read_only_memory: "cannot map .*(read-only|denied)",
}


def name_of(make_fd: MakeFd) -> str:
    return make_fd.__name__


@pytest.fixture
def server(bed: Testbed) -> FakeServer:
    return bed.enter(FakeServer())


# During the handshake: the server hangs up


@pytest.mark.parametrize("messages", range(6))
def test_hangs_up_in_the_handshake(bed: Testbed, server: FakeServer,
                                   messages: int) -> None:
    with refused(bed, server, "closed the connection during the handshake"):
        server.shake_hands(messages)
        server.hang_up()


@pytest.mark.parametrize("messages", range(6))
def test_hangs_up_in_mid_message(bed: Testbed, server: FakeServer,
                                 messages: int) -> None:
    number, fds = server.handshake[messages]
    with refused(bed, server, "closed the connection during the handshake"):
        server.shake_hands(messages)
        server.say_half(number, *fds)
        server.hang_up()


# During the handshake: version and own ID


@pytest.mark.parametrize("version", [1, -1, 2**31, 2**32, -2**63, 2**63 - 1])
def test_speaks_another_version(bed: Testbed, server: FakeServer,
                                version: int) -> None:
    with refused(bed, server, rf"protocol version {version}\b"):
        server.say(version)


def test_version_with_an_fd(bed: Testbed, server: FakeServer) -> None:
    with refused(bed, server, "protocol version 0 with a file descriptor"):
        server.say(VERSION, server.fds.eventfd())


@pytest.mark.parametrize("own_id", [-1, *NO_IDS])
def test_gives_an_impossible_id(bed: Testbed, server: FakeServer,
                                own_id: int) -> None:
    with refused(bed, server, rf"sent own ID {own_id}"):
        server.say(VERSION)
        server.say(own_id)


def test_own_id_with_an_fd(bed: Testbed, server: FakeServer) -> None:
    with refused(bed, server, f"sent own ID {OWN_ID} with a file descriptor"):
        server.say(VERSION)
        server.say(OWN_ID, server.fds.eventfd())


# During the handshake: the shared memory


def test_memory_without_an_fd(bed: Testbed, server: FakeServer) -> None:
    with refused(bed, server, "shared memory without a file descriptor"):
        server.shake_hands(2)
        server.say(MEMORY)


@pytest.mark.parametrize("make_fd", NO_MEMORY, ids=name_of)
def test_memory_is_another_kind_of_fd(bed: Testbed, server: FakeServer,
                                      make_fd: MakeFd) -> None:
    with refused(bed, server, NO_MEMORY[make_fd]):
        server.shake_hands(2)
        server.say(MEMORY, make_fd(server.fds))


@pytest.mark.parametrize("same", [True, False], ids=["same", "other"])
def test_memory_twice(bed: Testbed, server: FakeServer, same: bool) -> None:
    with refused(bed, server, "shared memory a second time"):
        server.shake_hands(3)
        server.say(MEMORY, server.memory_fd if same else server.fds.memory())


# During the handshake: peers and vectors


@pytest.mark.parametrize("number", NO_IDS)
@pytest.mark.parametrize("with_fd", [True, False], ids=["fd", "no fd"])
def test_announces_an_impossible_peer(bed: Testbed, server: FakeServer,
                                      number: int, with_fd: bool) -> None:
    with refused(bed, server, rf"sent {number}, which is not a peer ID"):
        server.shake_hands(3)
        server.say(number, *[server.fds.eventfd()] * with_fd)


def test_own_vector_without_an_fd(bed: Testbed, server: FakeServer) -> None:
    """Such a message means that the VM itself left."""
    with refused(bed, server, f"this device, ID {OWN_ID}, left"):
        server.shake_hands(5)
        server.say(OWN_ID)


def test_peer_without_an_fd(bed: Testbed, server: FakeServer) -> None:
    """Such a message means that the peer left, but it never joined."""
    with refused(bed, server, f"peer {PEER} left"):
        server.shake_hands(3)
        server.say(PEER)


def test_peer_leaves_twice(bed: Testbed, server: FakeServer) -> None:
    with refused(bed, server, f"peer {PEER} left"):
        server.shake_hands(5)
        server.say(PEER)
        server.say(PEER)


@pytest.mark.parametrize("make_fd", NO_EVENTFD, ids=name_of)
@pytest.mark.parametrize("id_, message", [(PEER, 3), (OWN_ID, 5)],
                         ids=["peer", "own"])
def test_vector_is_not_an_eventfd(bed: Testbed, server: FakeServer, id_: int,
                                  message: int, make_fd: MakeFd) -> None:
    with refused(bed, server, rf"ID {id_}\b.*not an eventfd"):
        server.handshake[message] = id_, [make_fd(server.fds)]
        server.shake_hands()


# During the handshake: time


def test_never_ends_the_handshake() -> None:
    """The server stops after or inside each message, or keeps announcing
    peers, slowly or fast. All cases run in parallel, as each takes seconds."""
    missing = ["protocol version", "own ID", "shared memory",
               "interrupt vector", "interrupt vector", "interrupt vector"]

    def falls_silent(messages: int, in_the_next: bool) -> None:
        with (FakeServer() as server, Testbed() as bed,
              refused(bed, server, f"sent no {missing[messages]} within")):
            server.shake_hands(messages)
            if in_the_next:
                number, fds = server.handshake[messages]
                server.say_half(number, *fds)

    def goes_on_talking(pause: float) -> None:
        with FakeServer() as server, Testbed() as bed, ExitStack() as talk:
            with refused(bed, server, "sent no interrupt vector within"):
                server.shake_hands(5)
                talk.enter_context(
                    server.repeating(coming_and_going(server), pause))

    trials = [*(partial(falls_silent, messages, in_the_next)
                for messages in range(6) for in_the_next in (False, True)),
              partial(goes_on_talking, 0.2), partial(goes_on_talking, 0.0)]
    with ThreadPoolExecutor(len(trials)) as pool:
        for result in [pool.submit(trial) for trial in trials]:
            result.result()


def coming_and_going(server: FakeServer) -> Callable[[], None]:
    doorbell = server.fds.eventfd()

    def come_and_go() -> None:
        server.say(STRANGER, doorbell)
        server.say(STRANGER)

    return come_and_go


# Messages in pieces, and with too many fds


@pytest.mark.parametrize("with_fd", [[0], [7], [0, 7], range(8)], ids=[
    "fd with the first", "fd with the last", "fds with both", "fds with all"])
@pytest.mark.parametrize("board", BOARDS)
def test_one_byte_at_a_time(bed: Testbed, server: FakeServer, board: str,
                            with_fd: Sequence[int]) -> None:
    """A message's fd may arrive with any of its bytes. If several bytes carry
    an fd, QEMU keeps only one."""
    before = open_files_of_a_good_vm(board)
    vm = Vm(bed, server, board)
    for number, fds in server.handshake:
        server.say_slowly(number, {i: fd for fd in fds for i in with_fd})
    vm.wait_ready()
    vm.check_files(before)

    doorbell = server.fds.eventfd()
    server.say_slowly(STRANGER, {i: doorbell for i in with_fd})
    vm.check_rings([(STRANGER, 0)], [doorbell])
    vm.check_files(before, {EVENTFD: 1})
    server.say_slowly(STRANGER, {})
    vm.check()
    vm.check_files(before)


# QEMU receives at most 16 in one message, Linux sends at most 253.
@pytest.mark.parametrize("count", [2, 16, 17, 253])
def test_several_fds_with_each_message(bed: Testbed, server: FakeServer,
                                       count: int) -> None:
    before = open_files_of_a_good_vm()
    vm = Vm(bed, server)
    for number, fds in server.handshake:
        server.say(number, *fds * count)
    vm.wait_ready()
    vm.check_files(before)

    server.say(STRANGER, *[server.fds.eventfd()] * count)
    server.say(STRANGER)
    vm.check()
    vm.check_files(before)


def open_files_of_a_good_vm(board: str = BOARDS[0]) -> Counter[str]:
    with FakeServer() as server, Testbed() as bed:
        vm = Vm(bed, server, board)
        vm.shake_hands()
        return vm.open_files()


# Later: the server hangs up


def test_hangs_up_after_the_handshake(bed: Testbed,
                                      server: FakeServer) -> None:
    """The server hangs up before QEMU has read the whole handshake."""
    vm = Vm(bed, server)
    server.shake_hands()
    server.hang_up()
    vm.wait_ready()
    vm.wait_for_warning("server has gone")


def test_hangs_up(bed: Testbed, server: FakeServer) -> None:
    """Meanwhile the guest rings an unknown peer, so that QEMU looks for news
    from the server."""
    with unharmed(bed, server, warning="server has gone",
                  files=HUNG_UP) as vm:
        with vm.commanding([(STRANGER, 0)]):
            server.hang_up()
            bed.wait("QEMU to warn", lambda: vm.board.errors)
        vm.board.check_idle()


@pytest.mark.parametrize("number", [PEER, STRANGER, MEMORY])
def test_hangs_up_in_a_message(bed: Testbed, server: FakeServer,
                               number: int) -> None:
    with unharmed(bed, server, warning="server has gone",
                  files=HUNG_UP) as vm:
        server.say_half(number, server.fds.eventfd())
        server.hang_up()
        vm.board.check_idle()


def test_falls_silent_in_a_message(bed: Testbed,
                                   server: FakeServer) -> None:
    with unharmed(bed, server, files={EVENTFD: 1}) as vm:
        server.say_half(STRANGER, server.fds.eventfd())
        vm.board.check_idle()


# Later: the shared memory


def test_memory_again_without_an_fd(bed: Testbed,
                                    server: FakeServer) -> None:
    with unharmed(bed, server, warning="shared memory"):
        server.say(MEMORY)


@pytest.mark.parametrize("make_fd", [Fds.memory, *NO_MEMORY], ids=name_of)
def test_other_memory_later(bed: Testbed, server: FakeServer,
                            make_fd: MakeFd) -> None:
    with unharmed(bed, server, warning="shared memory a second time"):
        server.say(MEMORY, make_fd(server.fds))


def test_same_memory_later(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning="shared memory a second time"):
        server.say(MEMORY, server.memory_fd)


# Later: peers and vectors


@pytest.mark.parametrize("number", NO_IDS)
@pytest.mark.parametrize("with_fd", [True, False], ids=["fd", "no fd"])
def test_announces_an_impossible_peer_later(bed: Testbed,
                                            server: FakeServer, number: int,
                                            with_fd: bool) -> None:
    with unharmed(bed, server,
                  warning=rf"sent {number}, which is not a peer ID"):
        server.say(number, *[server.fds.eventfd()] * with_fd)


def test_own_id_leaves(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning=f"this device, ID {OWN_ID}, left"):
        server.say(OWN_ID)


def test_stranger_leaves(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning=f"peer {STRANGER} left"):
        server.say(STRANGER)


def test_peer_leaves_twice_later(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning=f"peer {STRANGER} left"):
        server.say(STRANGER, server.fds.eventfd())
        server.say(STRANGER)
        server.say(STRANGER)


@pytest.mark.parametrize("make_fd", NO_EVENTFD, ids=name_of)
@pytest.mark.parametrize("peer", [STRANGER, PEER, OWN_ID],
                         ids=["stranger", "peer", "own"])
def test_vector_is_not_an_eventfd_later(bed: Testbed, server: FakeServer,
                                        peer: int, make_fd: MakeFd) -> None:
    with unharmed(bed, server, warning=rf"ID {peer}\b.*not an eventfd") as vm:
        server.say(peer, make_fd(server.fds))
        vm.run_command([(peer, vector) for vector in range(4)])
        vm.board.check_idle()


def test_thousand_vectors_of_a_peer(bed: Testbed,
                                    server: FakeServer) -> None:
    with unharmed(bed, server) as vm:
        before = vm.open_files()
        first, other, last = (server.fds.eventfd() for _ in range(3))
        for doorbell in first, *[other] * 998, last:
            server.say(STRANGER, doorbell)
        vm.check_rings([(STRANGER, 0), (STRANGER, 999)], [first, last])
        vm.check_files(before, {EVENTFD: 1000})
        server.say(STRANGER)


def test_thousand_vectors_of_the_vm(bed: Testbed,
                                    server: FakeServer) -> None:
    """Vectors without an interrupt line are not kept."""
    with unharmed(bed, server):
        doorbell = server.fds.eventfd()
        for _ in range(1000):
            server.say(OWN_ID, doorbell)


def test_blocks_who_rings_a_peer(bed: Testbed, server: FakeServer) -> None:
    """The peer's eventfd is full, and another process has made it blocking,
    which affects all who share it. Ringing must not block the VM."""
    with unharmed(bed, server) as vm:
        doorbell = server.peer_doorbells[0]
        eventfd.write(doorbell, 2**64 - 2)
        os.set_blocking(doorbell, True)
        vm.run_command([(PEER, 0)])


def test_blocks_who_looks_at_a_vector(bed: Testbed,
                                      server: FakeServer) -> None:
    """Once a full eventfd was rung, even a write of 0 to it blocks. Checking a
    new vector must not block the VM."""
    with unharmed(bed, server, peers=2, files={EVENTFD: 1}) as vm:
        doorbell = server.peer_doorbells[0]
        eventfd.write(doorbell, 2**64 - 2)
        os.set_blocking(doorbell, True)
        vm.run_command([(PEER, 0)])
        server.say(STRANGER, doorbell)
        vm.check_heard()
        vm.check_running()
        eventfd.read(doorbell)


def test_blocks_who_is_ringing_a_peer(bed: Testbed,
                                      server: FakeServer) -> None:
    """The eventfd fills up after QEMU has seen that it is not full."""
    doorbell = server.peer_doorbells[0]

    def fill() -> None:
        """Fills the eventfd, once it is empty."""
        filler = Thread(target=eventfd.write, args=(doorbell, 2**64 - 2),
                        daemon=True)
        filler.start()
        while filler.is_alive():
            empty()
            filler.join(0.0001)

    def empty() -> None:
        if select.select([doorbell], [], [], 0)[0]:
            eventfd.read(doorbell)

    with unharmed(bed, server) as vm:
        os.set_blocking(doorbell, True)
        with vm.commanding([(PEER, 0)]):
            for _ in range(150):
                fill()
                rung = vm.times_rung()
                try:
                    bed.wait("the guest to go on ringing",
                             lambda: vm.times_rung() != rung)
                finally:
                    empty()


def test_takes_rings_away(bed: Testbed, server: FakeServer) -> None:
    """Another process reads QEMU's eventfd first: after QEMU has seen that it
    was rung, there is nothing to read."""
    doorbell = server.own_doorbell
    enough = Event()

    def steal() -> None:
        while not enough.is_set():
            eventfd.read(doorbell)

    with unharmed(bed, server) as vm:
        os.set_blocking(doorbell, True)
        thief = Thread(target=steal, daemon=True)
        thief.start()
        for _ in range(200):
            eventfd.write(doorbell)
            vm.check_running()
        enough.set()
        while thief.is_alive():
            eventfd.write(doorbell)
            thief.join(0.01)


def test_rings_without_end(bed: Testbed, server: FakeServer) -> None:
    """QEMU's eventfd is a semaphore with a huge count, so that it stays
    readable after each read."""
    doorbell = server.fds.semaphore()
    server.own_doorbell = doorbell
    server.handshake[-1] = OWN_ID, [doorbell]
    with unharmed(bed, server) as vm:
        eventfd.write(doorbell, 2**60)
        for _ in range(10):
            vm.check_alive()


# Later: many messages


def test_thousands_come_and_go(bed: Testbed, server: FakeServer) -> None:
    """Meanwhile the guest rings some of them."""
    with unharmed(bed, server) as vm:
        doorbell = server.fds.eventfd()
        crowd = range(100, 1100)

        def generations(count: int) -> None:
            for _ in range(count):
                for peer in crowd:
                    server.say(peer, doorbell)
                for peer in crowd:
                    server.say(peer)
            vm.check_heard()

        with vm.commanding([(peer, 0) for peer in crowd[::100]]):
            generations(5)
            rung, used = vm.times_rung(), anonymous_bytes(vm.pid)
            generations(20)
            leaked = anonymous_bytes(vm.pid) - used
            # AddressSanitizer keeps freed memory, and finds leaks itself.
            assert leaked < LEAK_BYTES or "ASAN_OPTIONS" in os.environ
            assert vm.times_rung() > rung


def test_ten_thousand_wrong_messages(bed: Testbed,
                                     server: FakeServer) -> None:
    with unharmed(bed, server, warning="which is not a peer ID") as vm:
        doorbell = server.fds.eventfd()
        for number in itertools.islice(itertools.cycle(NO_IDS), 10_000):
            server.say(number, doorbell)
        vm.board.check_idle()


def test_never_stops_talking(bed: Testbed, server: FakeServer) -> None:
    """Meanwhile the guest rings the peer that comes and goes."""
    with unharmed(bed, server) as vm:
        with server.repeating(coming_and_going(server)):
            for _ in range(10):
                vm.run_command([(PEER, 0), (STRANGER, 0)])
                vm.check_alive()


@pytest.mark.bed_seconds(200.0)  # mostly for builds with sanitizers
def test_never_stops_talking_nonsense(bed: Testbed,
                                      server: FakeServer) -> None:
    """The server sends wrong messages faster than QEMU reads them."""
    with unharmed(bed, server, warning=f"sent {2**16}") as vm:
        with server.repeating(lambda: server.say_often(2**16, 1000)):
            for _ in range(10):
                vm.run_command([(PEER, 0), (STRANGER, 0)])
                vm.check_alive()
