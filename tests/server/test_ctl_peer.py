# SPDX-License-Identifier: GPL-2.0-or-later
"""ivshmemctl as a peer of ivshmemd, and of QEMU's own server if it is built."""

import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from pathlib import Path
from typing import Any

import pytest

from ivshmem import TestbedError, artifacts
from ivshmem.board import BOARDS
from ivshmem.memory import MIB
from ivshmem.process import Process
from ivshmem.server import is_listening

from .client import Client
from .lab import Lab

DONE, REFUSED, USAGE, NO_SERVER, TIME_LIMIT = range(5)

SIZE = 4 * MIB
VECTORS = 2
NOWHERE = "No such file or directory. Is a server running?"
ALONE = ["-n", str(VECTORS)]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def missing(name: str) -> str | None:
    try:
        getattr(artifacts, name)()
    except TestbedError as error:
        return str(error)
    return None


NO_QEMUS = missing("ivshmem_server")


@pytest.fixture(params=["ivshmemd", pytest.param(
    "qemus", marks=pytest.mark.skipif(NO_QEMUS is not None,
                                      reason=str(NO_QEMUS)))])
def server(request: pytest.FixtureRequest, lab: Lab) -> Process:
    if request.param == "ivshmemd":
        return lab.ivshmemd(*ALONE)
    return lab.qemus_server("-M", lab.object, *ALONE)


def ran(lab: Lab, *arguments: str, stdin: bytes = b"") -> str:
    """Runs it, which must succeed, and returns its output."""
    ended = lab.peer(*arguments, stdin=stdin)
    assert (ended.returncode, ended.stderr) == (DONE, b"")
    return ended.stdout.decode()


def failed(lab: Lab, status: int, *arguments: str) -> str:
    """Runs it, which must fail with this status and print only to stderr, and
    returns that."""
    ended = lab.peer(*arguments)
    assert (ended.returncode, ended.stdout) == (status, b""), ended
    assert ended.stderr.startswith(b"ivshmemctl: ")
    return ended.stderr.decode()[len("ivshmemctl: "):-1]


def rejected(lab: Lab, *arguments: str) -> str:
    return failed(lab, USAGE, *arguments)


def start(lab: Lab, *arguments: str) -> Process:
    """Starts one that keeps running."""
    return lab.bed.program("ivshmemctl", lab.peer_command(*arguments))


def started(lab: Lab, said: str, *arguments: str) -> Process:
    process = start(lab, *arguments)
    lab.wait(f"ivshmemctl to say {said}", lambda: process.said(said))
    return process


def ends(lab: Lab, process: Process, status: int) -> None:
    lab.bed.wait_for_failure(process, f"ended with status {status}(:|$)")


def events(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.output]


@pytest.fixture
def other(lab: Lab, server: Process) -> Client:
    """A client in the test, as peer 0."""
    return lab.client()


# --- info and peers


def test_info(lab: Lab, server: Process) -> None:
    lab.clients(2, VECTORS)
    sealed = "ivshmemd" in server.name
    assert json.loads(ran(lab, "info", "--json")) == {
        "server": str(lab.socket), "size": SIZE, "sealed": sealed, "id": 2,
        "vectors": VECTORS, "peers": [{"id": 0, "vectors": VECTORS},
                                      {"id": 1, "vectors": VECTORS}]}
    lines = ran(lab, "info").splitlines()
    assert lines[0] == f"server   {lab.socket}"
    assert lines[1].startswith("memory   4M, 4194304 bytes, ")
    assert lines[1].endswith("sealed" if sealed
                             else "not sealed: clients can resize it")
    assert re.fullmatch(r"own ID   \d, with 2 vectors", lines[2])
    assert lines[3] == "peers    0 1"


def test_info_about_a_file(lab: Lab) -> None:
    """Only tmpfs knows seals. The folder is on another file system, as a rule."""
    lab.ivshmemd("-m", str(lab.directory))
    assert "not sealed: clients can resize it" in ran(lab, "info")
    assert json.loads(ran(lab, "info", "--json"))["sealed"] is False


def test_info_alone(lab: Lab) -> None:
    """It also works without vectors, when no message marks the end of the
    greeting."""
    lab.ivshmemd("-n", "0")
    assert ran(lab, "info").splitlines()[2:] == [
        "own ID   0, with 0 vectors", "peers    none"]


def test_peers(lab: Lab, other: Client) -> None:
    assert ran(lab, "peers").split() == ["ID", "VECTORS", "0", "2"]
    assert json.loads(ran(lab, "peers", "--json")) == {
        "peers": [{"id": 0, "vectors": VECTORS}]}


def test_many_peers(lab: Lab) -> None:
    """They have more fds than the usual limit of a process."""
    lab.ivshmemd("-n", "64")
    lab.clients(10, 64)
    listed = json.loads(lab.peer(
        "peers", "--json",
        within=["prlimit", "--nofile=256:4096"]).stdout)["peers"]
    assert listed == [{"id": peer, "vectors": 64} for peer in range(10)]
    ended = lab.peer("peers", within=["prlimit", "--nofile=256:256"])
    assert ended.returncode == NO_SERVER
    assert b"too many are open. Raise the limit, ulimit -Hn" in ended.stderr


def test_watch_peers(lab: Lab, other: Client) -> None:
    watch = started(lab, '"present"', "peers", "--watch", "--json")
    second = lab.client()
    lab.wait("the second peer to be reported", lambda: watch.said('"joined"'))
    second.close()
    lab.wait("the departure to be reported", lambda: watch.said('"left"'))
    seen = events(watch)
    times = [event.pop("time_us") for event in seen]
    assert times == sorted(times)
    assert seen == [
        {"event": "watching", "id": 1},
        {"event": "present", "id": 0, "vectors": VECTORS},
        {"event": "joined", "id": 2, "vectors": VECTORS},
        {"event": "left", "id": 2}]


def test_watch_peers_as_text(lab: Lab, other: Client) -> None:
    watch = started(lab, "present", "peers", "--watch")
    lab.client()
    other.close()
    lab.wait("both events to be reported", lambda: watch.said("left"))
    assert [re.sub(f"^{TIME}", "", line) for line in watch.output] == [
        "  peer 1 watching", "  peer 0 present, 2 vectors",
        "  peer 2 joined, 2 vectors", "  peer 0 left"]


def test_watch_peers_has_a_limit(lab: Lab, server: Process) -> None:
    assert "watching" in ran(lab, "peers", "--watch", "-t", "0.05")


# --- doorbells


def test_ring(lab: Lab, other: Client) -> None:
    assert ran(lab, "ring", "0") == ""
    lab.wait("vector 0 to be rung", other.rung)
    assert ran(lab, "ring", "0", "1") == ""
    lab.wait("vector 1 to be rung", lambda: other.rung(1))
    assert not other.rung()


def test_ring_nobody(lab: Lab, other: Client) -> None:
    assert failed(lab, REFUSED, "ring", "9") == (
        "peer 9 is not connected: the only peer is 0")
    assert failed(lab, REFUSED, "ring", "0", "2") == (
        "peer 0 has no vector 2: use one from 0 to 1")
    assert failed(lab, REFUSED, "ring", "3") == (
        "peer 3 is this ivshmemctl")
    other.close()
    watch = started(lab, "watching", "peers", "--watch", "--json")
    assert not watch.said("present")


def test_ring_where_there_are_no_vectors(lab: Lab) -> None:
    lab.ivshmemd("-n", "0")
    lab.client()
    assert failed(lab, REFUSED, "ring", "0") == (
        "peer 0 is not connected: there are no peers")


def test_listen(lab: Lab, other: Client) -> None:
    listen = started(lab, "^peer 1 is listening, with 2 vectors$", "listen")
    lab.wait_for_view(other, {0: 2, 1: 2})
    other.ring(1)
    lab.wait("ivshmemctl to report the doorbell",
             lambda: listen.said(f"^{TIME}  vector 0 was rung$"))
    other.ring(1, 1)
    lab.wait("ivshmemctl to report the doorbell",
             lambda: listen.said(f"^{TIME}  vector 1 was rung$"))
    listen.stop()


def test_listen_as_json(lab: Lab, other: Client) -> None:
    """Doorbells in quick succession are one line with a count."""
    listen = started(lab, "listening", "listen", "--json", "--count", "3")
    lab.wait_for_view(other, {0: 2, 1: 2})
    os.kill(listen.pid, signal.SIGSTOP)
    other.ring(1, 1)
    other.ring(1, 1)
    other.ring(1, 0)
    os.kill(listen.pid, signal.SIGCONT)
    ends(lab, listen, DONE)
    seen = events(listen)
    for event in seen:
        assert event.pop("time_us") > 1.6e15
    assert seen == [{"event": "listening", "id": 1, "vectors": VECTORS},
                    {"event": "rung", "vector": 0, "count": 1},
                    {"event": "rung", "vector": 1, "count": 2}]


def test_listen_to_one_vector(lab: Lab, other: Client) -> None:
    listen = started(lab, "is listening", "listen", "1", "-c", "1")
    lab.wait_for_view(other, {0: 2, 1: 2})
    other.ring(1, 0)
    other.ring(1, 1)
    ends(lab, listen, DONE)
    assert [line.split("  ")[-1] for line in listen.output[1:]] == [
        "vector 1 was rung"]
    assert failed(lab, REFUSED, "listen", "2") == (
        "no vector 2 to listen to: the server sent 2 vectors")


def test_listen_has_a_limit(lab: Lab, other: Client) -> None:
    for count, message in [
            ("", "no doorbell within 0.1 s"),
            ("2", "0 of 2 doorbells within 0.1 s")]:
        options = ["--count", count] if count else []
        ended = lab.peer("listen", "--timeout", "0.1", *options)
        assert ended.returncode == TIME_LIMIT
        assert ended.stderr.decode() == f"ivshmemctl: {message}\n"
    listen = started(lab, "is listening", "listen", "-t", "1")
    lab.wait("the client to learn of a peer", lambda: len(other.view()) > 1)
    other.ring(max(other.view()))
    ends(lab, listen, DONE)


def test_listen_answers(lab: Lab, other: Client) -> None:
    listen = started(lab, "is listening", "listen", "--answer", "0")
    lab.wait_for_view(other, {0: 2, 1: 2})
    other.ring(1)
    lab.wait("an answer", other.rung)
    other.ring(1, 1)
    lab.wait("an answer", lambda: other.rung(1))
    assert not other.rung()
    listen.stop()


def test_listen_answers_a_newcomer(lab: Lab) -> None:
    """It is rung before it knows the peer that it must answer."""
    named = lab.path("named")
    lab.ivshmemd("-S", str(lab.socket), "--socket", f"{named},id=7")
    other = lab.client()
    listen = started(lab, "is listening", "listen", "--answer", "7")
    lab.wait_for_view(other, {0: 1, 1: 1})
    os.kill(listen.pid, signal.SIGSTOP)
    other.ring(1)
    seventh = lab.client(named)
    os.kill(listen.pid, signal.SIGCONT)
    lab.wait("an answer", lambda: len(seventh.view()) == 3 and seventh.rung())


def test_listen_answers_nobody(lab: Lab, other: Client) -> None:
    listen = start(lab, "listen", "--answer", "7")
    listen.expect_error("peer 7 is not connected: the only peer is 0")
    lab.wait("ivshmemctl to listen", lambda: listen.said("is listening"))
    lab.wait_for_view(other, {0: 2, 1: 2})
    other.ring(1)
    ends(lab, listen, REFUSED)


def test_ping(lab: Lab, server: Process) -> None:
    """One ivshmemctl pings another."""
    started(lab, "is listening", "listen", "1", "--answer", "1")
    lines = ran(lab, "ping", "0", "1", "--count", "50").splitlines()
    assert lines[0] == ("peer 1 rings vector 1 of peer 0, which has to ring "
                        "back")
    assert re.fullmatch(
        r"50 rung, 50 answered; round trip min \d+, median \d+, p99 \d+, "
        r"max \d+ us; \d+ per second", lines[1])


def test_ping_as_json(lab: Lab, server: Process) -> None:
    started(lab, "is listening", "listen", "--answer", "1")
    seen = json.loads(ran(lab, "ping", "0", "--json"))
    times = [seen.pop(f"{name}_us") for name in ("min", "median", "p99",
                                                 "max")]
    assert 0 < times[0] and times == sorted(times)
    assert 0 < seen.pop("per_second") <= 1e6 / times[0]
    assert seen == {"id": 1, "peer": 0, "vector": 0, "rung": 1000,
                    "answered": 1000}


def test_ping_step_by_step(lab: Lab, server: Process) -> None:
    started(lab, "is listening", "listen", "--answer", "1")
    lines = ran(lab, "ping", "0", "-c", "2", "-i", "0.01").splitlines()
    assert [re.sub(r"\d+ us", "N us", line) for line in lines[1:3]] == [
        "1: N us", "2: N us"]


def test_ping_is_not_answered(lab: Lab, other: Client) -> None:
    """It gives up soon and says what is missing."""
    ended = lab.peer("ping", "0", "-t", "0.05", "-i", "0")
    assert ended.returncode == TIME_LIMIT
    assert ended.stdout.decode().splitlines()[1:] == [
        "1: no answer", "2: no answer", "3: no answer", "3 rung, 0 answered"]
    assert ended.stderr.decode() == (
        "ivshmemctl: peer 0 did not answer 3 doorbells: it has to "
        "ring vector 0 of peer 1 each time, as 'ivshmemctl listen --answer 1' "
        "does\n")


def test_ping_refused(lab: Lab, other: Client) -> None:
    assert failed(lab, REFUSED, "ping", "1") == (
        "peer 1 is this ivshmemctl")
    assert failed(lab, REFUSED, "ping", "0", "2") == (
        "no vector 2 for the answer: the server sent 2 vectors")
    assert failed(lab, REFUSED, "ping", "0", "--reply-at", "4M") == (
        "offset 0x400000 is beyond the shared memory, which has 4M (0x400000 "
        "bytes)")


def test_ping_tells_how_to_answer(lab: Lab, other: Client) -> None:
    """It writes to a known word what the peer must write to DOORBELL."""
    lab.peer("ping", "0", "1", "-t", "0.01", "--reply-at", "0x10")
    lab.peer("ping", "0", "1", "-t", "0.01", "--reply-at", "20",
             "--big-endian")
    assert other.memory is not None
    assert struct.unpack("<I", os.pread(other.memory, 4, 16)) == (1 << 16 | 1,)
    assert struct.unpack(">I", os.pread(other.memory, 4, 20)) == (2 << 16 | 1,)


# --- memory


def test_text(lab: Lab, other: Client) -> None:
    assert ran(lab, "write", "0x1000", r"hello\tworld\x1b\0") == ""
    assert other.memory is not None
    assert os.pread(other.memory, 13, 0x1000) == b"hello\tworld\x1b\0"
    assert ran(lab, "read", "4K") == "hello\tworld\x1b"
    assert ran(lab, "read", "4K", "--text") == "hello\\tworld\\x1b\n"
    assert ran(lab, "read", "4096", "13") == "hello\tworld\x1b\0"
    assert json.loads(ran(lab, "read", "0x1000", "0x2", "--json")) == {
        "offset": 4096, "size": 2, "hex": "6865"}


def test_dash_text(lab: Lab, server: Process) -> None:
    """After '--', a text may begin with '-'."""
    ran(lab, "write", "0", "--", "--")
    assert ran(lab, "read", "0") == "--"
    ran(lab, "write", "--", "0", "-x")
    assert ran(lab, "read", "0") == "-x"


def test_hex(lab: Lab, server: Process) -> None:
    ran(lab, "write", "2", "--hex", "00 ff7F")
    assert ran(lab, "read", "0", "6", "--hex") == "000000ff7f00\n"


def test_words(lab: Lab, other: Client) -> None:
    ran(lab, "write", "8", "--word", "0x12345678")
    ran(lab, "write", "12", "--word", "4294967295", "--big-endian")
    assert other.memory is not None
    assert os.pread(other.memory, 8, 8) == b"\x78\x56\x34\x12\xff\xff\xff\xff"
    assert ran(lab, "read", "8", "--word") == "0x12345678\n"
    assert ran(lab, "read", "8", "8", "--word", "--big-endian") == (
        "0x78563412\n0xffffffff\n")


def test_files(lab: Lab, server: Process) -> None:
    data = bytes(range(256)) * 4
    source, copy = lab.path("source"), lab.path("copy")
    source.write_bytes(data)
    ran(lab, "write", "1M", "--file", str(source))
    ran(lab, "read", "1M", "1K", "--file", str(copy))
    assert copy.read_bytes() == data
    assert lab.peer("read", "1M", "1024").stdout == data
    ran(lab, "write", "3", "-f", "-", stdin=b"from a pipe")
    assert ran(lab, "read", "3") == "from a pipe"
    assert "No such file" in failed(lab, USAGE, "write", "0", "-f", "/missing")
    assert failed(lab, REFUSED, "read", "0", "1", "-f", "/missing/file") == (
        "cannot write /missing/file: No such file or directory")


def test_write_from_a_socket(lab: Lab, server: Process) -> None:
    """sshd gives a command a socket as standard input."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"from a socket")
        ours.shutdown(socket.SHUT_WR)
        ended = subprocess.run(
            lab.peer_command("write", "0", "--file", "-"),
            stdin=theirs.fileno(), capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ran(lab, "read", "0") == "from a socket"


def test_all_of_the_memory(lab: Lab, server: Process) -> None:
    data = os.urandom(SIZE)
    ran(lab, "write", "0", "-f", "-", stdin=data)
    assert lab.peer("read", "0", "4M").stdout == data


def test_dump(lab: Lab, server: Process) -> None:
    ran(lab, "write", "0", "hello")
    assert ran(lab, "dump") == (
        "00000000  68 65 6c 6c 6f 00 00 00  00 00 00 00 00 00 00 00  "
        "|hello...........|\n"
        "00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  "
        "|................|\n*\n00000100\n")
    assert ran(lab, "dump", "0x3ffff8").splitlines()[-1] == "00400000"
    assert ran(lab, "dump", "4", "1").startswith(
        "00000004  6f               ")


@pytest.mark.parametrize("arguments", [
    ["read", "4M", "1"], ["read", "0", "5M"], ["read", "4M"], ["dump", "4M"],
    ["read", "4M", "--word"], ["dump", "4M", "1"], ["dump", "4097K"],
    ["write", "0x3fffff", "ab"], ["write", "4M", "--word", "0"],
    ["wait", "word", "4M", "0"]])
def test_beyond_the_memory(lab: Lab, server: Process,
                           arguments: list[str]) -> None:
    assert re.fullmatch(r"offset 0x\w+ (and size \d+ reach|is) beyond the "
                        r"shared memory, which has 4M \(0x400000 bytes\)",
                        failed(lab, REFUSED, *arguments))


def test_terminal_gets_no_raw_bytes(lab: Lab, server: Process) -> None:
    ran(lab, "write", "0", r"\x1b[2J\x07")
    terminal, theirs = pty.openpty()
    try:
        subprocess.run(lab.peer_command("read", "0"), stdout=theirs, timeout=10,
                       check=True)
        assert os.read(terminal, 100) == b"\\x1b[2J\\x07\r\n"
    finally:
        os.close(terminal)
        os.close(theirs)


def test_memory_in_huge_pages_or_a_file(lab: Lab) -> None:
    """Memory that does not support write() is mapped instead."""
    lab.ivshmemd("-m", str(lab.directory))
    ran(lab, "write", "4000", "over a page" * 10)
    assert ran(lab, "read", "4000") == "over a page" * 10


def test_memory_was_truncated(lab: Lab) -> None:
    if NO_QEMUS:
        pytest.skip(NO_QEMUS)
    lab.qemus_server("-M", lab.object)
    client = lab.client()
    assert client.memory is not None
    wait = start(lab, "wait", "word", "0x3ffffc", "1")
    wait.expect_error("part of the shared memory is missing: it was truncated")
    lab.wait("ivshmemctl to map the memory",
             lambda: lab.object in Path(f"/proc/{wait.pid}/maps").read_text())
    os.ftruncate(client.memory, 4096)
    ends(lab, wait, REFUSED)


# --- wait


def test_wait_for_peers(lab: Lab, server: Process) -> None:
    assert ran(lab, "wait", "peers", "0") == ""
    wait = start(lab, "wait", "peers", "2", "--timeout", "20")
    lab.client()
    assert not wait.has_ended()
    lab.client()
    ends(lab, wait, DONE)
    assert failed(lab, TIME_LIMIT, "wait", "peers", "3", "-t", "0.1") == (
        "2 of 3 peers are connected after 0.1 s")


@pytest.mark.parametrize("kind", ["<", ">"])
def test_wait_for_word(lab: Lab, other: Client, kind: str) -> None:
    big = ["--big-endian"] if kind == ">" else []
    memory = other.memory
    assert memory is not None
    wait = start(lab, "wait", "word", "0x20", "7", "-t", "20", *big)
    lab.wait("ivshmemctl to join", lambda: 1 in other.view())
    os.pwrite(memory, struct.pack(f"{kind}I", 6), 0x20)
    assert failed(lab, TIME_LIMIT, "wait", "word", "32", "7", "-t", "0.1",
                  *big) == "the word at 0x20 is 0x6 after 0.1 s, not 0x7"
    assert not wait.has_ended()
    os.pwrite(memory, struct.pack(f"{kind}I", 7), 0x20)
    ends(lab, wait, DONE)


# --- servers that are not there, or go


COMMANDS = [["info"], ["peers"], ["peers", "--watch"], ["listen"],
            ["ring", "0"], ["ping", "0"], ["read", "0"], ["dump"],
            ["write", "0", "x"], ["wait", "peers", "1"],
            ["wait", "word", "0", "1"]]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_no_server(lab: Lab, arguments: list[str]) -> None:
    assert failed(lab, NO_SERVER, *arguments) == (
        f"{lab.socket}: {NOWHERE} Pass its socket with -S")


@pytest.fixture
def silent(lab: Lab) -> Iterator[socket.socket]:
    """A server that listens and sends nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(lab.socket))
        listening.listen(0)
        yield listening


@pytest.mark.parametrize("arguments", [["info"], ["wait", "peers", "0"]])
def test_server_says_nothing(lab: Lab, silent: socket.socket,
                             arguments: list[str]) -> None:
    assert failed(lab, NO_SERVER, *arguments) == (
        f"{lab.socket}: the server sent no protocol version in time: is it "
        "an ivshmem server?")


def test_server_accepts_nobody(lab: Lab, silent: socket.socket) -> None:
    """connect() would block."""
    lab.fill_queue(lab.socket)
    assert "its connection queue is full" in failed(
        lab, NO_SERVER, "info")


@pytest.mark.parametrize("arguments", [
    ["listen"], ["peers", "--watch"], ["wait", "peers", "5"],
    ["wait", "word", "0", "1"]])
def test_server_goes_away(lab: Lab, server: Process, other: Client,
                          arguments: list[str]) -> None:
    process = start(lab, *arguments)
    process.expect_error("^ivshmemctl: the server hung up$")
    lab.wait("ivshmemctl to join", lambda: 1 in other.view())
    server.stop()
    server.excuse()
    ends(lab, process, NO_SERVER)


def test_server_goes_away_while_ping_rings(lab: Lab, server: Process) -> None:
    listen = started(lab, "is listening", "listen", "--answer", "1")
    listen.expect_error("^ivshmemctl: the server hung up$")
    ping = start(lab, "ping", "0", "-i", "0.01")
    ping.expect_error("^ivshmemctl: the server hung up$")
    lab.wait("ivshmemctl to ring", lambda: ping.said("^2: "))
    listen.excuse()
    server.stop()
    server.excuse()
    ends(lab, ping, NO_SERVER)
    ends(lab, listen, NO_SERVER)


# --- usage


@pytest.mark.parametrize("arguments, message", [
    (["ring"], r"usage: ivshmemctl \[OPTION...\] ring PEER \[VECTOR\]"),
    (["ring", "1", "2", "3"], "usage: .* ring PEER"),
    (["read"], r"usage: .* read OFFSET \[SIZE\]"),
    (["wait"], r"usage: .* wait peers N \| word OFFSET VALUE"),
    (["ring", "one"], "PEER 'one' must be a number from 0 to 65535"),
    (["ring", "65536"], "PEER '65536' must be a number"),
    (["ring", "-1"], "Unknown option -1"),
    (["ring", "0", "1x"], "VECTOR '1x' must be a number"),
    (["listen", ""], "VECTOR '' must be a number"),
    (["listen", "-c", "x"], "-c 'x' must be a number from 0 to 4294967295"),
    (["listen", "--answer", "x"], "--answer 'x' must be a number from 0 to"),
    (["listen", "-t", "soon"],
     "-t 'soon' must be a number of seconds, such as 0.5"),
    (["ping", "0", "-i", "-1"], "-i '-1' must be a number of seconds"),
    (["ping", "0", "-i", "inf"], "-i 'inf' must be a number of seconds"),
    (["ping", "0", "--reply-at", "x"], "'x' is not an offset"),
    (["read", "x"], "'x' is not an offset: use a number of bytes, such as 0"),
    (["read", "0", "0"], "'0' is not a size"),
    (["read", "2", "--word"], "words start at multiples of 4, not at offset"),
    (["read", "0", "6", "-w"], "words have 4 bytes, and 6 is not a multiple"),
    (["write", "0"], "write OFFSET needs either the data or --file"),
    (["write", "0", "x", "-f", "y"], "write OFFSET needs either the data"),
    (["write", "0", r"\q"], r"'\\q' is not an escape: use \\n"),
    (["write", "0", "-x", "123"], "'3' does not begin with two hex digits"),
    (["write", "0", "-w", "x"], "word 'x' must be a number from 0 to 42949"),
    (["write", "0", "-w", "4294967296"], "word '4294967296' must be a number"),
    (["write", "2", "-w", "1"], "words start at multiples of 4"),
    (["wait", "doorbells", "1"], "wait: use either 'peers N' or 'word"),
    (["wait", "peers", "1", "2"], "wait: use either 'peers N' or 'word"),
    (["wait", "word", "1"], "wait: use either 'peers N' or 'word"),
    (["wait", "word", "2", "1"], "words start at multiples of 4"),
    (["wait", "peers", "x"], "N 'x' must be a number from 0 to 65535"),
    (["read", "0", "--text", "--hex"], "--hex and --text cannot be used together"),
    (["read", "0", "--json", "-f", "x"], "--json and --file cannot be used"),
    (["write", "0", "-x", "-w", "1"], "--hex and --word cannot be used together"),
    (["info", "--count", "1"], "info does not support --count"),
    (["list"], "list does not support --server"),
    (["reload"], "reload does not support --server"),
    (["info", "--control", "x"], "info does not support --control"),
    (["ring", "0", "-t", "1"], "ring does not support --timeout"),
    (["peers", "-t", "1"], "peers does not support --timeout without --watch"),
    (["write", "0", "x", "--text"], "write does not support --text"),
    (["read", "0", "--big-endian"], "--big-endian is only for words"),
    (["wait", "peers", "1", "--big-endian"], "--big-endian is only for words"),
    (["ping", "0", "--big-endian"], "--big-endian is only for words"),
    (["jump"], "'jump' is not a command: see ivshmemctl --help")])
def test_wrong_usage(lab: Lab, arguments: list[str], message: str) -> None:
    """It is reported without a server."""
    assert re.search(f"^{message}", rejected(lab, *arguments))


def test_output_that_cannot_be_written(lab: Lab) -> None:
    lab.ivshmemd()
    with open("/dev/full", "w", encoding="utf-8") as full:
        for arguments in (["info"], ["dump"], ["read", "0", "9"], ["listen"]):
            ended = subprocess.run(lab.peer_command(*arguments), stdout=full,
                                   stderr=subprocess.PIPE, timeout=10)
            assert ended.returncode == REFUSED
            assert b"standard output: No space left" in ended.stderr


def test_default_socket() -> None:
    """It is the default of both servers."""
    text = subprocess.run([artifacts.ivshmemctl(), "--help"], text=True,
                          capture_output=True, check=True).stdout
    assert "-S, --server=PATH" in text
    assert "(default: /tmp/ivshmem_socket)" in text
