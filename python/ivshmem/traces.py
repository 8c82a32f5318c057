# SPDX-License-Identifier: Apache-2.0
"""Reads what QEMU, a server or ivshmemctl wrote while virtual machines ran.

A file is one of these, and read() recognizes which:

- QEMU's trace of one virtual machine, from -trace 'ivshmem_flat_*' with -msg
  timestamp=on. Its events are in hw/misc/trace-events.
- the output of `ivshmemctl listen --json`: a peer on the host
- the output of `ivshmemctl peers --watch --json`: peers that joined or left
- the log of `ivshmemd -v` from `journalctl -o short-unix`

Times are whole microseconds since 1970.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .process import TestbedError

MICROSECONDS = 1_000_000
DOORBELL, IVPOSITION = 0xC, 0x8  # offsets of registers

HOW_TO_TRACE = ("start QEMU with -trace 'ivshmem_flat_*' -msg timestamp=on "
                "-D FILE")

# A line begins with thread ID and seconds up to QEMU 10.1, with ISO 8601 later.
TRACE_LINE = re.compile(r"(?:\d+@(?P<seconds>\d+)\.(?P<fraction>\d{6}):|"
                        r"(?P<iso>\d{4}-\S+)Z )?ivshmem_flat_(?P<event>\w+) "
                        r"(?P<text>.*)")
OF_DEVICE = re.compile(r"(?P<chardev>\S+): (?P<text>.*)")
LOG_LINE = re.compile(r"(\d{9,})\.(\d{6}) .*\bpeer (\d+)\b.* "
                      r"(joined|left|disconnected)\b")


@dataclass(frozen=True)
class Session:
    """From the ID that the server gave until the end of the connection."""

    own_id: int
    begin: int
    end: int
    reason: str | None  # why it ended; None if it lasts as long as the trace
    memory: str | None = None  # the shared memory's name, if that was traced


@dataclass(eq=False)
class Doorbell:
    """A write to DOORBELL, from start to end."""

    peer: int
    vector: int
    begin: int
    end: int
    ignored: str | None = None  # why the device did nothing
    # What became of it otherwise; timeline.py sets both.
    interrupt: "Interrupt | None" = None
    lost: str | None = None


@dataclass(eq=False)
class Interrupt:
    vector: int
    time: int
    doorbells: list[Doorbell] = field(default_factory=list)


@dataclass(frozen=True)
class Notice:
    """Any other event. `is_error`: an error of the guest, or of the connection
    to the server."""

    time: int
    text: str
    is_error: bool = False


@dataclass(eq=False)
class Participant:
    """The trace of a device of a virtual machine, or of a peer on the host."""

    name: str
    begin: int
    end: int
    sessions: list[Session] = field(default_factory=list)
    doorbells: list[Doorbell] = field(default_factory=list)
    interrupts: list[Interrupt] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def memory(self, time: int) -> str | None:
        """The memory that it shares at this time. It keeps the last session's
        memory, because peers can still be rung after the session."""
        begun = [each for each in self.sessions if each.begin <= time]
        return begun[-1].memory if begun else None


@dataclass(frozen=True)
class Life:
    """How long a peer was connected, from the server. `joined` and `left` say
    whether the log has its start and its end."""

    id: int
    begin: int
    end: int
    joined: bool
    left: bool


@dataclass(eq=False)
class ServerLog:
    name: str
    begin: int
    end: int
    lives: list[Life] = field(default_factory=list)


Source = Participant | ServerLog


def read(path: Path, name: str) -> Sequence[Source]:
    """Reads a file of any kind."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise TestbedError(f"cannot read {path}: {error.strerror}") from error
    if any(line.startswith("{") for line in lines):
        return [_read_json(path, name, lines)]
    if any(LOG_LINE.match(line) for line in lines):
        return [_read_log(name, lines)]
    return _read_trace(path, name, lines)


def _read_json(path: Path, name: str, lines: list[str]) -> Source:
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            event["time_us"], event["event"]
        except (ValueError, KeyError, TypeError) as error:
            raise TestbedError(
                f"{path}, line {number}: not output of 'ivshmemctl listen "
                "--json' or 'ivshmemctl peers --watch --json'") from error
        events.append(event)
    if any(event["event"] == "listening" for event in events):
        return _listener(name, events)
    return _lives(name, [(event["time_us"], event["event"], event["id"])
                         for event in events if event["event"] != "watching"],
                  events[0]["time_us"], events[-1]["time_us"])


def _listener(name: str, events: list[dict[str, Any]]) -> Participant:
    begin, end = events[0]["time_us"], events[-1]["time_us"]
    return Participant(
        name, begin, end,
        sessions=[Session(event["id"], begin, end, None) for event in events
                  if event["event"] == "listening"],
        interrupts=[Interrupt(event["vector"], event["time_us"])
                    for event in events if event["event"] == "rung"])


def _read_log(name: str, lines: list[str]) -> ServerLog:
    events = [(int(match[1]) * MICROSECONDS + int(match[2]), match[4],
               int(match[3])) for match in map(LOG_LINE.match, lines) if match]
    return _lives(name, events, events[0][0], events[-1][0])


def _lives(name: str, events: list[tuple[int, str, int]], begin: int,
           end: int) -> ServerLog:
    log = ServerLog(name, begin, end)
    there: dict[int, tuple[int, bool]] = {}
    for time, event, peer in events:
        if event in ("left", "disconnected"):
            since, joined = there.pop(peer, (begin, False))
            log.lives.append(Life(peer, since, time, joined, True))
        elif peer not in there:
            there[peer] = time, event == "joined"
    log.lives += [Life(peer, since, end, joined, False)
                  for peer, (since, joined) in there.items()]
    log.lives.sort(key=lambda life: (life.begin, life.id))
    return log


Event = tuple[int, str, str]  # time, name, and what it says


def _read_trace(path: Path, name: str, lines: list[str]) -> list[Participant]:
    """Returns a participant for each device, sorted by chardev."""
    events = _events(path, lines)
    begin, end = events[0][0], events[-1][0]
    devices: dict[str, list[Event]] = defaultdict(list)
    for time, event, text in events:
        match = OF_DEVICE.fullmatch(text)
        if not match:
            raise _unknown(path, event, text)
        devices[match["chardev"]].append((time, event, text))
    participants = []
    for chardev, its_events in sorted(devices.items()):
        participant = Participant(
            name if len(devices) == 1 else f"{name}/{chardev}", begin, end)
        _Device(path, participant).take(its_events)
        participants.append(participant)
    return participants


def _events(path: Path, lines: list[str]) -> list[Event]:
    """Sorted by time, as QEMU's threads can write events out of order."""
    events = []
    for match in filter(None, map(TRACE_LINE.match, lines)):
        if match["seconds"]:
            time = int(match["seconds"]) * MICROSECONDS + int(match["fraction"])
        elif match["iso"]:
            date = datetime.fromisoformat(match["iso"])
            date = date.replace(tzinfo=timezone.utc)
            time = int(date.timestamp()) * MICROSECONDS + date.microsecond
        else:
            raise TestbedError(f"{path} has no timestamps: {HOW_TO_TRACE}")
        events.append((time, match["event"], match["text"]))
    if not events:
        raise TestbedError(f"{path} has no ivshmem-flat events, and is not a "
                           f"server's log: {HOW_TO_TRACE}")
    return sorted(events, key=lambda event: event[0])


def _unknown(path: Path, event: str, text: str) -> TestbedError:
    return TestbedError(f"{path}: 'ivshmem_flat_{event} {text}' is not an "
                        "event of this version of the device")


class _Device:
    """Handles the events of one device, sorted by time."""

    def __init__(self, path: Path, participant: Participant) -> None:
        self._path = path
        self._participant = participant
        self._own_id: tuple[int, int] | None = None  # with its time
        self._memory: str | None = None
        self._known: set[int] = set()  # peers
        self._writes: list[tuple[int, int]] = []  # time and value, not yet matched

    def take(self, events: Sequence[Event]) -> None:
        takers: dict[str, Callable[[int, str], None]] = {
            "own_id": self._take_own_id, "shmem": self._take_shmem,
            "vector": self._take_vector, "peer_left": self._take_peer_left,
            "write": self._take_write, "read": self._take_read,
            "ring": self._take_ring, "ring_ignored": self._take_ring_ignored,
            "interrupt": self._take_interrupt,
            "bad_access": self._take_bad_access,
            "server_error": self._take_server_error}
        for time, event, text in events:
            if taker := takers.get(event):
                try:
                    taker(time, text.partition(": ")[2])
                except (ValueError, IndexError) as error:
                    raise _unknown(self._path, event, text) from error
        self._end_session(self._participant.end, None)

    def _note(self, time: int, text: str, is_error: bool = False) -> None:
        self._participant.notices.append(Notice(time, text, is_error))

    def _end_session(self, time: int, reason: str | None) -> None:
        if self._own_id:
            own_id, begin = self._own_id
            self._participant.sessions.append(
                Session(own_id, begin, time, reason, self._memory))
        self._own_id = self._memory = None
        self._known.clear()

    def _take_own_id(self, time: int, text: str) -> None:
        self._end_session(time, None)
        self._own_id = int(text.rsplit(" ", 1)[1]), time

    def _take_shmem(self, _time: int, text: str) -> None:
        _, self._memory = text.split(" bytes, ")

    def _take_vector(self, time: int, text: str) -> None:
        own_id, peer = _numbers(text)[:2]
        if peer != own_id and peer not in self._known:
            self._known.add(peer)
            self._note(time, f"peer {peer} joined")

    def _take_peer_left(self, time: int, text: str) -> None:
        peer = _numbers(text)[1]
        self._known.discard(peer)
        self._note(time, f"peer {peer} left")

    def _take_write(self, time: int, text: str) -> None:
        offset, value = (int(word, 0) for word in text.split()[1::2])
        if offset == DOORBELL:
            self._writes.append((time, value))
        elif offset == IVPOSITION:
            self._note(time, "write to read-only IVPOSITION", True)

    def _take_read(self, time: int, text: str) -> None:
        if int(text.split()[1], 0) == DOORBELL:
            self._note(time, "read of write-only DOORBELL", True)

    def _take_ring(self, time: int, text: str) -> None:
        _, peer, vector = _numbers(text)
        self._ring(time, peer, vector)

    def _take_ring_ignored(self, time: int, text: str) -> None:
        target, reason = text.split(": ", 1)
        peer, vector = _numbers(target)
        self._ring(time, peer, vector, reason)

    def _ring(self, time: int, peer: int, vector: int,
              ignored: str | None = None) -> None:
        """`begin` is when this value was written, if that was traced."""
        value = peer << 16 | vector
        begin = next((write for write in self._writes if write[1] == value),
                     None)
        if begin:
            self._writes.remove(begin)
        self._participant.doorbells.append(Doorbell(
            peer, vector, begin[0] if begin else time, time, ignored))

    def _take_interrupt(self, time: int, text: str) -> None:
        self._participant.interrupts.append(
            Interrupt(_numbers(text)[0], time))

    def _take_bad_access(self, time: int, text: str) -> None:
        self._note(time, text, True)

    def _take_server_error(self, time: int, text: str) -> None:
        self._note(time, text, True)
        self._end_session(time, text)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]
