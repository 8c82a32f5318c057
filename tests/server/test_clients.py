# SPDX-License-Identifier: GPL-2.0-or-later
"""What the server tells its clients, and how it handles bad ones."""

import os
import re
import resource
import signal
import socket
from pathlib import Path

import pytest

from ivshmem.peer import Peer
from ivshmem.procfs import cpu_share, leave_room_for_files, open_files

from .client import MEMORY, VERSION, Client
from .in_flight import ONE_AT_A_TIME
from .lab import Lab

# Enough vectors that a client must read before a fifth peer is announced
VECTORS = 64

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
          "--inh-caps=-all", "--bounding-set=-all", "--"]


def departures(client: Client) -> list[int]:
    return [number for number, has_fd in client.read().messages[3:]
            if not has_fd]


def test_greeting(lab: Lab) -> None:
    """A client gets version, ID and memory, then the vectors of the other
    peers, and its own last."""
    lab.ivshmemd("-n", "2")
    lab.clients(2, vectors=2)
    third = lab.client()
    lab.wait_for_view(third, {0: 2, 1: 2, 2: 2})
    assert third.messages == [
        (VERSION, False), (2, False), (MEMORY, True),
        (0, True), (0, True), (1, True), (1, True), (2, True), (2, True)]


def test_no_vectors(lab: Lab) -> None:
    lab.ivshmemd("-n", "0")
    first, second = lab.client(), lab.client()
    second.close()
    third = lab.client()
    assert (first.view(), third.view()) == ({}, {})
    assert len(first.messages) == 3


def test_each_vector_is_where_it_was_rung(lab: Lab) -> None:
    lab.ivshmemd("-n", "5")
    clients = lab.clients(3, vectors=5)
    for ringing in clients:
        for rung in clients:
            for vector in range(5):
                assert rung.id is not None
                ringing.ring(rung.id, vector)
                assert [(client.id, number) for client in clients
                        for number in range(5) if client.rung(number)] == [
                            (rung.id, vector)]


def test_library_peer(lab: Lab) -> None:
    """The Python package's client works."""
    lab.ivshmemd("-n", "2")
    first, second = Peer(lab.socket, 2), Peer(lab.socket, 2)
    first.wait_for_peer(second.id, 10)
    first.ring(second.id, 1)
    assert second.wait_for_doorbells(10, 1) == 1
    first.close()
    second.close()


def test_departure_is_announced_once(lab: Lab) -> None:
    lab.ivshmemd("-n", "3")
    stays, leaves = lab.clients(2, vectors=3)
    leaves.close()
    lab.wait_for_view(stays, {0: 3})
    newcomer = lab.client()
    lab.wait_for_view(stays, {0: 3, 2: 3})
    assert departures(stays) == [1]
    assert departures(newcomer) == []


def test_late_reader_hears_all_in_order(lab: Lab) -> None:
    lab.ivshmemd("-n", str(VECTORS))
    late = lab.connect()
    for _ in range(30):
        lab.connect()
    lab.wait_for_view(late, {peer: VECTORS for peer in range(31)})
    assert late.messages[3:] == [(peer, True) for peer in range(31)
                                 for _ in range(VECTORS)]


def test_unread_messages_cancel_out(lab: Lab) -> None:
    """A client that reads late is not told about peers that have joined and
    left in the meantime."""
    lab.ivshmemd("-n", str(VECTORS))
    late = lab.client()
    crowd = [lab.connect() for _ in range(6)]
    lab.wait("the last client to be greeted", crowd[-1].greeted)
    for _ in range(100):
        passing = lab.client()
        passing.close()
    crowd[5].close()
    last = lab.client()
    lab.wait_for_view(last, {**{peer: VECTORS for peer in range(6)},
                             107: VECTORS})
    lab.wait_for_view(late, {**{peer: VECTORS for peer in range(6)},
                             107: VECTORS})
    assert not {number for number, _ in late.messages} & set(range(7, 107))
    assert departures(late) == []


def test_half_told_departure_is_told(lab: Lab) -> None:
    """If some vectors of a peer were sent, its departure must be sent too."""
    lab.ivshmemd("-n", str(VECTORS))
    late = lab.client()
    crowd = [lab.connect() for _ in range(5)]
    lab.wait("the last client to be greeted", crowd[-1].greeted)
    for client in crowd:
        client.close()
    last = lab.client()
    lab.wait_for_view(last, {0: VECTORS, 6: VECTORS})
    lab.wait_for_view(late, {0: VECTORS, 6: VECTORS})
    told = {number for number, has_fd in late.messages[3:] if has_fd}
    half = {peer for peer in told - {0, 6}
            if late.messages.count((peer, True)) < VECTORS}
    assert half
    assert set(departures(late)) == told - {0, 6}


def test_stalled_client_costs_no_cpu(lab: Lab) -> None:
    process = lab.ivshmemd("-n", str(VECTORS))
    lab.client()
    for _ in range(6):
        lab.connect()
    lab.client()
    assert cpu_share(process.pid, 0.3) < 0.1


def test_stalled_client_holds_up_nobody(lab: Lab) -> None:
    lab.ivshmemd("-n", str(VECTORS))
    lab.client()
    readers = [lab.client() for _ in range(10)]
    for reader in readers:
        lab.wait_for_view(reader, {peer: VECTORS for peer in range(11)})


def can_be_nobody(program: Path) -> bool:
    if os.geteuid() != 0:
        return False
    return all(folder.stat().st_mode & 0o001 for folder in program.parents)


def test_fds_in_flight(lab: Lab) -> None:
    """The fds in flight of an unprivileged server are limited to RLIMIT_NOFILE.
    Clients that read get all messages, even if others do not read."""
    if not can_be_nobody(Path(lab.command()[0])):
        pytest.skip("cannot run ivshmemd as the user nobody: needs root, and a "
                    "path that nobody may read")
    lab.directory.chmod(0o777)
    lab.ivshmemd(within=["prlimit", "--nofile=256:256", *NOBODY])
    stalled = [lab.connect() for _ in range(10)]
    readers = [lab.connect() for _ in range(20)]
    everybody: dict[int | None, int] = {peer: 1 for peer in range(30)}
    for clients in (readers, readers + stalled):
        # All read in turn, as a client that has not read holds up others.
        lab.wait("the reading clients to know all peers", lambda: all([
            client.view() == everybody for client in clients]))


def test_rubbish(lab: Lab) -> None:
    lab.ivshmemd()
    good, bad = lab.clients(2)
    bad.say(b"\0" * 8)
    lab.wait("the connection to be closed", bad.closed)
    lab.wait_for_view(good, {0: 1})
    assert departures(good) == [1]


def test_rubbish_at_once(lab: Lab) -> None:
    """It may be sent before the server's greeting."""
    lab.ivshmemd()
    good = lab.client()
    bad = lab.connect()
    bad.say(b"GET / HTTP/1.0\r\n\r\n")
    lab.wait("the connection to be closed", bad.closed)
    lab.wait_for_view(good, {0: 1})


def test_rubbish_out_of_band(lab: Lab) -> None:
    """It does not keep the server busy."""
    lab.ivshmemd()
    good, bad = lab.clients(2)
    try:
        bad.say_out_of_band(b"x")
    except OSError as error:
        pytest.skip(f"the kernel refuses it: {error}")
    lab.wait("the connection to be closed", bad.closed)
    lab.wait_for_view(good, {0: 1})


def test_fds_that_a_client_sends_are_closed(lab: Lab) -> None:
    process = lab.ivshmemd()
    good, bad = lab.clients(2)
    before = open_files(process.pid)
    reader, writer = os.pipe()
    bad.say(b"x", *[writer] * 10)
    os.close(writer)
    lab.wait("the connection to be closed", bad.closed)
    assert os.read(reader, 1) == b""
    os.close(reader)
    lab.wait_for_view(good, {0: 1})
    assert sum((open_files(process.pid) - before).values()) == 0


def test_half_closed_connection(lab: Lab) -> None:
    lab.ivshmemd()
    first = lab.client()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second:
        second.connect(str(lab.socket))
        lab.wait_for_view(first, {0: 1, 1: 1})
        second.shutdown(socket.SHUT_WR)
        lab.wait_for_view(first, {0: 1})


def test_nothing_leaks(lab: Lab) -> None:
    process = lab.ivshmemd("-n", "4")
    stays = lab.client()
    before = open_files(process.pid)
    for _ in range(20):
        for client in [lab.connect() for _ in range(5)]:
            client.close()
    last = lab.client()
    lab.wait_for_view(stays, {0: 4, last.id: 4})
    last.close()
    lab.wait_for_view(stays, {0: 4})
    assert open_files(process.pid) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_end_is_silent(lab: Lab, number: signal.Signals) -> None:
    """Running machines can still ring each other."""
    process = lab.ivshmemd()
    clients = lab.clients(3)
    os.kill(process.pid, number)
    lab.bed.wait_for_failure(process, "status 0|SIGKILL")
    for client in clients:
        lab.wait("the connection to be closed", client.closed)
        assert departures(client) == []
    clients[0].ring(2)
    assert clients[2].rung()


def test_ids_are_not_reused(lab: Lab) -> None:
    """A new client gets the lowest ID that was never used."""
    lab.ivshmemd()
    clients = [lab.client() for _ in range(3)]
    clients[0].close()
    clients[2].close()
    lab.wait_for_view(clients[1], {1: 1})
    assert [lab.client().id for _ in range(2)] == [3, 4]


@ONE_AT_A_TIME
def test_room_again_at_the_fd_limit(lab: Lab) -> None:
    process = lab.ivshmemd(within=["prlimit", "--nofile=64:64"])
    process.expect_error(
        f"default: refused a client at {lab.socket}: this process is out of "
        "file descriptors: raise 'ulimit -Hn', or LimitNOFILE=", 2)
    inside: list[Client] = []
    while True:
        client = lab.connect()
        # All read in turn, as a client that has not read holds up others.
        lab.wait("the client to be greeted or refused", lambda: all(
            [each.greeted() or each.is_closed for each in [*inside, client]]))
        if client.is_closed:
            break
        inside.append(client)
    assert client.messages == []
    inside.pop(0).close()
    lab.wait_for_view(inside[0], {other.id: 1 for other in inside})
    newcomer = lab.client()
    lab.wait_for_view(inside[0], {other.id: 1
                                  for other in [*inside, newcomer]})


def test_no_fd_even_to_refuse(lab: Lab) -> None:
    """Otherwise the pending client would wake the server again and again."""
    process = lab.ivshmemd()
    process.expect_error("refused a client .*: raise 'ulimit -Hn'")
    stays = lab.client()
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    leave_room_for_files(process.pid, 0)
    refused = lab.connect()
    lab.wait("the client to be refused", refused.closed)
    assert cpu_share(process.pid, 0.2) < 0.1
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    newcomer = lab.client()
    lab.wait_for_view(stays, {0: 1, newcomer.id: 1})


def test_soft_fd_limit_is_raised(lab: Lab) -> None:
    process = lab.ivshmemd(within=["prlimit", "--nofile=64:256"])
    assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (256, 256)


def test_death_of_a_client(lab: Lab) -> None:
    process = lab.ivshmemd("-v")
    process.expect_error("peer 1 joined")
    process.expect_error("peer 0 joined")
    process.expect_error(r"peer 1 \(PID \d+, python3\) left")
    process.expect_error("exiting on signal")
    stays = lab.client()
    script = ("import socket as s, sys, time; c = s.socket(s.AF_UNIX); "
              "c.connect(sys.argv[1]); time.sleep(60)")
    doomed = lab.bed.program("doomed", ["/usr/bin/python3", "-ISc", script,
                                        str(lab.socket)])
    lab.wait_for_view(stays, {0: 1, 1: 1})
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.excuse()
    lab.wait_for_view(stays, {0: 1})
    lab.wait("the departure to be logged", lambda: any(
        re.search(rf"PID {doomed.pid}, python3\) left", line)
        for line in process.errors))
