# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that reaches a limit reports it and goes on.

If a process cannot open another fd, it still receives messages, but the kernel
drops the fds in them without an error. Then a message that announces a vector
looks like one that says that the peer left.
"""

import resource
from collections.abc import Iterator

import pytest

from ivshmem import Testbed, procfs
from ivshmem.fake_server import OWN_ID, PEER, FakeServer
from fake_server_vm import EVENTFD, refused, unharmed

STRANGERS = range(10, 30)  # peers that the handshake does not announce

# The error, and which limit to raise
OUT_OF_FDS = r"Too many open files[^\n]*\n[^\n]*(RLIMIT_NOFILE|ulimit -\w*n)"

# The most vectors that the device keeps for a peer: as many as MSI-X allows
VECTORS_KEPT = 2048


@pytest.fixture
def server(bed: Testbed) -> FakeServer:
    return bed.enter(FakeServer())


# No room for fds


@pytest.mark.parametrize("messages", range(2, 6))
def test_no_room_in_the_handshake(bed: Testbed, server: FakeServer,
                                  messages: int) -> None:
    """QEMU runs out of fds at the shared memory, at a peer's vectors or at its
    own."""
    with refused(bed, server, OUT_OF_FDS) as board:
        server.shake_hands(messages)
        bed.wait("QEMU to read all messages", server.all_heard)
        procfs.leave_room_for_files(board.pid, 0)
        for number, fds in server.handshake[messages:]:
            server.say(number, *fds)


def test_no_room_for_strangers(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning=OUT_OF_FDS,
                  peers=1 + len(STRANGERS)) as vm:
        procfs.leave_room_for_files(vm.pid, 0)
        for _ in range(100):
            for stranger in STRANGERS:
                server.say(stranger, server.own_doorbell)


def test_rings_a_stranger_without_room(bed: Testbed,
                                       server: FakeServer) -> None:
    """When the guest rings an unknown peer, the device looks for news from the
    server. That must work without free fds too."""
    with unharmed(bed, server, warning=OUT_OF_FDS, peers=2) as vm:
        procfs.leave_room_for_files(vm.pid, 0)
        server.say(STRANGERS[0], server.own_doorbell)
        vm.run_command([(stranger, 0) for stranger in STRANGERS])


def test_hangs_up_without_room(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning="server has gone",
                  files={"socket": -2}) as vm:
        procfs.leave_room_for_files(vm.pid, 0)
        server.hang_up()


def test_raised_limit_makes_room(bed: Testbed, server: FakeServer) -> None:
    with unharmed(bed, server, warning=OUT_OF_FDS, files={EVENTFD: 1},
                  peers=3) as vm:
        limit = resource.prlimit(vm.pid, resource.RLIMIT_NOFILE)
        procfs.leave_room_for_files(vm.pid, 0)
        server.say(STRANGERS[0], server.fds.eventfd())
        vm.check()

        resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, limit)
        doorbell = server.fds.eventfd()
        server.say(STRANGERS[1], doorbell)
        vm.check_rings([(STRANGERS[1], 0)], [doorbell])


def test_peers_that_leave_make_room(bed: Testbed,
                                    server: FakeServer) -> None:
    """More peers join than there are fds for, then all leave. The device
    forgets a peer only after a second, in case the server is hanging up."""
    with unharmed(bed, server, warning=OUT_OF_FDS, files={EVENTFD: 1},
                  peers=2) as vm:
        before = vm.open_files()
        procfs.leave_room_for_files(vm.pid, len(STRANGERS) // 2)
        for stranger in STRANGERS:
            server.say(stranger, server.own_doorbell)
        for stranger in STRANGERS:
            server.say(stranger)
        vm.check()
        vm.check_files(before)

        doorbell = server.fds.eventfd()
        server.say(STRANGERS[-1], doorbell)
        vm.check_rings([(STRANGERS[-1], 0)], [doorbell])


# More vectors than are kept


@pytest.fixture
def plenty_of_fds() -> Iterator[None]:
    """QEMU 7.2 does not raise the soft limit itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * VECTORS_KEPT:
        pytest.skip(f"needs {2 * VECTORS_KEPT} fds, the limit is {hard}: "
                    "raise it (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("plenty_of_fds")
def test_too_many_vectors_in_the_handshake(bed: Testbed,
                                           server: FakeServer) -> None:
    with refused(bed, server, rf"ID {PEER} more than {VECTORS_KEPT} vectors"):
        server.shake_hands(3)
        for _ in range(3000):
            server.say(PEER, server.peer_doorbells[0])


@pytest.mark.usefixtures("plenty_of_fds")
def test_too_many_vectors_of_a_peer(bed: Testbed,
                                    server: FakeServer) -> None:
    with unharmed(bed, server, warning=rf"ID {STRANGERS[0]} more than "
                  rf"{VECTORS_KEPT} vectors") as vm:
        before = vm.open_files()
        for _ in range(3000):
            server.say(STRANGERS[0], server.own_doorbell)
        vm.check()
        vm.check_files(before, {EVENTFD: VECTORS_KEPT})
        server.say(STRANGERS[0])


@pytest.mark.usefixtures("plenty_of_fds")
def test_too_many_vectors_of_the_vm(bed: Testbed,
                                    server: FakeServer) -> None:
    with unharmed(bed, server, warning=rf"ID {OWN_ID} more than "
                  rf"{VECTORS_KEPT} vectors"):
        for _ in range(3000):
            server.say(OWN_ID, server.own_doorbell)
