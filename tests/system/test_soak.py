# SPDX-License-Identifier: GPL-2.0-or-later
"""A few seconds of the soak test, and checks that it notices a loss.

The boards run guest/tests/soak.c. `make check-soak` runs it for longer.
"""

import os
import random
import re
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import fields

import pytest

from boards import OTHER_PAIRS
from ivshmem import Testbed, TestbedError, artifacts, soak
from ivshmem.board import BOARDS
from ivshmem.peer import Peer

SECONDS = 2.0
PATIENCE_SECONDS = 1.0  # until a game without progress counts as stuck


@pytest.mark.parametrize("first, second", [*soak.PAIRINGS, *OTHER_PAIRS])
def test_nothing_is_lost(bed: Testbed, first: str, second: str) -> None:
    seed = str(random.randrange(10 ** 9))
    print(f"to repeat: scripts/soak --seed {seed} --seconds {SECONDS:g} "
          f"{first} {second}")

    result = soak.play(bed, (first, second), seed, SECONDS)

    for side in result.sides:
        assert side.messages > 0 and side.wake_ups > 0


class Thief(Peer):
    def steal_doorbells(self, victim: int) -> None:
        """Reads doorbells before the victim's QEMU does."""
        with suppress(BlockingIOError):
            os.read(self._fds[victim][0], 8)


def test_lost_doorbell_is_noticed(bed: Testbed) -> None:
    game = soak.Game(bed, BOARDS, "any", PATIENCE_SECONDS)

    def throw_is_over() -> bool:
        thrower = soak.read_side(game.memory, 0)
        return thrower.complete == thrower.burst_last

    with closing(Thief(game.server.socket)) as thief, \
            pytest.raises(TestbedError, match=r"a doorbell was lost: "
                          r"lm3s6965evb last rang number \d+, mps2-an385 last "
                          r"heard number \d+; no progress for"):
        while True:  # until the last doorbell of a throw is stolen
            with soak.frozen(game.boards[1]):
                bed.wait("a throw to end", throw_is_over)
                thief.steal_doorbells(1)
            game.go_on(0.1)


def test_torn_message_is_noticed(bed: Testbed) -> None:
    game = soak.Game(bed, BOARDS, "any")

    def tear() -> None:
        for _ in range(1000):
            game.memory.set_words(soak.side_offset(0) + soak.PAYLOAD, 0xBAD)

    with pytest.raises(TestbedError, match=r"mps2-an385 says: soak: FAILED "
                       r"message \d+ is torn: word 0 of \d+ is 0xbad"):
        bed.wait("the firmware to report the torn message", tear)
    game.boards[1].excuse()


@pytest.mark.parametrize("words, complaint", [
    ([{"rung": 3}, {"heard": 2}],
     "a doorbell was lost: A last rang number 3, B last heard number 2"),
    ([{"complete": 5}, {"read": 4, "may_sleep": 1}],
     "a wake-up was lost: B has heard every doorbell, but sleeps after message "
     "4 of A, which sent 5"),
    ([{"complete": 5}, {"read": 4, "may_sleep": 0}],
     "a board hangs, but no doorbell or message was lost"),
])
@pytest.mark.parametrize("first", [0, 1])
def test_loss_is_named(bed: Testbed, words: list[dict[str, int]],
                       complaint: str, first: int) -> None:
    memory = bed.server().memory
    names = [field.name for field in fields(soak.Side)]
    for number, values in zip((first, 1 - first), words):
        for name, value in values.items():
            memory.set_words(soak.side_offset(number)
                             + soak.OFFSETS[names.index(name)], value)
    watch = soak.Watch(memory, ("A", "B") if first == 0 else ("B", "A"), 0.1)

    with pytest.raises(TestbedError, match=f"^{complaint}; no progress"):
        bed.wait("the watch to report the loss", watch.look)


def run_script(*arguments: str, **environment: str) \
        -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(artifacts.CHECKOUT / "scripts" / "soak"), *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=60.0)


def test_script_sums_up() -> None:
    run = run_script("--seconds", "1", "--seed", "5", *BOARDS)

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("soak: seed 5, 1 s\n")
    for board in BOARDS:
        assert re.search(rf"^{board}(  +\d+){{6}}$", run.stdout, re.MULTILINE)
    assert re.search(r"^longest silence \d\.\d\d s", run.stdout, re.MULTILINE)
    assert run.stdout.endswith("\nsoak: 1 passed, 0 failed\n")


def test_script_counts_failures() -> None:
    run = run_script(QEMU_SYSTEM_ARM="/nowhere/qemu")

    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.count("FAILED: /nowhere/qemu is missing") == 3
    assert run.stdout.endswith("\nsoak: 0 passed, 3 failed\n")


@pytest.mark.parametrize("arguments, complaint", [
    (["virt", "virt"], "unknown board 'virt': choose from"),
    (["mps2-an385"], "1 boards given: must be 2"),
    (["--seconds", "0"], "--seconds 0: must be above 0"),
])
def test_script_refuses(arguments: list[str], complaint: str) -> None:
    run = run_script(*arguments)

    assert run.returncode == 2 and complaint in run.stderr
