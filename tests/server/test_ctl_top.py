# SPDX-License-Identifier: GPL-2.0-or-later
"""ivshmemctl top: the peers, and how often each one rings."""

import json
import socket
import subprocess
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ivshmem import Testbed, artifacts
from ivshmem.board import usual_device
from ivshmem.memory import SharedMemory
from ivshmem.process import Process
from ivshmem.server import memfd

from .lab import Lab
from .test_with_vms import MISSING

DONE, REFUSED, USAGE, NO_SERVER = range(4)
TURNS = 25

Row = dict[str, Any]


def start(lab: Lab, *options: str) -> Process:
    return lab.ivshmemd("--control", str(lab.control), *options)


def rows(lab: Lab, *arguments: str) -> list[Row]:
    """The rows of a single sample, sorted by ID."""
    ended = lab.ctl("top", "--json", "--count", "1", *arguments)
    assert (ended.returncode, ended.stderr) == (DONE, ""), ended
    peers: list[Row] = json.loads(ended.stdout)["peers"]
    return sorted(peers, key=lambda row: int(row["id"]))


def rejected(status: int, *arguments: str) -> str:
    """Runs it, which must fail with this status and print only to stderr, and
    returns that."""
    ended = subprocess.run([str(artifacts.ivshmemctl()), "top", *arguments],
                           text=True, capture_output=True, timeout=20,
                           stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout) == (status, ""), ended
    assert ended.stderr.startswith("ivshmemctl: ")
    return ended.stderr[len("ivshmemctl: "):-1]


class Qmp:
    """A QMP socket that sends its first line on connect and one more in reply
    to each line, then disconnects. Without lines it is silent."""

    def __init__(self, lab: Lab, *lines: str) -> None:
        self.path = lab.path("qmp")
        self._lines = lines
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        lab.at_end(self._socket.close)

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            for line in self._lines:
                connection.sendall(line.encode() + b"\r\n")
                connection.recv(4096)
            if not self._lines:
                connection.recv(1)


GREETING = '{"QMP": {"version": {}, "capabilities": []}}'
NOTHING = '{"return": {}}'


# --- what it tells


def test_no_update(lab: Lab) -> None:
    start(lab)
    ended = lab.ctl("top", "--json", "-c", "0")
    assert (ended.returncode, ended.stdout, ended.stderr) == (DONE, "", "")


def test_peers_of_each_channel(lab: Lab) -> None:
    """Without QMP, it cannot show what the peers do."""
    start(lab, "-n", "2")
    lab.clients(2, 2)
    first, second = rows(lab)
    assert first.pop("pid") == second.pop("pid")
    assert first.pop("command") == second.pop("command")
    assert (first, second) == ({"channel": "default", "id": 0},
                               {"channel": "default", "id": 1})


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
@pytest.mark.bed_seconds(200.0)
@pytest.mark.timeout(250)
def test_counts_of_a_board(bed: Testbed, lab: Lab) -> None:
    memory = SharedMemory(memfd(start(lab)))
    qmp = lab.path("qmp")
    board = bed.board("mps2-an385", "echo", device=[
        *usual_device("mps2-an385", lab.socket),
        "-qmp", f"unix:{qmp},server=on,wait=off"])
    bed.wait("the board to listen",
             lambda: board.said("^echo: listening id=0$"))
    client = lab.client()
    lab.wait_for_view(client, {0: 1, 1: 1})
    assert client.id is not None
    memory.set_words(0, client.id << 16)

    for turn in range(1, TURNS + 1):
        client.ring(0)
        bed.wait("an answer", lambda: memory.word(4) == turn)

    counted, other = rows(lab, "--qmp", str(qmp))
    assert counted["pid"] == board.pid
    assert counted["doorbells"] == counted["interrupts"] == TURNS
    assert "doorbells" not in other


def test_joined(lab: Lab) -> None:
    """It counts the doorbells that it gets, and then their rate."""
    lab.ivshmemd("-n", "2")
    client = lab.client()
    top = lab.bed.program("top", lab.peer_command("top", "--json",
                                                  "--interval", "0.1"))
    lab.wait_for_view(client, {0: 2, 1: 2})
    lab.wait("a first sample", lambda: top.output)
    for vector, turns in enumerate((5, 6)):
        for _ in range(turns):
            client.ring(1, vector)

    def last() -> Row:
        peers: list[Row] = (json.loads(top.output[-1])["peers"]
                            if top.output else [])
        return next((row for row in peers if row["id"] == 1), {})

    lab.wait("all interrupts to be counted",
             lambda: last().get("interrupts") == 11)
    samples = [json.loads(line)["peers"] for line in list(top.output)]
    rates = [row["interrupts_per_second"] for sample in samples
             for row in sample if row["id"] == 1]
    assert max(rates) > 0
    lab.wait("the rate to become 0",
             lambda: bool(last()["interrupts_per_second"] == 0))
    assert (last()["doorbells"], last()["channel"]) == (0, "socket")


def test_server_ends(lab: Lab) -> None:
    server = lab.ivshmemd()
    top = lab.bed.program("top", lab.peer_command("top", "--json"))
    lab.wait("a sample", lambda: top.output)
    lab.stop(server)
    lab.bed.wait_for_failure(top, f"ended with status {NO_SERVER}")
    top.expect_error("^ivshmemctl: the server hung up$")


# --- what is wrong


def test_no_terminal() -> None:
    assert rejected(USAGE) == (
        "top needs a terminal, or --json")


def test_too_often() -> None:
    assert rejected(USAGE, "--json", "--interval", "0.01") == (
        "--interval '0.01' must be 0.1 seconds or more for top")


def test_two_places() -> None:
    assert rejected(USAGE, "--control", "a", "--server", "b") == (
        "--control and --server cannot be used together")


def test_no_server(lab: Lab) -> None:
    nowhere = str(lab.path("nowhere"))
    assert rejected(NO_SERVER, "--json", "--control", nowhere) == (
        f"{nowhere}: No such file or directory. Is ivshmemd running, with "
        f"--control {nowhere}?")


def test_no_qmp(lab: Lab) -> None:
    nowhere = str(lab.path("nowhere"))
    assert rejected(NO_SERVER, "--json", "--qmp", nowhere) == (
        f"QMP: {nowhere}: No such file or directory. Is QEMU running, with "
        f"-qmp unix:{nowhere},server=on,wait=off?")


def test_long_path() -> None:
    path = "x" * 200
    assert rejected(NO_SERVER, "--json", "--qmp", path) == (
        f"QMP: {path}: the path is too long for a socket")


@pytest.mark.parametrize("said", ["hello", "", "[]"])
def test_not_qmp(lab: Lab, said: str) -> None:
    qmp = Qmp(lab, said)
    assert rejected(NO_SERVER, "--json", "--qmp", str(qmp.path)) == (
        f"QMP: {qmp.path}: this is not QMP: '{said}'")


def test_silent_qmp(lab: Lab) -> None:
    """QEMU serves one QMP client at a time, and another may be connected."""
    qmp = Qmp(lab)
    assert rejected(NO_SERVER, "--json", "--qmp", str(qmp.path)) == (
        f"QMP: {qmp.path}: no answer in time")


def test_qmp_accepts_nobody(lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(lab.path("qmp")))
        listening.listen(0)
        lab.fill_queue(lab.path("qmp"))
        assert ("its connection queue is full" in rejected(
            NO_SERVER, "--json", "--qmp", str(lab.path("qmp"))))


def test_qmp_hangs_up(lab: Lab) -> None:
    """Events are ignored, and the display continues without QMP."""
    start(lab)
    qmp = Qmp(lab, GREETING, '{"event": "STOP"}\r\n' + NOTHING)
    ended = lab.ctl("top", "--json", "--count", "2", "--interval", "0.1",
                    "--qmp", str(qmp.path))
    assert (ended.returncode, ended.stderr) == (DONE, "")
    for sample in ended.stdout.splitlines():
        assert json.loads(sample)["lost"] == f"QMP: {qmp.path}: QEMU hung up"


def test_qmp_refuses(lab: Lab) -> None:
    """If QEMU does not know the command, it has no devices to count."""
    start(lab)
    qmp = Qmp(lab, GREETING, NOTHING, '{"error": {"class": "X"}}',
              '{"return": [{"type": "child<ivshmem-flat>", "name": "x"}]}',
              '{"error": {"class": "X"}}', '{"return": 0}', '{"return": 1}')
    assert rows(lab, "--qmp", str(qmp.path)) == []


# --- on a terminal


class Terminal:
    """A real terminal in tmux, which runs the command and then shows its
    status. LINES and COLUMNS are wrong, as in children of a Python that uses
    readline."""

    def __init__(self, lab: Lab, size: tuple[int, int], *arguments: str) -> None:
        self._socket: Path = lab.path("tmux")
        command = " ".join([str(artifacts.ivshmemctl()), "top", *arguments])
        self._tmux("-f", "/dev/null", "new-session", "-d",
                   "-x", str(size[0]), "-y", str(size[1]),
                   f"LINES=24 COLUMNS=100 {command}; echo ended with $?; "
                   "exec cat")
        lab.bed.enter(closing(self))

    def close(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(["tmux", "-S", str(self._socket), *arguments],
                              check=True, text=True, capture_output=True,
                              timeout=20).stdout

    def lines(self) -> list[str]:
        return self._tmux("capture-pane", "-p").splitlines()

    def shows(self, line: int, text: str) -> bool:
        lines = self.lines()
        return line < len(lines) and text in lines[line]

    def type(self, key: str) -> None:
        self._tmux("send-keys", key)

    def resize(self, size: tuple[int, int]) -> None:
        self._tmux("resize-window", "-x", str(size[0]), "-y", str(size[1]))


def test_screen(lab: Lab) -> None:
    start(lab)
    lab.clients(5)
    terminal = Terminal(lab, (80, 10), "--control", str(lab.control))

    lab.wait("the peers to be shown",
             lambda: terminal.shows(0, "1 channel, 5 peers"))
    assert terminal.lines()[1].split() == [
        "CHANNEL", "ID", "PID", "COMMAND", "OUT/s", "IN/s", "OUT", "IN"]
    assert terminal.lines()[2].split()[:2] == ["default", "0"]
    assert terminal.lines()[2].split()[-4:] == ["-"] * 4
    assert terminal.shows(6, "default") and not terminal.shows(7, "default")
    lab.client()
    lab.wait("the new peer to be shown", lambda: terminal.shows(0, "6 peers"))
    terminal.type("q")
    lab.wait("ivshmemctl to end", lambda: "ended with 0" in terminal.lines())


def test_screen_of_another_size(lab: Lab) -> None:
    """It redraws at once, not at the next sample."""
    start(lab)
    lab.clients(5)
    terminal = Terminal(lab, (80, 10), "--control", str(lab.control),
                        "--interval", "1000")

    lab.wait("the peers to be shown", lambda: terminal.shows(6, "default"))
    terminal.resize((40, 6))
    lab.wait("the list to be shortened", lambda: terminal.shows(5, "2 more"))
    assert terminal.shows(4, "default") and not terminal.shows(1, "OUT/s")
    terminal.resize((80, 10))
    lab.wait("the whole list to be shown",
             lambda: terminal.shows(6, "default"))


def test_screen_of_unknown_type(lab: Lab) -> None:
    start(lab)
    ended = subprocess.run(
        ["script", "--quiet", "--return", "--command",
         f"TERM=odd {artifacts.ivshmemctl()} top --control {lab.control}",
         "/dev/null"], text=True, capture_output=True, timeout=20,
        stdin=subprocess.DEVNULL)
    assert ended.returncode == USAGE
    assert ("the terminal type 'odd' is not supported: set TERM, or use "
            "--json" in ended.stdout)
