# SPDX-License-Identifier: GPL-2.0-or-later
"""ivshmemctl and the server's control socket."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ivshmem import artifacts

from .lab import Lab

REFUSED, USAGE, NO_SERVER = 1, 2, 3
VECTORS = 64


def start(lab: Lab, *options: str) -> None:
    lab.ivshmemd("--control", str(lab.control), *options)


def channels(lab: Lab) -> list[dict[str, Any]]:
    ended = lab.ctl("list", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    listed = json.loads(ended.stdout)
    assert list(listed) == ["channels"]
    return listed["channels"]  # type: ignore[no-any-return]


def queued(lab: Lab, peer: int) -> int:
    number: int = channels(lab)[0]["peers"][peer]["queued"]
    return number


def test_json(lab: Lab) -> None:
    gateway = lab.path("gateway")
    start(lab, "-M", lab.object, "-l", "64K", "-S", str(lab.socket),
          "--socket", f"{gateway},id=7,vectors=3")
    lab.client()
    lab.client(gateway)
    channel, = channels(lab)
    peers = channel.pop("peers")
    assert channel == {
        "name": "default", "size": 65536, "memory": "object",
        "path": f"/dev/shm/{lab.object}", "sockets": [
            {"path": str(lab.socket), "id": None, "vectors": 1},
            {"path": str(gateway), "id": 7, "vectors": 3}]}
    for peer in peers:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
                            peer.pop("since"))
        assert peer.pop("command") in os.readlink("/proc/self/exe") + "pytest"
    common = {"pid": os.getpid(), "uid": os.getuid(), "queued": 0}
    assert peers == [
        {"id": 0, "socket": str(lab.socket), "vectors": 1, **common},
        {"id": 7, "socket": str(gateway), "vectors": 3, **common}]


def test_memfd_has_no_path(lab: Lab) -> None:
    start(lab)
    assert channels(lab)[0]["memory"] == "memfd"
    assert channels(lab)[0]["path"] is None


def test_queued(lab: Lab) -> None:
    """The messages for a client that does not read."""
    start(lab, "-n", str(VECTORS))
    stalled = lab.connect()
    for _ in range(10):
        lab.client()
    assert 0 < queued(lab, 0) < 11 * VECTORS
    lab.wait_for_view(stalled, {peer: VECTORS for peer in range(11)})
    lab.wait("the queue to be empty",
             lambda: queued(lab, 0) == 0)


def test_table(lab: Lab) -> None:
    start(lab, "-l", "64K", "-n", "2")
    lab.client()
    ended = lab.ctl("list")
    assert (ended.returncode, ended.stderr) == (0, "")
    heading, columns, peer = ended.stdout.splitlines()
    assert heading == "default: 64K, memfd, 1 peer"
    assert columns.split() == ["ID", "SOCKET", "VECTORS", "PID", "UID",
                               "COMMAND", "SINCE", "(UTC)", "QUEUED"]
    assert peer.split()[:5] == ["0", str(lab.socket), "2", str(os.getpid()),
                                str(os.getuid())]


def test_nobody_connected(lab: Lab) -> None:
    start(lab)
    assert lab.ctl("list").stdout == "default: 4M, memfd, 0 peers\n"


def test_peers_that_left_are_not_listed(lab: Lab) -> None:
    start(lab)
    lab.client().close()
    lab.wait("the client to leave", lambda: not channels(lab)[0]["peers"])


class Watch:
    """ivshmemctl list --watch in a terminal"""

    def __init__(self, lab: Lab) -> None:
        self.text = b""
        self._terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            # SIGINT is ignored in a shell's background jobs.
            ["env", "--default-signal=INT", str(artifacts.ivshmemctl()),
             "--control", str(lab.control), "list", "--watch"],
            stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True)
        os.close(theirs)
        lab.at_end(self.close)

    def shows(self, pattern: bytes) -> bool:
        """Whether the latest screen matches."""
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                self.text += os.read(self._terminal, 4096)
            except OSError:
                break  # it has ended
        screen = self.text.rsplit(b"\033[H\033[2J", 1)[-1]
        return re.search(pattern, screen) is not None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


def test_watch(lab: Lab) -> None:
    """It redraws in place until it is interrupted."""
    start(lab)
    watch = Watch(lab)
    lab.wait("the first screen", lambda: watch.shows(b"0 peers"))
    lab.client()
    lab.wait("the second screen", lambda: watch.shows(b"1 peer\r\n"))
    assert watch.text.count(b"\033[H\033[2J") >= 2
    assert not watch.shows(b"0 peers")
    watch.process.send_signal(signal.SIGINT)
    assert watch.process.wait(10) == -signal.SIGINT


def test_watch_without_a_terminal(lab: Lab) -> None:
    """It writes no escape sequences to a file."""
    start(lab)
    file = lab.path("output")
    with file.open("w") as output:
        watch = lab.bed.program("ivshmemctl", [
            "sh", "-c", f'exec "$@" >{output.name}', "sh",
            str(artifacts.ivshmemctl()), "--control", str(lab.control),
            "list", "--watch"])
        lab.wait("two lists", lambda: file.read_text().count("0 peers") > 1)
        watch.stop()
    assert "\033" not in file.read_text()


def test_watch_ends_with_the_server(lab: Lab) -> None:
    process = lab.ivshmemd("--control", str(lab.control))
    watch = Watch(lab)
    lab.wait("the first screen", lambda: watch.shows(b"0 peers"))
    lab.stop(process)
    lab.wait("ivshmemctl to report the missing server",
             lambda: watch.shows(b"Is ivshmemd running"))
    assert watch.process.wait(10) == NO_SERVER


def test_reload(lab: Lab) -> None:
    process = lab.ivshmemd("--control", str(lab.control))
    process.expect_error("reloaded: ", 2)
    lab.clients(2)
    for _ in range(2):
        ended = lab.ctl("reload")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == "reloaded; 2 clients stayed connected\n"


@pytest.mark.parametrize("arguments", [
    [], ["lists"], ["list", "more"], ["list", "--json", "--watch"],
    ["reload", "--json"], ["list", "--unknown"]])
def test_wrong_usage(lab: Lab, arguments: list[str]) -> None:
    ended = lab.ctl(*arguments)
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert ended.stderr.startswith("ivshmemctl: ")


@pytest.mark.parametrize("command", ["list", "reload"])
def test_no_server(lab: Lab, command: str) -> None:
    ended = lab.ctl(command)
    assert (ended.returncode, ended.stdout) == (NO_SERVER, "")
    assert ended.stderr == (
        f"ivshmemctl: {lab.control}: No such file or directory. Is ivshmemd "
        f"running, with --control {lab.control}?\n")


@pytest.mark.parametrize("command", ["list", "reload"])
def test_server_is_stopped(lab: Lab, command: str) -> None:
    """The queue of its socket is full, so connect() would block."""
    process = lab.ivshmemd("--control", str(lab.control))
    process.excuse()  # it is never continued
    os.kill(process.pid, signal.SIGSTOP)
    lab.fill_queue(lab.control)
    ended = lab.ctl(command)
    os.kill(process.pid, signal.SIGKILL)
    assert (ended.returncode, ended.stdout) == (NO_SERVER, "")
    assert ended.stderr == (
        f"ivshmemctl: {lab.control}: its connection queue is full: the "
        "program that listens there is stopped or stuck. Continue or restart "
        "it\n")


@contextmanager
def at_the_control_socket(
        lab: Lab, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """A program other than ivshmemd serves one client."""
    def accept() -> None:
        with listening.accept()[0] as connection:
            serve(connection)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(lab.control))
        listening.listen()
        thread = threading.Thread(target=accept)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("command", ["list", "reload"])
def test_server_hangs_up(lab: Lab, command: str) -> None:
    with at_the_control_socket(lab, lambda connection: None):
        ended = lab.ctl(command)
    assert (ended.returncode, ended.stdout) == (NO_SERVER, "")
    assert ended.stderr == f"ivshmemctl: {lab.control}: the server hung up\n"


@pytest.mark.parametrize("answer", [
    b"", b"\0\0\0\0\0\0\0\0", b"1", b"{}", b'{"return": 1}'])
def test_not_the_control_socket(lab: Lab, answer: bytes) -> None:
    """Such as the server's own socket, whose first bytes are zeros."""
    def serve(connection: socket.socket) -> None:
        connection.sendall(answer + b"\n")
        connection.recv(100)

    with at_the_control_socket(lab, serve):
        ended = lab.ctl("list")
    assert (ended.returncode, ended.stdout) == (REFUSED, "")
    assert ended.stderr == (f"ivshmemctl: {lab.control}: unexpected answer: "
                            "is it ivshmemd's control socket?\n")


def test_help_and_version(lab: Lab) -> None:
    assert re.match(r"ivshmemctl \d", lab.ctl("--version").stdout)
    text = lab.ctl("--help").stdout
    assert "1 failure, 2 wrong usage, 3 no server answered" in text


def test_mode(lab: Lab) -> None:
    start(lab)
    assert lab.control.stat().st_mode & 0o777 == 0o600


def test_only_if_asked_for(lab: Lab) -> None:
    lab.ivshmemd()
    assert [path.name for path in lab.directory.iterdir()] == ["socket"]


# --- the protocol of the control socket


def converse(lab: Lab, *requests: bytes) -> list[Any]:
    """Sends these bytes and returns the answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(10)
        control.connect(str(lab.control))
        for request in requests:
            control.sendall(request)
        control.shutdown(socket.SHUT_WR)
        with control.makefile() as answers:
            return [json.loads(answer) for answer in answers]


def test_status(lab: Lab) -> None:
    process = lab.ivshmemd("--control", str(lab.control))
    lab.clients(2)
    answer, = converse(lab, b'{"command": "status"}\n')
    assert re.match(r"\d", answer["return"].pop("version"))
    assert answer == {"return": {"pid": process.pid, "reloads": 0,
                                 "clients": 2}}


def test_several_requests_in_a_row(lab: Lab) -> None:
    start(lab)
    answers = converse(lab, b'{"command": "sta', b'tus"}\n{"command": "list"}'
                       b'\n{"command": "status"}\n')
    assert [list(answer["return"]) for answer in answers] == [
        ["version", "pid", "reloads", "clients"], ["channels"],
        ["version", "pid", "reloads", "clients"]]


@pytest.mark.parametrize("request_line, error", [
    (b'{"command": "format"}', "unknown command: use list, status or reload"),
    (b'{"command": 7}', "unknown command"),
    (b'{}', "unknown command"),
    (b'[]', "unknown command"),
    (b'', "unknown command"),
    (b'{"command": ', "<data>:1:"),
    (b'\xff\xfe', "JSON data must be UTF-8|Invalid UTF-8|<data>|UTF-8")])
def test_bad_request(lab: Lab, request_line: bytes, error: str) -> None:
    start(lab)
    answer, = converse(lab, request_line + b"\n")
    assert list(answer) == ["error"]
    assert re.search(error, answer["error"])


def test_endless_request(lab: Lab) -> None:
    start(lab)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(10)
        control.connect(str(lab.control))
        with pytest.raises(ConnectionError):
            while True:
                control.sendall(b" " * 4096)
    assert len(channels(lab)) == 1


def test_idle_connections(lab: Lab) -> None:
    """Four are allowed. A fifth is refused until one has ended."""
    process = lab.ivshmemd("--control", str(lab.control))
    process.expect_error("refused a connection to the control socket: 4 are",
                         2)
    idle = []
    for _ in range(4):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(lab.control))
        idle.append(connection)
    for command in ("list", "reload"):
        ended = lab.ctl(command)
        assert (ended.returncode, ended.stderr) == (
            NO_SERVER, f"ivshmemctl: {lab.control}: the server hung up\n")
    idle.pop().close()
    lab.client()
    assert lab.ctl("list").returncode == 0
    for connection in idle:
        connection.close()
