# SPDX-License-Identifier: Apache-2.0
"""A child process whose output is kept line by line."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import IO

STOP_SECONDS = 10.0

CRASHES = [-signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL,
           -signal.SIGSEGV, -signal.SIGTRAP]


class TestbedError(Exception):
    """Something did not start, did not happen in time, or died."""

    __test__ = False  # not a test class, whatever pytest thinks of its name


@dataclass(frozen=True)
class News:
    """A line that a process has written, or, with line None, its end."""

    process: "Process"
    line: str | None
    is_error: bool  # written to stderr


class Process:
    """Runs argv. Each line that it writes goes to the lists and then to news;
    what it reads is given to type().

    The process gets SIGTERM should this program die without stopping it. It
    has a session of its own, so that Ctrl-C reaches this program alone, which
    then stops everything in order.
    """

    NOISE: frozenset[str] = frozenset()  # lines that are nobody's news

    def __init__(self, name: str, argv: Sequence[str],
                 news: SimpleQueue[News],
                 pass_fds: Sequence[int] = ()) -> None:
        self.name = name
        self.argv = argv
        self.output: list[str] = []
        self.errors: list[str] = []
        self._news = news
        self._stopped = False
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
        assert stdin and stdout and stderr  # as they are pipes
        self._stdin = stdin
        self._readers = [
            Thread(target=self._read, args=arguments, daemon=True)
            for arguments in ((stdout, self.output, False),
                              (stderr, self.errors, True))]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def trouble(self) -> str | None:
        """Why nothing more can be expected of this process, if so."""
        if self._stopped or self._popen.poll() is None:
            return None
        self._read_all()
        return self._end()

    def said(self, pattern: str) -> re.Match[str] | None:
        """The first line of the output that holds the pattern."""
        return next(self.matches(pattern), None)

    def found(self, pattern: str) -> re.Match[str]:
        """The same of what it must have said by now."""
        if match := self.said(pattern):
            return match
        raise TestbedError(f"{self.name} has not said '{pattern}'")

    def count(self, pattern: str) -> int:
        """How many lines of the output hold the pattern."""
        return sum(1 for _ in self.matches(pattern))

    def matches(self, pattern: str) -> Iterator[re.Match[str]]:
        """All lines of the output so far that hold the pattern."""
        return filter(None, (re.search(pattern, line)
                             for line in list(self.output)))

    def type(self, line: str) -> None:
        """Gives the process a line of input."""
        try:
            os.write(self._stdin.fileno(), line.encode() + b"\n")
        except BrokenPipeError as error:
            raise TestbedError(f"{self.name} does not read '{line}': it has "
                               "ended") from error

    def stop(self) -> None:
        """Ends the process: politely, then by force. May be called again.
        Raises if it has crashed, be it before or because of this."""
        self._stopped = True
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._stdin.close()
        self._read_all()
        if self._popen.returncode in CRASHES:
            raise TestbedError(self._end())

    def wait_for_end(self) -> None:
        """Waits for a process that was told to end by other means."""
        self._stopped = True
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise TestbedError(f"{self.name} did not end within "
                               f"{STOP_SECONDS:g} s") from None
        self._read_all()

    def transcript(self) -> str:
        """All that the process wrote, for a person who looks for a fault."""
        return "\n".join([f"{self.name}: {' '.join(self.argv)}",
                          *(f"  {line}" for line in self.output),
                          *(f"  stderr: {line}" for line in self.errors)])

    def _end(self) -> str:
        """How the process ended, and the last that it said."""
        code = self._popen.returncode
        if code < 0:
            end = f"was killed by {signal.Signals(-code).name}"
        else:
            end = f"ended with status {code}"
        last = "".join(f"\n    {line}" for line in self.errors[-5:])
        return f"{self.name} {end}{':' if last else ''}{last}"

    def _read_all(self) -> None:
        """Waits until all that the ended process wrote is in the lists."""
        for reader in self._readers:
            reader.join(STOP_SECONDS)

    def _read(self, stream: IO[bytes], lines: list[str],
              is_error: bool) -> None:
        with stream:
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\r\n")
                if line in self.NOISE:
                    continue
                lines.append(line)
                self._news.put(News(self, line, is_error))
        self._news.put(News(self, None, is_error))
