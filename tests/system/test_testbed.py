# SPDX-License-Identifier: GPL-2.0-or-later
"""The testbed notices each failure, even one that no test waits for."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ivshmem import Testbed, TestbedError, artifacts, process
from ivshmem.board import Board
from ivshmem.fake_server import PEER
from ivshmem.peer import Peer
from ivshmem.process import Process
from ivshmem.procfs import leave_room_for_files
from ivshmem.server import memfd
from ring_on_command import RingCommands
from running import eventually, runs

# Commands of a script that waits to be stopped. With the second one, the shell
# stays to run a trap.
READY = "echo ready; exec sleep 60"
READY_WITH_TRAP = "echo ready; while :; do sleep 0.01; done"

PATIENCE_SECONDS = 30.0


def script(bed: Testbed, commands: str) -> Process:
    program = bed.program("script", ["sh", "-c", commands])
    bed.wait("the script to be ready", lambda: program.said("^ready$"))
    return program


def wait_until_dead(program: Process) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not program.has_ended():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start_board(bed: Testbed) -> Board:
    board = bed.board("mps2-an385", "first-ring", bed.server())
    bed.wait("the board to listen", lambda: board.said("listening"))
    return board


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGTRAP])
def test_every_crash_is_noticed(number: signal.Signals) -> None:
    with pytest.raises(TestbedError, match=f"was killed by {number.name}"):
        with Testbed() as bed:
            board = start_board(bed)
            os.kill(board.pid, number)
            wait_until_dead(board)


@pytest.mark.parametrize("status", [0, 1])
def test_exits_by_itself(status: int) -> None:
    with pytest.raises(TestbedError, match=f"^script ended with status "
                       f"{status}:\n    and that is why$"):
        with Testbed() as bed:
            program = script(bed, "echo ready; echo and that is why >&2; "
                             f"exit {status}")
            wait_until_dead(program)


def test_qemu_exits_by_itself() -> None:
    with pytest.raises(TestbedError, match="^mps2-an385 ended with status 0$"):
        with Testbed() as bed:
            board = start_board(bed)
            board.qmp.command("quit")
            wait_until_dead(board)


def test_fails_when_stopped() -> None:
    with pytest.raises(TestbedError, match="^script ended with status 3$"):
        with Testbed() as bed:
            script(bed, f"trap 'exit 3' TERM; {READY_WITH_TRAP}")


def test_ends_what_a_script_has_started() -> None:
    """Such as a user's own script around QEMU."""
    with Testbed() as bed:
        program = script(bed, "sleep 600 & echo $!; echo ready; wait")
        child = int(program.found("^[0-9]+$")[0])
    eventually(lambda: not runs(child))


def test_cannot_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    with pytest.raises(TestbedError, match="^script did not end within 0.2 s "
                       "and was killed$"):
        with Testbed() as bed:
            script(bed, f"trap '' TERM; {READY_WITH_TRAP}")


def test_guest_reports_failure() -> None:
    with pytest.raises(TestbedError, match="mps2-an385 says: demo: FAILED"):
        with Testbed() as bed:
            server = bed.server()
            server.memory.set_words(0, 1)  # members that the demo expects
            board = bed.board("mps2-an385", "demo", server)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not board.said("FAILED"):
                assert time.monotonic() < deadline


def test_unexpected_error() -> None:
    with pytest.raises(TestbedError, match="^script: unexpected line on "
                       "stderr: one\nscript: unexpected line on stderr: two$"):
        with Testbed() as bed:
            script(bed, f"echo one >&2; echo two >&2; {READY}")


def test_expected_and_unexpected_error() -> None:
    with pytest.raises(TestbedError, match="^script: unexpected line on "
                       "stderr: two$"):
        with Testbed() as bed:
            script(bed, f"printf 'one\\ntwo\\nthree\\n' >&2; {READY}"
                   ).expect_error("one|three", most=2)


@pytest.mark.parametrize("times", [0, 3])
def test_expected_error_at_wrong_frequency(times: int) -> None:
    with pytest.raises(TestbedError, match=r"^script wrote '\^a \\w' to "
                       f"stderr {times} times, expected 1 to 2$"):
        with Testbed() as bed:
            script(bed, f"for i in $(seq {times}); do echo a word >&2; done; "
                   f"{READY}").expect_error(r"^a \w", most=2)


def test_many_unexpected_errors_are_counted() -> None:
    with pytest.raises(TestbedError, match="\nscript: 95 more unexpected lines$"):
        with Testbed() as bed:
            script(bed, f"seq 100 >&2; {READY}")


def test_expected_error_may_span_lines() -> None:
    with Testbed() as bed:
        script(bed, f"printf 'a\\nb\\nc\\n' >&2; {READY}").expect_error("^a\n.*\nc")


def test_guest_error() -> None:
    """A guest error on QEMU's stderr counts as an unexpected error."""
    with pytest.raises(TestbedError, match="unexpected line .*DOORBELL.* of peer "
                       f"{PEER}: no such peer or vector"):
        with Testbed() as bed:
            server = bed.server()
            peer = bed.peer(server)
            board = bed.board("mps2-an385", "ring-on-command", server)
            bed.wait("the board to be ready", lambda: board.said("ready"))
            peer.wait_for_peer(peer.id + 1, bed.remaining())
            commands = RingCommands(server.memory)
            commands.order([(PEER, 0)])
            peer.ring(peer.id + 1)
            bed.wait("the command to be done", commands.done)


def test_expected_failure() -> None:
    with Testbed() as bed:
        program = bed.program("script", ["sh", "-c", "echo why >&2; exit 4"])
        program.expect_error("why")
        bed.wait_for_failure(program, "^script ended with status 4:\n    why$")


def test_unexpected_failure() -> None:
    with pytest.raises(TestbedError, match="^script failed, but not with "
                       "'status 5': script ended with status 4$"):
        with Testbed() as bed:
            program = bed.program("script", ["sh", "-c", "exit 4"])
            bed.wait_for_failure(program, "status 5")


def test_expected_failure_does_not_happen() -> None:
    with pytest.raises(TestbedError, match="^timed out waiting for script to "
                       r"fail \(limit: 0.1 s\)$"):
        with Testbed() as bed:
            bed.wait_for_failure(script(bed, READY), "status 5", seconds=0.1)


def test_bed_that_is_not_strict() -> None:
    with Testbed(strict=False) as bed:
        script(bed, f"echo a warning >&2; {READY}")

    with pytest.raises(TestbedError, match="^script ended with status 1$"):
        with Testbed(strict=False) as bed:
            wait_until_dead(script(bed, "echo ready; exit 1"))


def test_first_failure_is_reported() -> None:
    with pytest.raises(ZeroDivisionError):
        with Testbed() as bed:
            wait_until_dead(script(bed, "echo ready; exit 1"))
            1 / 0


TESTS = """
import pytest

def script(bed, name, commands):
    program = bed.program(name, ["sh", "-c", commands])
    bed.wait("ready", lambda: program.said("^ready$"))
    return program

def test_passes(bed):
    script(bed, "fine", "echo ready; exec sleep 60")

def test_process_fails(bed):
    script(bed, "late", "echo but >&2; echo ready; exec sleep 60")

def test_test_fails(bed):
    first = script(bed, "first", "echo ready; read x; echo $x; exec sleep 60")
    second = script(bed, "second", "echo ready; read x; echo $x >&2; exit 7")
    first.type("one")
    bed.wait("one", lambda: first.said("one"))
    second.type("two")
    bed.wait("two", lambda: "two" in second.errors)
    assert False
"""


def inner_pytest(folder: Path, tests: str,
                 *options: str) -> subprocess.CompletedProcess[str]:
    """Runs these tests with a copy of this folder's configuration."""
    here = Path(__file__).parent
    (folder / here.name).mkdir()
    for name in "pytest.ini", "conftest.py", f"{here.name}/conftest.py":
        shutil.copy(here.parent / name, folder / name)
    (folder / here.name / "test_inner.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-o", "cache_dir=cache",
         f"--basetemp={folder / 'temp'}", *options, str(folder)], capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(artifacts.CHECKOUT / "python"),
             "QEMU_SYSTEM_ARM": str(artifacts.qemu_system("arm"))})


def test_pytest_reports_failures(tmp_path: Path) -> None:
    """Each failure fails its test, with one transcript of all processes."""
    run = inner_pytest(tmp_path, TESTS)

    assert re.search("^PASSED .*::test_passes$", run.stdout, re.MULTILINE)
    assert re.search("^FAILED .*::test_process_fails - ", run.stdout,
                     re.MULTILINE)
    assert re.search("= 2 failed, 1 passed in ", run.stdout), run.stdout
    transcript = run.stdout[run.stdout.index("first was killed by SIGTERM: "):]
    assert re.match(r"first was killed by SIGTERM: sh -c 'echo ready; .*'\n"
                    r"second ended with status 7: sh -c 'echo ready; .*'\n"
                    r" +\d+\.\d\d s           first \| ready\n"
                    r" +\d+\.\d\d s          second \| ready\n"
                    r" +\d+\.\d\d s           first \| one\n"
                    r" +\d+\.\d\d s          second ! two\n", transcript)


IN_A_GIT_HOOK = """
import subprocess

def test_other_repository(tmp_path):
    subprocess.run(["git", "init", tmp_path], check=True)
    assert (tmp_path / ".git").is_dir()
"""


def test_git_in_a_git_hook(tmp_path: Path,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Git tells its hooks where their repository is. Tests use their own."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "hooked"))

    run = inner_pytest(tmp_path, IN_A_GIT_HOOK)

    assert re.search("= 1 passed in ", run.stdout), run.stdout


TURNS = """
import pathlib
import time

import pytest

@pytest.mark.speed
@pytest.mark.parametrize("number", range(4))
def test_alone(number):
    folder = pathlib.Path(__file__).parent
    (folder / f"{number} runs").touch()
    time.sleep(0.2)
    assert len(list(folder.glob("* runs"))) == 1
    (folder / f"{number} runs").unlink()
"""


def test_speed_is_measured_alone(tmp_path: Path) -> None:
    pytest.importorskip("xdist")

    run = inner_pytest(tmp_path, TURNS, "-n", "2")

    assert re.search("= 4 passed in ", run.stdout), run.stdout


def test_qmp_goes_on_after_a_timeout() -> None:
    """The late answer is not taken for that of the next command."""
    with Testbed() as bed:
        board = start_board(bed)
        board.qmp.command("query-status")
        os.kill(board.pid, signal.SIGSTOP)
        with pytest.raises(TestbedError, match="query-name: timed out"):
            board.qmp.command("query-name", 0.1)
        os.kill(board.pid, signal.SIGCONT)
        assert board.qmp.command("query-status")["running"]


def test_ends_everything_if_it_is_interrupted_at_the_end(
        monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted):
            with Testbed() as bed:
                board = start_board(bed)
                os.kill(board.pid, signal.SIGSTOP)  # the bed waits for it
                threading.Timer(0.5, os.kill, (
                    os.getpid(), signal.SIGUSR1)).start()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert board.has_ended()


@pytest.mark.timeout(20)
def test_input_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TYPE_SECONDS", 0.2)
    with Testbed() as bed:
        program = script(bed, READY)
        with pytest.raises(TestbedError, match="^script does not read 'x+\\.\\.\\.'"
                           ": its input has been full for 0.2 s$"):
            program.type("x" * 200_000)


def test_long_input() -> None:
    with Testbed() as bed:
        program = script(bed, "echo ready; sleep 0.5; head -c 200000 | wc -c; "
                         "exec sleep 60")
        program.type("x" * 199_999)
        bed.wait("the input to be read", lambda: program.said("^200000$"))


FDS_COME_AND_GO = """
import os
lower = os.open("/dev/null", os.O_RDONLY)
memory = os.memfd_create("ivshmem")
assert memory > lower
print("ready", flush=True)
while True:
    os.close(lower)
    lower = os.open("/dev/null", os.O_RDONLY)
"""


def test_finds_memory_among_fds_that_come_and_go() -> None:
    with Testbed() as bed:
        program = bed.program("script", [sys.executable, "-c",
                                         FDS_COME_AND_GO])
        bed.wait("the script to be ready", lambda: program.said("^ready$"))
        for _ in range(2000):
            assert memfd(program).name == "4"


def test_other_programs_socket_with_any_bytes_in_its_name() -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(b"\0\xFF\x0C of another program")
        other.listen()
        with Testbed() as bed:
            bed.server()


@pytest.fixture
def limit_of_files() -> Iterator[tuple[int, int]]:
    """The test may change it."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_peer_of_a_bed_without_a_timeout() -> None:
    """As ivshmem-run uses it. The test's own timeout remains."""
    with Testbed(float("inf")) as bed:
        peer = bed.peer(bed.server())
        peer.ring(peer.id)
        assert peer.wait_for_doorbells(float("inf")) == 1


def test_peer_without_room_for_its_vectors(
        limit_of_files: tuple[int, int]) -> None:
    with Testbed() as bed:
        server = bed.server(vectors=64)
        leave_room_for_files(os.getpid(), 20)
        with pytest.raises(TestbedError, match="too many files are open: raise"):
            Peer(server.socket, 64, 5.0)


def test_peer_with_a_high_fd(limit_of_files: tuple[int, int]) -> None:
    _, hard = limit_of_files
    if hard < 2000:
        pytest.skip(f"the hard limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Testbed() as bed, ExitStack() as files:
        server = bed.server()
        while files.enter_context(open(os.devnull)).fileno() < 1024:
            pass
        peer = bed.peer(server)
        peer.ring(peer.id)
        assert peer.wait_for_doorbells() == 1


@pytest.mark.timeout(20)
def test_server_that_never_accepts(tmp_path: Path) -> None:
    """A peer does not wait forever when the server's queue is full."""
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as server, \
            socket.socket(socket.AF_UNIX) as queued:
        server.bind(str(path))
        server.listen(0)
        queued.connect(str(path))

        with pytest.raises(TestbedError, match="to accept a connection"):
            Peer(path, timeout=0.2)
