# SPDX-License-Identifier: GPL-2.0-or-later
"""The pseudo-terminal of guest/linux. terminal.c has one end of it."""

import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from test_linux_library import GUEST, HERE, SECONDS, STRICT

pytestmark = pytest.mark.timeout(2 * SECONDS)

# More than the kernel buffers for a terminal
MUCH = 100_000

ENDS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("terminal") / "terminal"
    subprocess.run(
        ["gcc", "-std=c11", *STRICT, "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{GUEST / 'linux'}",
         HERE / "terminal.c", GUEST / "linux/terminal.c", "-o", built],
        check=True, timeout=SECONDS)
    return built


class Terminal:
    """Runs the program. line() reads its output."""

    def __init__(self, program: Path, timeout_ms: int = 60_000,
                 link: Path | None = None,
                 signals: str = "--default-signal") -> None:
        # A shell's background job ignores some signals; so do its children.
        self.process = subprocess.Popen(
            ["env", signals, program, str(timeout_ms), *([link] if link else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.name = self.line()

    def line(self) -> str:
        assert self.process.stdout
        text = b""
        while not text.endswith(b"\n"):
            text += read(self.process.stdout.fileno(), 1)
        return text.decode().rstrip("\n")

    def says_nothing(self) -> bool:
        return not select.select([self.process.stdout], [], [], 0.5)[0]

    def show(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)

    def has_taken_all(self) -> bool:
        """Whether the program soon reads everything from show()."""
        assert self.process.stdin
        deadline = time.monotonic() + SECONDS / 4
        while fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)) != bytes(4):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def open(self) -> int:
        return os.open(self.name, os.O_RDWR | os.O_NOCTTY)


Start = Callable[..., Terminal]


@pytest.fixture
def start(program: Path) -> Iterator[Start]:
    running: list[Terminal] = []

    def run(*arguments: Any, **options: Any) -> Terminal:
        running.append(Terminal(program, *arguments, **options))
        return running[-1]

    yield run
    for terminal in running:
        terminal.process.kill()
        terminal.process.communicate()


def read(fd: int, size: int) -> bytes:
    assert select.select([fd], [], [], SECONDS)[0], f"nothing after {SECONDS} s"
    return os.read(fd, size)


def read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += read(fd, size - len(data))
    return data


def test_opened_again(start: Start) -> None:
    """It is in raw mode each time: bytes are unchanged, and nothing is
    echoed."""
    terminal = start()
    data = bytes(range(256))

    for number in range(3):
        fd = terminal.open()
        os.write(fd, b"%d\x03\r\n" % number)
        assert terminal.line() == f"typed: {number}\x03\r"
        terminal.show(data)
        assert read_all(fd, len(data)) == data
        os.close(fd)


def test_waits_for_the_first_to_open_it(start: Start) -> None:
    terminal = start()

    terminal.show(b"welcome\n")
    assert terminal.says_nothing()

    fd = terminal.open()
    assert read_all(fd, 8) == b"welcome\n"
    os.close(fd)


def test_typed_before_the_program_ended(start: Start) -> None:
    terminal = start()

    fd = terminal.open()
    os.write(fd, b"last words\n")
    os.close(fd)

    assert terminal.line() == "typed: last words"


def test_slow_reader(start: Start) -> None:
    """A slow reader gets everything."""
    terminal = start()
    fd = terminal.open()
    data = os.urandom(MUCH)

    terminal.show(data[:MUCH // 2])
    assert terminal.says_nothing()
    terminal.show(data[MUCH // 2:MUCH // 2 + 4096])
    half = read_all(fd, MUCH // 2)
    terminal.show(data[MUCH // 2 + 4096:])

    assert half + read_all(fd, MUCH - MUCH // 2) == data
    os.close(fd)


@pytest.mark.parametrize("opened, timeout_ms", [(False, 60_000), (True, 1000)])
def test_reports_what_it_drops(start: Start, opened: bool,
                               timeout_ms: int) -> None:
    """It drops data at once if no program has the terminal open, and otherwise
    after the timeout. Then it does not wait again."""
    terminal = start(timeout_ms)
    fds = [terminal.open()] if opened else []

    terminal.show(bytes(MUCH))
    assert terminal.line() == (f"no program reads {terminal.name}: "
                               "dropping what does not fit")
    assert terminal.has_taken_all() and terminal.says_nothing()

    fd = terminal.open()
    shown = 0
    while select.select([fd], [], [], 0.5)[0]:
        shown += len(os.read(fd, MUCH))
    terminal.show(b"there is room")
    assert read_all(fd, 13) == b"there is room"
    match = re.fullmatch(r"(\d+) bytes were dropped", terminal.line())
    assert match and shown + int(match[1]) == MUCH and shown >= 4096
    for each in (fd, *fds):
        os.close(each)


def test_link(start: Start, tmp_path: Path) -> None:
    link = tmp_path / "board"

    for number in ENDS:
        terminal = start(0, link)
        assert str(link.readlink()) == terminal.name
        terminal.process.send_signal(number)
        assert terminal.process.wait(SECONDS) == -number
        assert not link.is_symlink()

    terminal = start(0, link)
    terminal.process.communicate(timeout=SECONDS)
    assert terminal.process.returncode == 0 and not link.is_symlink()


def test_link_of_a_process_that_was_killed(start: Start,
                                           tmp_path: Path) -> None:
    link = tmp_path / "board"
    killed = start(0, link)
    other = start()
    killed.process.kill()
    killed.process.communicate()
    assert link.is_symlink()

    for name in (killed.name, "/dev/pts/99999999"):
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        terminal = start(0, link)
        assert str(link.readlink()) == terminal.name
    assert other.name != terminal.name


def test_link_of_another_owner(start: Start, tmp_path: Path) -> None:
    """It is kept if it is a file, a dangling link, or a terminal in use."""
    link = tmp_path / "board"
    other = start(0, link)

    for target in (other.name, str(tmp_path / "to come"), None):
        if target != other.name:
            link.unlink()
            link.symlink_to(target) if target else link.touch()
        refused = start(0, link)
        assert refused.name == f"cannot make the link {link}: File exists"
        assert refused.process.wait(SECONDS) == 1
        assert link.is_symlink() == bool(target)

    # It does not remove a link that is no longer its own.
    other.process.terminate()
    other.process.wait(SECONDS)
    assert link.exists()


def test_ignored_signal(start: Start, tmp_path: Path) -> None:
    """nohup starts a program in this way."""
    terminal = start(0, tmp_path / "board", "--ignore-signal=HUP")

    terminal.process.send_signal(signal.SIGHUP)

    fd = terminal.open()
    terminal.show(b"still there")
    assert read_all(fd, 11) == b"still there"
    os.close(fd)
