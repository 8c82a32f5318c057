# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command that starts a testbed, as a user would."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ivshmem import artifacts

SECONDS = 120.0  # longest wait for anything here


class Command:
    """A program of the checkout, run with its own TMPDIR."""

    def __init__(self, program: str, folder: Path) -> None:
        """Its output goes to files in the folder."""
        # What SIGHUP does to it at first, even if pytest runs under nohup
        self.hangup: signal.Handlers = signal.SIG_DFL
        self._argv = [sys.executable, str(artifacts.CHECKOUT / program)]
        # Holds sockets: the paths of pytest's folders are too long for them.
        self._scratch = tempfile.TemporaryDirectory(prefix="run-")
        self._output = folder / "output"
        self._errors = folder / "errors"
        self.process: subprocess.Popen[str]

    def start(self, *arguments: str, **environment: str) -> None:
        before = signal.signal(signal.SIGHUP, self.hangup)
        try:
            with (self._output.open("w") as output,
                  self._errors.open("w") as errors):
                self.process = subprocess.Popen(
                    [*self._argv, *arguments], env={
                        **os.environ, "TMPDIR": self._scratch.name,
                        **environment},
                    stdout=output, stderr=errors, text=True)
        finally:
            signal.signal(signal.SIGHUP, before)

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        self.start(*arguments, **environment)
        return self.finish()

    def finish(self) -> tuple[int, str, str]:
        """Returns exit status, stdout and stderr."""
        status = self.process.wait(timeout=SECONDS)
        return status, self.output(), self._errors.read_text()

    def output(self) -> str:
        """What it has written to stdout so far."""
        return self._output.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Waits for a match on stdout, and returns the first."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            ended = self.process.poll() is not None
            found.extend(re.finditer(pattern, self.output(), re.MULTILINE))
            assert found or not ended, self._errors.read_text()
            return bool(found)

        eventually(look, pattern)
        return found[0]

    def children(self) -> dict[str, int]:
        """Process IDs of its children, by program name."""
        try:
            return {child.name(): child.pid for child in
                    psutil.Process(self.process.pid).children()}
        except psutil.NoSuchProcess:
            return {}  # a process has just ended

    def wait_until_stuck(self) -> dict[str, int]:
        """Waits for the server and the first board. Returns children()."""
        eventually(lambda: len(self.children()) == 2 and
                   "setpriv" not in self.children())
        return self.children()

    def left_over(self) -> list[Path]:
        return list(Path(self._scratch.name).iterdir())

    def kill(self) -> None:
        """Kills it and removes its TMPDIR."""
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
        self._scratch.cleanup()


def program(tmp_path_factory: pytest.TempPathFactory, script: str) -> str:
    """Writes a shell script to run instead of QEMU. Returns its path."""
    path = tmp_path_factory.mktemp("bin") / "qemu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def eventually(condition: Callable[[], bool], what: str = "it") -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, (
            f"timed out after {SECONDS:g} s: {what}")
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
