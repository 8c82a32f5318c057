# SPDX-License-Identifier: Apache-2.0
"""A child process whose output is kept by line."""

import os
import re
import select
import shlex
import signal
import subprocess
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import IO

STOP_SECONDS = 10.0

# How long a process may leave its input unread.
TYPE_SECONDS = 10.0

# At most this many lines of stderr are shown.
LINES_SHOWN = 5


class TestbedError(Exception):
    """Something did not start, timed out, or died."""

    __test__ = False  # not a test class, despite its name


@dataclass(frozen=True)
class News:
    """A line that a process wrote, or None at the end of its output."""

    time: float  # of time.monotonic()
    process: "Process"
    line: str | None
    is_error: bool  # written to stderr


def show_line(seconds: float, name: str, text: str,
              is_error: bool = False) -> str:
    """Formats a line for people. Lines of stderr have another mark."""
    return f"{seconds:6.2f} s  {name:>14} {'!' if is_error else '|'} {text}"


class Process:
    """Runs argv. Each line that it writes is added to `output` or `errors`, and
    then to `news`. type() gives it input.

    It should run until it is stopped, and write nothing to stderr. A test that
    expects otherwise calls expect_error() or excuse().

    The process gets SIGTERM if this program dies without stopping it. It has
    its own session, so Ctrl-C reaches only this program, which then stops
    everything in order.
    """

    # Whether it may exit by itself, with status 0
    may_end = False

    def __init__(self, name: str, argv: Sequence[str],
                 news: SimpleQueue[News],
                 pass_fds: Sequence[int] = ()) -> None:
        self.name = name
        self.argv = argv
        self.output: list[str] = []
        self.errors: list[str] = []
        self._news = news
        self._expected: list[tuple[str, int, int]] = []
        self._is_excused = False
        self._is_stopped = False  # it was sent SIGTERM
        self._is_forced = False   # it was sent SIGKILL
        try:
            self._popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *argv],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, start_new_session=True,
                pass_fds=pass_fds)
        except FileNotFoundError as error:
            raise TestbedError("setpriv is missing: install the package "
                               "util-linux") from error
        stdin, stdout, stderr = (self._popen.stdin, self._popen.stdout,
                                 self._popen.stderr)
        assert stdin and stdout and stderr  # for mypy
        self._stdin = stdin
        os.set_blocking(stdin.fileno(), False)
        self._readers = [
            Thread(target=self._read, args=arguments, daemon=True)
            for arguments in ((stdout, self.output, False),
                              (stderr, self.errors, True))]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def trouble(self) -> str | None:
        """What went wrong with this process, unless it was excused."""
        return None if self._is_excused else self.failure()

    def failure(self) -> str | None:
        """What went wrong with this process, even if it was excused."""
        if not self.has_ended():
            return None
        self._read_all()
        if (self._is_stopped and not self._is_forced and
                self._popen.returncode in (0, -signal.SIGTERM)):
            return None
        if self.may_end and self._popen.returncode == 0:
            return None
        return self._end()

    def excuse(self) -> None:
        """Accepts a failure of this process."""
        self._is_excused = True

    def expect_error(self, pattern: str, most: int = 1,
                     least: int = 1) -> None:
        """Expects from `least` to `most` matches of the pattern on stderr. A
        match may span lines."""
        self._expected.append((pattern, least, most))

    def unexpected_errors(self) -> list[str]:
        """Messages about unexpected lines on stderr, and about expected ones
        that are missing."""
        text = "\n".join(self.errors)
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        faults = []
        unexpected = dict(enumerate(self.errors))
        for pattern, least, most in self._expected:
            matches = list(re.finditer(pattern, text, re.MULTILINE))
            if not least <= len(matches) <= most:
                times = f"{least} to {most}" if least < most else f"{most}"
                faults.append(f"{self.name} wrote '{pattern}' to stderr "
                              f"{len(matches)} times, expected {times}")
            for match in matches:
                for number in range(bisect_right(starts, match.start()) - 1,
                                    bisect_right(starts, match.end())):
                    unexpected.pop(number, None)
        lines = list(unexpected.values())
        faults += [f"{self.name}: unexpected line on stderr: {line}"
                   for line in lines[:LINES_SHOWN]]
        if more := lines[LINES_SHOWN:]:
            faults.append(f"{self.name}: {len(more)} more unexpected lines")
        return faults

    def said(self, pattern: str) -> re.Match[str] | None:
        """The first match of the pattern in a line of the output, if any."""
        return next(self.matches(pattern), None)

    def found(self, pattern: str) -> re.Match[str]:
        """The same, but raises if there is none."""
        if match := self.said(pattern):
            return match
        raise TestbedError(f"{self.name} did not print '{pattern}'")

    def count(self, pattern: str) -> int:
        """How many lines of the output match the pattern."""
        return sum(1 for _ in self.matches(pattern))

    def matches(self, pattern: str) -> Iterator[re.Match[str]]:
        """The first match in each line of the output so far."""
        return filter(None, (re.search(pattern, line)
                             for line in list(self.output)))

    def type(self, line: str) -> None:
        """Writes a line to its stdin. Raises if it does not read it."""
        left = line.encode() + b"\n"
        what = f"{line[:50]}..." if len(line) > 50 else line
        poll = select.poll()
        poll.register(self._stdin, select.POLLOUT)
        try:
            while left:
                if not poll.poll(TYPE_SECONDS * 1000):
                    raise TestbedError(
                        f"{self.name} does not read '{what}': its input has "
                        f"been full for {TYPE_SECONDS:g} s")
                left = left[os.write(self._stdin.fileno(), left):]
        except BrokenPipeError as error:
            raise TestbedError(f"{self.name} cannot read '{what}': it has "
                               "ended") from error

    def hold(self) -> None:
        """Pauses it until it is stopped, if possible."""

    def stop(self) -> None:
        """Ends it with SIGTERM, and with SIGKILL if that takes too long. May be
        called again."""
        if not self.has_ended():
            self._is_stopped = True
            self._popen.terminate()
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._is_forced = True
                self._popen.kill()
                self._popen.wait()
            with suppress(ProcessLookupError):
                # Processes that it leaves behind, such as QEMU in a script
                os.killpg(self.pid, signal.SIGKILL)
        self._stdin.close()
        self._read_all()

    def summary(self) -> str:
        """Its command line and how it ended."""
        end = self._outcome() if self.has_ended() else "is running"
        return f"{self.name} {end}: {shlex.join(self.argv)}"

    def _end(self) -> str:
        """How the process ended, and why."""
        last = "".join(f"\n    {line}" for line in self._last_words())
        return f"{self.name} {self._outcome()}{':' if last else ''}{last}"

    def _last_words(self) -> list[str]:
        """The lines of stderr that may say why it ended."""
        return self.errors[-LINES_SHOWN:]

    def _outcome(self) -> str:
        code = self._popen.returncode
        if self._is_forced:
            return f"did not end within {STOP_SECONDS:g} s and was killed"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def _is_noise(self, line: str) -> bool:
        """Whether to ignore this line of stderr."""
        return False

    def _read_all(self) -> None:
        """Waits until all output of the ended process has been read."""
        for reader in self._readers:
            reader.join(STOP_SECONDS)

    def _read(self, stream: IO[bytes], lines: list[str],
              is_error: bool) -> None:
        with stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\r\n")
                if is_error and self._is_noise(line):
                    continue
                lines.append(line)
                self._news.put(News(time.monotonic(), self, line, is_error))
        self._news.put(News(time.monotonic(), self, None, is_error))
