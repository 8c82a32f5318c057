# SPDX-License-Identifier: GPL-2.0-or-later
"""Zephyr's IPC between boards: icmsg and RPMsg on the module's mailbox.

The boards run samples of Zephyr and OpenAMP, and zephyr/samples/ipc_echo,
which goes on when either end restarts. scripts/build-zephyr builds the images.
"""

from collections.abc import Callable
from itertools import product

import pytest

from boards import expect_returns, returning_device, with_early_rings
from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS, flat_device
from ivshmem.process import Process, TestbedError
from ivshmem.server import IvshmemServer
from ivshmem.zephyr import ZephyrBoard
from rpmsg_host import CLEAN, CLOSED, STARTS, Name
from zephyr_run import build_directory, run, wait_said

pytestmark = [pytest.mark.zephyr, pytest.mark.bed_seconds(120.0)]

HOST, REMOTE = "host", "remote"
ALL_CAME_BACK = "^echo: 1000 of 1000 messages came back$"

# A session's place in the shared memory: offset and size in bytes
SESSION = {"icmsg": (0x30000, 0x1000), "rpmsg": (0x10000, 0x10000)}

crossed = pytest.mark.parametrize("host, remote", [BOARDS, BOARDS[::-1]])
pairs = pytest.mark.parametrize("host, remote", list(product(BOARDS, BOARDS)))
kinds = pytest.mark.parametrize("kind", ["icmsg", "rpmsg"])


def image(board: str, program: str) -> str:
    """The program's name. Skips the test if the program was not built."""
    try:
        artifacts.zephyr(board, program)
    except TestbedError:
        if program.startswith("icmsg"):
            raise
        pytest.skip(f"{program} was not built: see scripts/build-zephyr")
    return program


def start(bed: Testbed, board: str, program: str,
          server: IvshmemServer) -> ZephyrBoard:
    """Starts a board with lines for two vectors. A program may use one.

    A mailbox rings the guest that had its name, which may be gone."""
    return with_early_rings(bed.zephyr(
        board, image(board, program), server,
        flat_device(server.socket, more_lines=(25,))))


def wait_count(bed: Testbed, process: Process, pattern: str,
               count: int = 1) -> None:
    bed.wait(f"{process.name} to say '{pattern}' {count} times",
             lambda: process.count(pattern) >= count)


@pairs
@pytest.mark.parametrize("host_first", [True, False])
def test_icmsg_sample(bed: Testbed, host: str, remote: str,
                      host_first: bool) -> None:
    """samples/subsys/ipc/ipc_service/icmsg, in which each end checks what it
    gets."""
    server = bed.server(vectors=2)
    ends = [(host, "icmsg_host"), (remote, "icmsg_remote")]

    running = [start(bed, board, program, server) for board, program in
               (ends if host_first else ends[::-1])]

    for end in running:
        wait_count(bed, end, "demo ended")
        assert int(end.found(r"Sent (\d+) \[Bytes\]")[1]) > 0
        assert not end.said("ASSERTION|<err>")
    received = running[0 if host_first else 1].found(r"Received (\d+) \[Bytes\]")
    assert int(received[1]) > 0


@pairs
@pytest.mark.parametrize("host_first", [True, False])
def test_static_vrings_sample(bed: Testbed, host: str, remote: str,
                              host_first: bool) -> None:
    """samples/subsys/ipc/ipc_service/static_vrings, with two RPMsg links, one
    with two endpoints."""
    server = bed.server(vectors=2)
    ends = [(host, "static_vrings_host"), (remote, "static_vrings_remote")]

    running = [start(bed, board, program, server) for board, program in
               (ends if host_first else ends[::-1])]

    host_end, remote_end = running if host_first else running[::-1]
    for end, role in ((host_end, "HOST"), (remote_end, "REMOTE")):
        wait_count(bed, end, rf"^IPC-service {role} .*demo ended\.$", 3)
    for endpoint, last in (("0A", 99), ("0B", 99), ("1", 99)):
        assert host_end.said(rf"^HOST \[{endpoint}\]: {last}$")


def echo(bed: Testbed, kind: str, host: str, remote: str,
         ) -> tuple[IvshmemServer, ZephyrBoard, ZephyrBoard]:
    """Starts both ends of zephyr/samples/ipc_echo, and waits for the first
    round."""
    server = bed.server(vectors=2)
    host_end = start(bed, host, f"{kind}_echo_host", server)
    remote_end = start(bed, remote, f"{kind}_echo_remote", server)
    wait_count(bed, host_end, ALL_CAME_BACK)
    return server, host_end, remote_end


def check_met(server: IvshmemServer) -> None:
    """Each end has closed and cleared its old session for the other end's
    current start."""
    names = [Name(server.memory, name) for name in (HOST, REMOTE)]
    for own, peer in (names, names[::-1]):
        assert own.find() and peer.find()
        assert own[CLOSED] == own[CLEAN] == peer[STARTS]


@kinds
@pairs
def test_echo(bed: Testbed, kind: str, host: str, remote: str) -> None:
    _, host_end, remote_end = echo(bed, kind, host, remote)

    host_end.check_idle()
    remote_end.check_idle()


def new_machine(bed: Testbed, end: ZephyrBoard, board: str, program: str,
                server: IvshmemServer) -> ZephyrBoard:
    """Restarts an end as a new QEMU, with another ID."""
    end.hold()
    end.stop()
    return start(bed, board, program, server)


def reset(bed: Testbed, end: ZephyrBoard, board: str, program: str,
          server: IvshmemServer) -> ZephyrBoard:
    """Resets an end, which keeps its ID and its doorbells."""
    end.qmp.command("system_reset")
    return end


Restart = Callable[[Testbed, ZephyrBoard, str, str, IvshmemServer], ZephyrBoard]


@kinds
@pairs
@pytest.mark.parametrize("restart", [new_machine, reset])
def test_either_end_restarts(bed: Testbed, kind: str, host: str, remote: str,
                             restart: Restart) -> None:
    server, host_end, remote_end = echo(bed, kind, host, remote)

    for rounds in range(2):
        remote_end = restart(bed, remote_end, remote, f"{kind}_echo_remote",
                             server)
        wait_count(bed, host_end, ALL_CAME_BACK,
                   host_end.count(ALL_CAME_BACK) + 1)

        before = 0 if restart is new_machine else host_end.count(ALL_CAME_BACK)
        host_end = restart(bed, host_end, host, f"{kind}_echo_host", server)
        wait_count(bed, host_end, ALL_CAME_BACK, before + 1)
        check_met(server)


@kinds
@pairs
@pytest.mark.parametrize("who", [HOST, REMOTE])
def test_an_end_restarts_in_the_middle(bed: Testbed, kind: str, host: str,
                                       remote: str, who: str) -> None:
    server = bed.server(vectors=2)
    host_end = start(bed, host, f"{kind}_echo_host", server)
    remote_end = start(bed, remote, f"{kind}_echo_remote", server)

    for number in range(1, 4):
        wait_count(bed, host_end, "^echo: [1-9]00 messages$")
        if who == HOST:
            host_end = new_machine(bed, host_end, host, f"{kind}_echo_host",
                                   server)
            wait_count(bed, remote_end, "^echo: linked$", number + 1)
        else:
            before = host_end.count("^echo: linked$")
            remote_end = new_machine(bed, remote_end, remote,
                                     f"{kind}_echo_remote", server)
            wait_count(bed, host_end, "^echo: linked$", before + 1)

    wait_count(bed, host_end, ALL_CAME_BACK)


@kinds
@pairs
@pytest.mark.parametrize("who", [HOST, REMOTE])
def test_an_end_restarts_while_the_other_is_held(
        bed: Testbed, kind: str, host: str, remote: str, who: str) -> None:
    """One end is paused while the other restarts. The restarted end must wait
    until the paused one has closed the old session."""
    server, host_end, remote_end = echo(bed, kind, host, remote)
    held = remote_end if who == HOST else host_end

    held.qmp.command("stop")
    session = server.memory.read(*SESSION[kind])
    if who == HOST:
        host_end = new = new_machine(bed, host_end, host, f"{kind}_echo_host",
                                     server)
    else:
        remote_end = new = new_machine(bed, remote_end, remote,
                                       f"{kind}_echo_remote", server)
    before = host_end.count(ALL_CAME_BACK)
    wait_count(bed, new, "^echo: [a-z]+ is waiting for the other end$")
    new.check_idle()
    assert server.memory.read(*SESSION[kind]) == session
    assert not new.said("^echo: linked$")
    held.qmp.command("cont")

    wait_count(bed, host_end, ALL_CAME_BACK, before + 1)
    check_met(server)


@kinds
@pairs
def test_server_returns_with_new_memory(bed: Testbed, kind: str, host: str,
                                        remote: str) -> None:
    """After a server restart, the memory has no names, and starts are counted
    from 1 again. The second time a peer joins first, so that the boards' IDs
    change too."""
    server = bed.server()
    host_end, remote_end = (
        bed.zephyr(board, image(board, f"{kind}_echo_{end}"), server,
                   returning_device(board, server.socket))
        for end, board in ((HOST, host), (REMOTE, remote)))
    for board in (host_end, remote_end):
        expect_returns(board, 2)
    wait_count(bed, host_end, ALL_CAME_BACK)

    for returns in (1, 2):
        server.stop()
        server = bed.server(socket=server.socket)
        if returns == 2:
            bed.peer(server)
        wait_count(bed, host_end, ALL_CAME_BACK, returns + 1)
        check_met(server)


@kinds
@crossed
@pytest.mark.parametrize("who", [HOST, REMOTE])
def test_name_of_an_end_that_runs(bed: Testbed, kind: str, host: str,
                                  remote: str, who: str) -> None:
    """If a second board enters the same name, it gets the link, and the older
    board stops with a message."""
    server, host_end, remote_end = echo(bed, kind, host, remote)
    board, older = ((host, host_end) if who == HOST else
                    (remote, remote_end))

    newer = start(bed, board, f"{kind}_echo_{who}", server)
    bed.wait_for_failure(older, "echo: FAILED: another guest also uses the "
                         f"name '{who}': stop one of them$")

    wait_said(bed, newer, f"takes the name '{who}' from peer [01], whose link "
              "ends if it still runs")
    assert older.count(f"peer 2 also uses the name '{who}', and has the link "
                       "now: stop one of the two guests, or give it another "
                       "own-name") == 1
    wait_count(bed, newer if who == HOST else host_end, ALL_CAME_BACK,
               1 if who == HOST else 2)
    older.check_idle()


@pytest.mark.parametrize("board", BOARDS)
def test_end_rings_the_guest_whose_name_it_takes(bed: Testbed,
                                                 board: str) -> None:
    """That guest may sleep until a doorbell."""
    server = bed.server(vectors=2)
    peers = [bed.peer(server, vectors=2) for _ in range(3)]
    Name(server.memory, HOST).enter(peers[1].id)

    start(bed, board, "icmsg_echo_host", server)

    assert peers[1].wait_for_doorbells(bed.remaining()) == 1
    assert [peer.take_doorbells() for peer in peers] == [0, 0, 0]


@crossed
def test_openamp_sample(bed: Testbed, host: str, remote: str) -> None:
    """OpenAMP's dual_qemu_ivshmem, which has its own RPMsg back end, run by the
    target "run". The host must start first."""
    server = bed.server()
    host_build, remote_build = (
        build_directory(board, image(board, f"openamp_{end}"))
        for end, board in ((HOST, host), (REMOTE, remote)))
    host_end = run(bed, host_build, server)
    wait_said(bed, host_end, "shmem mapped at")
    remote_end = run(bed, remote_build, server)
    for end in (host_end, remote_end):
        wait_said(bed, end, "Side, the communication over RPMsg is ready")

    host_end.type("rpmsg_ivshmem send hello 1000")

    wait_said(bed, host_end, "^at message number 1000$")
    assert remote_end.count(r"^\[ hello \]$") == 1000
