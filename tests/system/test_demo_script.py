# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/demo as a user runs it and stops it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem import artifacts
from ivshmem.board import BOARDS
from running import SECONDS, Command, eventually, program, runs

@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Command]:
    run = Command("scripts/demo", tmp_path)
    yield run
    run.kill()


@pytest.fixture
def stuck(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A QEMU whose guests do not run, so that the demo never finishes."""
    return program(tmp_path_factory,
                   f"exec '{artifacts.qemu_system('arm')}' -S \"$@\"")


@pytest.mark.parametrize("guests", [
    [], ["mps2-an385", "lm3s6965evb", "mps2-an385"],
    ["mps2-an385", "lm3s6965evb", "linux"]])
def test_shows_and_verifies_everything(demo: Command, guests: list[str]) -> None:
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
    assert "\033" not in output, "colors, though not on a terminal"
    assert " ! " not in output, "something is on stderr"
    assert demo.left_over() == []


@pytest.mark.parametrize("number", [
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_nothing_behind(demo: Command, stuck: str,
                                      number: signal.Signals) -> None:
    demo.start(QEMU_SYSTEM_ARM=stuck)
    children = demo.wait_until_stuck()

    demo.process.send_signal(number)
    status, _, errors = demo.finish()

    assert status == 128 + number
    assert f"stopped by {number.name}" in errors
    # A process that it was just starting may end a little later.
    eventually(lambda: not any(map(runs, children.values())))
    assert demo.left_over() == []


@pytest.mark.parametrize("victim", ["ivshmemd", "lm3s6965evb"])
def test_death_of_a_process_is_reported(demo: Command, stuck: str,
                                        victim: str) -> None:
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


def test_processes_end_with_a_killed_demo(demo: Command, stuck: str) -> None:
    demo.start(QEMU_SYSTEM_ARM=stuck)
    children = demo.wait_until_stuck()

    demo.kill()

    eventually(lambda: not any(map(runs, children.values())))


def test_stdout_is_closed(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, str(artifacts.CHECKOUT / "scripts/demo")],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output = demo.stdout
    assert output
    output.readline()
    output.close()
    _, errors = demo.communicate(timeout=SECONDS)

    assert (demo.returncode, errors) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_time_limit(demo: Command, stuck: str) -> None:
    demo.start("--timeout", "5", QEMU_SYSTEM_ARM=stuck)
    status, _, errors = demo.finish()

    assert status == 1
    assert ("timed out waiting for lm3s6965evb to take slot 0 "
            "(limit: 5 s in total)") in errors
    assert demo.left_over() == []


def test_missing_program(demo: Command) -> None:
    demo.start(QEMU_SYSTEM_ARM="/nowhere/qemu")
    status, _, errors = demo.finish()

    assert status == 1
    assert "/nowhere/qemu is missing" in errors
    assert "unset QEMU_SYSTEM_ARM" in errors
    assert demo.left_over() == []


def test_qemu_without_the_device(
        demo: Command, tmp_path_factory: pytest.TempPathFactory) -> None:
    demo.start(QEMU_SYSTEM_ARM=program(
        tmp_path_factory, "echo \"qemu: -device ivshmem-flat: 'ivshmem-flat' "
        "is not a valid device model name\" >&2; exit 1"))
    status, _, errors = demo.finish()

    assert status == 1
    assert "lm3s6965evb ended with status 1" in errors
    assert "not a valid device model name" in errors
    assert "this QEMU does not support -device ivshmem-flat" in errors


@pytest.mark.parametrize("arguments, complaint", [
    (["virt", "virt"], "unknown guest 'virt': choose from"),
    (["mps2-an385"], "1 guests given: must be 2 or 3"),
    (["--timeout", "0"], "--timeout 0: must be above 0"),
])
def test_bad_arguments(demo: Command, arguments: list[str],
                       complaint: str) -> None:
    demo.start(*arguments)
    status, _, errors = demo.finish()

    assert status == 2 and complaint in errors
