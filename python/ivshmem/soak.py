# SPDX-License-Identifier: Apache-2.0
"""The soak test: two boards play ball while the host disturbs them.

The boards run guest/tests/soak.c, which explains the game and its words in
shared memory. The boards check the messages. The host checks that the game does
not stall, as it would after a lost doorbell or wake-up.
"""

import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .testbed import Testbed
from .board import BOARDS, Board
from .peer import Peer
from .process import TestbedError
from .memory import SharedMemory
from .server import Server, ServerWithMemory

PAIRINGS = (BOARDS, (BOARDS[0], BOARDS[0]), (BOARDS[1], BOARDS[1]))

# A game that makes no progress for this long has stalled. It is long enough
# for a busy host.
PATIENCE_SECONDS = 10.0

# The longest time between two disturbances, and for which a board is paused.
CALM_SECONDS = 0.1
HOLD_UP_SECONDS = 0.03

VISITORS_MAX = 8

# All offsets are from guest/tests/soak.c.
ORDER_HOLD, ORDER_SEED = 0x0, 0x4
BALLS = 2  # of both boards together


@dataclass(frozen=True)
class Side:
    """A snapshot of what a board has written."""

    present: int
    balls: int
    may_sleep: int
    begun: int
    complete: int
    rung: int
    heard: int
    read: int
    interrupts: int
    messages: int
    skipped: int
    wake_ups: int
    burst_first: int
    burst_last: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}"
                         for name, value in vars(self).items())


# Offsets of the fields of a Side, in the same order.
OFFSETS = (0x00, 0x04, 0x40, 0x80, 0x84, 0xC0, 0xC4, 0xC8, 0x100, 0x104, 0x108,
           0x10C, 0x140, 0x144)
PAYLOAD = 0x154


def side_offset(number: int) -> int:
    return 0x1000 + number * 0x1000


def read_side(memory: SharedMemory, number: int) -> Side:
    return Side(*(memory.word(side_offset(number) + offset)
                  for offset in OFFSETS))


class Watch:
    """Raises if the game stalls. Call look() repeatedly."""

    def __init__(self, memory: SharedMemory, names: Sequence[str],
                 patience: float) -> None:
        self.longest_silence = 0.0
        self._memory = memory
        self._names = names
        self._patience = patience
        self._moved = time.monotonic()
        self.sides = self._read()

    def look(self) -> None:
        sides = self._read()
        silence = time.monotonic() - self._moved
        self.longest_silence = max(self.longest_silence, silence)
        if sides != self.sides:
            self.sides = sides
            self._moved = time.monotonic()
        elif silence > self._patience:
            raise TestbedError("\n".join([
                f"{self._loss()}; no progress for {silence:.1f} s",
                *(f"    {name}: {side}"
                  for name, side in zip(self._names, sides))]))

    def at_rest(self) -> bool:
        """Whether both boards sleep with nothing to do, as they did at the last
        call."""
        before = self.sides
        self.look()
        return self.sides == before and all(
            receiver.may_sleep and receiver.heard == sender.rung and
            receiver.read == sender.complete for sender, receiver in
            (self.sides, self.sides[::-1]))

    def _read(self) -> tuple[Side, Side]:
        return read_side(self._memory, 0), read_side(self._memory, 1)

    def _loss(self) -> str:
        for sender, receiver in ((0, 1), (1, 0)):
            theirs, ours = self.sides[sender], self.sides[receiver]
            them, us = self._names[sender], self._names[receiver]
            if ours.heard != theirs.rung:
                return (f"a doorbell was lost: {them} last rang number "
                        f"{theirs.rung}, {us} last heard number {ours.heard}")
            if ours.read != theirs.complete and ours.may_sleep:
                return (f"a wake-up was lost: {us} has heard every doorbell, "
                        f"but sleeps after message {ours.read} of {them}, "
                        f"which sent {theirs.complete}")
        return "a board hangs, but no doorbell or message was lost"


class Disturber:
    """Disturbs the machines like a busy host. A context manager."""

    def __init__(self, chance: random.Random, server: Server,
                 boards: Sequence[Board]) -> None:
        self.done: Counter[str] = Counter()
        self._chance = chance
        self._server = server
        self._boards = boards
        self._visitors: deque[Peer] = deque()

    def __enter__(self) -> "Disturber":
        return self

    def __exit__(self, *exception: object) -> None:
        while self._visitors:
            self._leave()

    def pause(self) -> float:
        """Seconds until the next disturbance."""
        return self._chance.uniform(0, CALM_SECONDS)

    def disturb(self) -> None:
        self._chance.choice((self._come_or_leave, self._stop, self._freeze))()

    def _come_or_leave(self) -> None:
        if self._chance.randrange(VISITORS_MAX) >= len(self._visitors):
            self._visitors.append(Peer(self._server.socket))
            self.done["peers joined"] += 1
        else:
            self._leave()

    def _leave(self) -> None:
        self._visitors.popleft().close()
        self.done["peers left"] += 1

    def _stop(self) -> None:
        board = self._chance.choice(self._boards)
        board.qmp.command("stop")
        time.sleep(self._hold_up())
        board.qmp.command("cont")
        self.done["stops by QMP"] += 1

    def _freeze(self) -> None:
        with frozen(self._chance.choice(self._boards)):
            time.sleep(self._hold_up())
        self.done["stops by SIGSTOP"] += 1

    def _hold_up(self) -> float:
        return self._chance.uniform(0, HOLD_UP_SECONDS)


@contextmanager
def frozen(board: Board) -> Iterator[None]:
    """Stops a board's whole QEMU process."""
    os.kill(board.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(board.pid, signal.SIGCONT)


@dataclass(frozen=True)
class Result:
    names: tuple[str, str]
    sides: tuple[Side, Side]
    longest_silence: float  # in seconds, seen from the host
    disturbances: Counter[str]

    def __str__(self) -> str:
        lines = [f"{'':14}      sent      rung      read   skipped     heard  "
                 "wake-ups"]
        for number, name in enumerate(self.names):
            side = self.sides[number]
            lines.append(f"{name:14}" + "".join(f"{value:10}" for value in (
                side.complete, side.rung, side.messages, side.skipped,
                side.interrupts, side.wake_ups)))
        lines.append(", ".join([
            f"longest silence {self.longest_silence:.2f} s",
            *(f"{count} {what}"
              for what, count in sorted(self.disturbances.items()))]))
        return "\n".join(lines)


class Game:
    """A game of two boards, which starts at once."""

    def __init__(self, bed: Testbed, boards: Sequence[str], seed: str,
                 patience: float = PATIENCE_SECONDS,
                 server: ServerWithMemory | None = None) -> None:
        self.bed = bed
        self.chance = random.Random(f"{seed} {' '.join(boards)}")
        self.server = server or bed.server()
        self.memory = self.server.memory
        self.memory.set_words(ORDER_SEED, self.chance.getrandbits(32))
        self.boards: list[Board] = []
        for number, name in enumerate(boards):
            board = bed.board(name, "soak", self.server)
            self.boards.append(board)
            bed.wait(f"{board.name} to play as id={number}", lambda:
                     board.said(f"^soak: plays as id={number}$"))
        self.names = self.boards[0].name, self.boards[1].name
        self._watch = Watch(self.memory, self.names, patience)
        self._disturbances: Counter[str] = Counter()

    def go_on(self, seconds: float) -> None:
        """Lets the game run undisturbed."""
        end = time.monotonic() + seconds
        self.bed.wait("the game to go on", lambda: self._is_past(end))

    def go_on_disturbed(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with Disturber(self.chance, self.server, self.boards) as disturber:
            self._disturbances = disturber.done
            while time.monotonic() < end:
                self.go_on(disturber.pause())
                disturber.disturb()

    def finish(self) -> Result:
        """Ends the game and raises if the boards' counts do not match."""
        self.memory.set_words(ORDER_HOLD, 1)
        self.bed.wait("both boards to become idle", self._watch.at_rest)
        sides = self._watch.sides
        for (sender, receiver), name in zip((sides, sides[::-1]), self.names):
            if receiver.messages + receiver.skipped != sender.complete:
                raise TestbedError(f"of {sender.complete} messages of {name}, "
                                   f"{receiver.messages} were read and "
                                   f"{receiver.skipped} skipped")
            if not 0 < receiver.interrupts <= sender.rung:
                raise TestbedError(f"{name} rang {sender.rung} times, which "
                                   f"caused {receiver.interrupts} interrupts")
        if sides[0].balls + sides[1].balls != BALLS:
            raise TestbedError(f"of {BALLS} balls, {self.names[0]} has "
                               f"{sides[0].balls} and {self.names[1]} "
                               f"{sides[1].balls}")
        return Result(self.names, sides, self._watch.longest_silence,
                      self._disturbances)

    def _is_past(self, end: float) -> bool:
        self._watch.look()
        return time.monotonic() >= end


def play(bed: Testbed, boards: Sequence[str], seed: str,
         seconds: float) -> Result:
    game = Game(bed, boards, seed)
    game.go_on_disturbed(seconds)
    return game.finish()
