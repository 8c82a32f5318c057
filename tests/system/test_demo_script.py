# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/demo as a person runs it, and as it is stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ivshmem import artifacts
from ivshmem.board import BOARDS

SECONDS = 60.0  # longest wait for anything here


class Demo:
    """A run of scripts/demo with a TMPDIR of its own."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.process: subprocess.Popen[str]

    def start(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(artifacts.CHECKOUT / "scripts" / "demo"),
             *arguments],
            env={**os.environ, "TMPDIR": str(self._scratch), **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self) -> tuple[int, str, str]:
        """Returns exit status, stdout and stderr."""
        output, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, output, errors

    def children(self) -> dict[str, int]:
        """Process IDs of its children by the names of their programs."""
        try:
            return {child.name(): child.pid for child in
                    psutil.Process(self.process.pid).children()}
        except psutil.NoSuchProcess:
            return {}  # one has just ended

    def wait_until_stuck(self) -> dict[str, int]:
        """Waits until server and first board run. Returns children()."""
        eventually(lambda: len(self.children()) == 2 and
                   "setpriv" not in self.children())
        return self.children()

    def left_over(self) -> list[Path]:
        return list(self._scratch.iterdir())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    run = Demo(tmp_path)
    yield run
    run.kill()


@pytest.fixture
def stuck(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A QEMU whose guests do not run, so that the demo waits until stopped."""
    return program(tmp_path_factory,
                   f"exec '{artifacts.qemu_system('arm')}' -S \"$@\"")


def program(tmp_path_factory: pytest.TempPathFactory, script: str) -> str:
    path = tmp_path_factory.mktemp("bin") / "qemu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether the process exists, and not only as a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("guests", [
    [], ["mps2-an385", "lm3s6965evb", "mps2-an385"],
    ["mps2-an385", "lm3s6965evb", "linux"]])
def test_shows_and_verifies_everything(demo: Demo, guests: list[str]) -> None:
    demo.start(*guests)
    status, output, errors = demo.finish()

    assert (status, errors) == (0, "")
    peers = len(guests or BOARDS) - 1
    for guest in guests or BOARDS:
        assert re.search(rf" {guest} \| id \d: message 5 of 5 from", output)
    assert output.count("demo: ok") == peers + 1
    messages, mib = (peers + 1) * peers * 5, (peers + 1) * peers
    assert re.search(rf"^All verified in [\d.]+ s: {messages} messages .*,\n"
                     rf"{mib} MiB ", output, re.MULTILINE)
    assert "\033" not in output, "colours, though not on a terminal"
    assert " ! " not in output, "something is on stderr"
    assert demo.left_over() == []


@pytest.mark.parametrize("number", [
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_nothing_behind(demo: Demo, stuck: str,
                                      number: signal.Signals) -> None:
    demo.start(QEMU_SYSTEM_ARM=stuck)
    children = demo.wait_until_stuck()

    demo.process.send_signal(number)
    status, _, errors = demo.finish()

    assert status == 128 + number
    assert f"stopped by {number.name}" in errors
    # What it was about to start ends with it, but not before it.
    eventually(lambda: not any(map(runs, children.values())))
    assert demo.left_over() == []


@pytest.mark.parametrize("victim", ["ivshmemd", "lm3s6965evb"])
def test_death_of_a_part_is_told(demo: Demo, stuck: str, victim: str) -> None:
    demo.start(QEMU_SYSTEM_ARM=stuck)
    children = demo.wait_until_stuck()
    server = children.pop("ivshmemd")
    qemu, = children.values()

    os.kill(server if victim == "ivshmemd" else qemu, signal.SIGKILL)
    status, _, errors = demo.finish()

    assert status == 1
    assert f"{victim} was killed by SIGKILL" in errors
    assert not runs(server) and not runs(qemu)
    assert demo.left_over() == []


def test_parts_end_with_a_demo_that_is_killed(demo: Demo, stuck: str) -> None:
    demo.start(QEMU_SYSTEM_ARM=stuck)
    children = demo.wait_until_stuck()

    demo.kill()

    eventually(lambda: not any(map(runs, children.values())))


def test_reader_that_goes_away(demo: Demo) -> None:
    demo.start()
    output = demo.process.stdout
    assert output
    output.readline()
    output.close()
    _, errors = demo.process.communicate(timeout=SECONDS)

    assert (demo.process.returncode, errors) == (1, "")
    assert demo.left_over() == []


def test_time_limit(demo: Demo, stuck: str) -> None:
    demo.start("--timeout", "0.5", QEMU_SYSTEM_ARM=stuck)
    status, _, errors = demo.finish()

    assert status == 1
    assert ("timed out waiting for lm3s6965evb to take slot 0: the 0.5 s allowed "
            "are over") in errors
    assert demo.left_over() == []


def test_missing_program(demo: Demo) -> None:
    demo.start(QEMU_SYSTEM_ARM="/nowhere/qemu")
    status, _, errors = demo.finish()

    assert status == 1
    assert "/nowhere/qemu is missing" in errors
    assert "unset QEMU_SYSTEM_ARM" in errors
    assert demo.left_over() == []


def test_qemu_without_the_device(
        demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> None:
    demo.start(QEMU_SYSTEM_ARM=program(
        tmp_path_factory, "echo \"qemu: -device ivshmem-flat: 'ivshmem-flat' "
        "is not a valid device model name\" >&2; exit 1"))
    status, _, errors = demo.finish()

    assert status == 1
    assert "lm3s6965evb ended with status 1" in errors
    assert "not a valid device model name" in errors
    assert "this QEMU has no ivshmem-flat for the command line" in errors


@pytest.mark.parametrize("arguments, complaint", [
    (["virt", "virt"], "no program for guest 'virt'"),
    (["mps2-an385"], "1 guests given"),
    (["--timeout", "0"], "--timeout 0 is not above 0"),
])
def test_bad_arguments(demo: Demo, arguments: list[str],
                       complaint: str) -> None:
    demo.start(*arguments)
    status, _, errors = demo.finish()

    assert status == 2 and complaint in errors
