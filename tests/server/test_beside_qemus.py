# SPDX-License-Identifier: GPL-2.0-or-later
"""Problems of QEMU's own server that ivshmemd does not have.

Each test runs on both servers, if QEMU's is built. It must fail on QEMU's, for
the reason given with it; otherwise the manual's list of its limits is outdated.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ivshmem import TestbedError, artifacts
from ivshmem.memory import MIB
from ivshmem.process import Process
from ivshmem.server import is_listening

from .in_flight import ONE_AT_A_TIME, in_flight
from .lab import Lab

pytestmark = ONE_AT_A_TIME

# Short for QEMU's server, which fails anyway
PATIENCE = {"ivshmemd": 20.0, "qemus": 1.0}

# How many messages the kernel queues for a client that does not read
UNREAD = 278

GIB = 1024 * MIB

MOUNT = ["unshare", "--mount", "--map-root-user"]


class Server:
    """One of the two, with the short options that both have."""

    def __init__(self, kind: str, lab: Lab) -> None:
        self.kind = kind
        self.patience = PATIENCE[kind]
        self._lab = lab

    def start(self, *options: str, within: Sequence[str] = ()) -> Process:
        if self.kind == "ivshmemd":
            return self._lab.ivshmemd(*options, within=within)
        if not {"-M", "-m"} & set(options):
            options = ("-M", self._lab.object, *options)
        return self._lab.qemus_server(*options, within=within)

    def command(self, *options: str) -> list[str]:
        if self.kind == "ivshmemd":
            return self._lab.command(*options)
        return [str(artifacts.ivshmem_server()), "-F",
                *(() if "-S" in options else ("-S", str(self._lab.socket))),
                *options]

    def expect_note(self, process: Process, pattern: str,
                    most: int = 1) -> None:
        """Expects a message of ivshmemd on stderr. QEMU's server has none."""
        if self.kind == "ivshmemd":
            process.expect_error(pattern, most)


@pytest.fixture
def server(request: pytest.FixtureRequest, lab: Lab) -> Server:
    return Server(request.param, lab)


def has_qemus() -> bool:
    try:
        return artifacts.ivshmem_server().exists()
    except TestbedError:
        return False


def qemus(reason: str) -> pytest.MarkDecorator:
    """Runs the test on ivshmemd and on QEMU's server, where it must fail."""
    return pytest.mark.parametrize("server", [
        "ivshmemd",
        pytest.param("qemus", marks=[
            pytest.mark.skipif(
                not has_qemus(), reason="QEMU's ivshmem-server is missing: "
                "run `make qemu`, or set IVSHMEM_SERVER"),
            pytest.mark.xfail(
                strict=True, raises=(AssertionError, TestbedError),
                reason=reason)])], indirect=True)


def is_tmpfs(path: Path) -> bool:
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(path)], text=True,
                          capture_output=True, check=True)
    return kind.stdout.strip() in ("tmpfs", "ramfs")


def can_resize(fd: int, size: int) -> bool:
    try:
        os.ftruncate(fd, size)
    except PermissionError:
        return False
    return True


def can_mount() -> bool:
    return subprocess.run([*MOUNT, "true"], capture_output=True).returncode == 0


@qemus("it exits, with status 0")
def test_clients_hang_up_at_once(lab: Lab, server: Server) -> None:
    server.start()
    for _ in range(100):
        lab.connect().close()
    last = lab.client()
    lab.wait_for_view(last, {last.id: 1})


@qemus("it exits, with status 0, at 30 clients")
def test_few_fds(lab: Lab, server: Server) -> None:
    process = server.start(within=["prlimit", "--nofile=64:64"])
    server.expect_note(process, "refused a client .*: raise 'ulimit -Hn'", 30)
    clients = [lab.connect() for _ in range(30)]
    lab.wait("all clients to be greeted or refused", lambda: all(
        client.greeted() or client.is_closed for client in clients))
    inside = [client for client in clients if not client.is_closed]
    assert 10 < len(inside) < 30
    for client in inside:
        lab.wait_for_view(client, {other.id: 1 for other in inside})


@qemus("it exits, with status 0, at the 4th client")
def test_few_fds_and_many_vectors(lab: Lab, server: Server) -> None:
    process = server.start("-n", "64", within=["prlimit", "--nofile=256:256"])
    server.expect_note(process, "refused a client", 3)
    clients = [lab.connect() for _ in range(6)]
    lab.wait("all clients to be greeted or refused", lambda: all(
        client.greeted() or client.is_closed for client in clients))
    inside = [client for client in clients if not client.is_closed]
    assert len(inside) == 3
    for client in inside:
        lab.wait_for_view(client, {other.id: 64 for other in inside})


@in_flight(530 * 530)
@qemus("SIGABRT: an fd is beyond FD_SETSIZE")
def test_fds_beyond_1024(lab: Lab, server: Server) -> None:
    server.start()
    clients = [lab.connect() for _ in range(530)]
    lab.wait_for_view(clients[-1], {number: 1 for number in range(530)})


@qemus("it ignores EAGAIN, and sends a client's own vectors last")
@pytest.mark.parametrize("vectors, number", [
    (64, 7), (16, 20), pytest.param(1, 280, marks=in_flight(280 * 280))])
def test_many_boards_one_by_one(lab: Lab, server: Server, vectors: int,
                                number: int) -> None:
    server.start("-n", str(vectors))
    clients = [lab.connect() for _ in range(number)]
    lab.wait("the last client to be greeted", clients[-1].greeted)
    for client in clients[-3:-1]:
        lab.wait_for_view(client, {peer: vectors for peer in range(number)},
                          server.patience)


@in_flight(301 * 301)
@qemus("it ignores EAGAIN, and never sends the rest")
def test_late_reader_hears_all(lab: Lab, server: Server) -> None:
    server.start()
    late = lab.connect()
    others = [lab.connect() for _ in range(300)]
    lab.wait("the last client to be greeted", others[-1].greeted)
    lab.wait_for_view(late, {peer: 1 for peer in range(301)}, server.patience)


@in_flight(302 * 302)
@qemus("messages to a client that does not read are lost")
def test_late_reader_hears_of_departures(lab: Lab, server: Server) -> None:
    """The late reader is like a VM that is stopped in a debugger."""
    server.start()
    stopped = lab.client()
    others = [lab.connect() for _ in range(300)]
    lab.wait("the last client to be greeted", others[-1].greeted)
    for other in others:
        other.close()
    last = lab.client()
    there = {stopped.id: 1, last.id: 1}
    lab.wait_for_view(last, there, server.patience)
    lab.wait_for_view(stopped, there, server.patience)


@qemus("it announces the departure of clients that are still there")
@pytest.mark.parametrize("number", [signal.SIGINT])
def test_end_is_silent(lab: Lab, server: Server,
                       number: signal.Signals) -> None:
    process = server.start()
    clients = lab.clients(3)
    views = [client.view() for client in clients]
    os.kill(process.pid, number)
    lab.bed.wait_for_failure(process, "status 0|SIGINT")
    for client in clients:
        lab.wait("the connection to be closed", client.closed)
    assert [client.view() for client in clients] == views


@qemus("it resizes the memory, cannot bind, and removes the object")
def test_second_server_by_mistake(lab: Lab, server: Server) -> None:
    server.start("-M", lab.object)
    client = lab.client()
    assert client.memory is not None
    os.pwrite(client.memory, b"precious", 3 * MIB)
    second = subprocess.run(server.command("-M", lab.object, "-l", "1M"),
                            timeout=10, capture_output=True)
    assert second.returncode == 1
    assert os.pread(client.memory, 8, 3 * MIB) == b"precious"
    assert os.stat(f"/dev/shm/{lab.object}").st_size == 4 * MIB
    newcomer = lab.client()
    lab.wait_for_view(client, {client.id: 1, newcomer.id: 1})


@pytest.mark.xdist_group("default-object")
@qemus("both use the object 'ivshmem'")
def test_two_servers_share_nothing(lab: Lab, server: Server) -> None:
    usual = Path("/dev/shm/ivshmem")
    if usual.exists():
        pytest.skip(f"{usual} exists: another server may use it")
    try:
        sockets = [lab.path("first"), lab.path("second")]
        for path in sockets:
            lab.bed.program(server.kind, server.command("-S", str(path)))
            lab.wait("the server to listen", lambda: is_listening(path))
        first, second = (lab.client(path) for path in sockets)
        assert first.memory is not None and second.memory is not None
        os.pwrite(first.memory, b"secret", 0)
        assert os.pread(second.memory, 6, 0) == bytes(6)
        assert not usual.exists()
    finally:
        usual.unlink(missing_ok=True)


@qemus("cannot bind: the socket is left behind")
def test_restart_after_kill(lab: Lab, server: Server) -> None:
    process = server.start()
    os.kill(process.pid, signal.SIGKILL)
    lab.bed.wait_for_failure(process, "SIGKILL")
    process = server.start()
    server.expect_note(process, "replaced .*, which a killed server left")
    assert lab.client().id == 0


@qemus("it removes the memory and creates a new one")
def test_restart_keeps_memory(lab: Lab, server: Server) -> None:
    process = server.start("-M", lab.object)
    client = lab.client()
    assert client.memory is not None
    os.pwrite(client.memory, b"precious", 100)
    lab.stop(process)
    process = server.start("-M", lab.object)
    server.expect_note(process, "from an earlier run: its contents are kept")
    again = lab.client()
    assert again.memory is not None
    assert os.pread(again.memory, 8, 100) == b"precious"


@pytest.mark.skipif(not can_mount(), reason="cannot mount a file system")
@qemus("it starts, and VMs die of SIGBUS")
def test_file_system_too_small(lab: Lab, server: Server) -> None:
    small = lab.path("small")
    small.mkdir()
    command = [*MOUNT, "sh", "-c", f"mount -t tmpfs -o size=1M none {small} "
               '&& exec "$@"', "sh", *server.command("-m", str(small))]
    ended = lab.bed.program("a server", command)
    ended.expect_error(r"small/.*: cannot reserve 4M: No space left on device. "
                       "Choose a smaller size with -l, or free some space")
    lab.bed.wait_for_failure(ended, "status 1", server.patience)


@qemus("'ftruncate failed: Success', 1 byte, and 1 GiB")
@pytest.mark.parametrize("option, size", [
    ("2G", 2 * GIB), ("4G", 4 * GIB), ("5G", 8 * GIB)])
def test_large_memory(lab: Lab, server: Server, option: str,
                      size: int) -> None:
    """The memory is a file, as file systems reserve space for it quickly."""
    if is_tmpfs(lab.directory):
        pytest.skip(f"{lab.directory} is on a tmpfs: set TMPDIR to a disk")
    if shutil.disk_usage(lab.directory).free < 2 * size:
        pytest.skip(f"{lab.directory} has less than {2 * size >> 30} GiB free")
    process = server.start("-m", str(lab.directory), "-l", option)
    if option == "5G":
        server.expect_note(process, "5G is rounded up to 8G")
    client = lab.client()
    assert client.memory is not None
    assert os.fstat(client.memory).st_size == size


@qemus("every VM dies of SIGBUS")
def test_client_resizes_memory(lab: Lab, server: Server) -> None:
    server.start()
    client = lab.client()
    assert client.memory is not None
    assert not can_resize(client.memory, 4096)
    assert not can_resize(client.memory, 8 * MIB)
    assert os.fstat(client.memory).st_size == 4 * MIB
