# SPDX-License-Identifier: Apache-2.0
"""Writes a timeline in the Trace Event Format, for ui.perfetto.dev and
chrome://tracing.

A participant becomes a "process", and each of its tracks a "thread". Times are
microseconds from the start of the timeline.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .traces import Doorbell, Interrupt, Participant, ServerLog

if TYPE_CHECKING:
    from .timeline import Timeline

# Tracks, in the order shown. There is one for each vector: INTERRUPTS + vector.
SESSIONS, DOORBELLS, TROUBLE, INTERRUPTS = 1, 2, 3, 10

# The length of an event without a duration: an arrow needs one to attach to.
MOMENT_US = 1

RED, ORANGE = "terrible", "bad"  # in chrome://tracing; Perfetto chooses its own

Event = dict[str, Any]


def write(timeline: "Timeline", file: Path) -> None:
    with file.open("w", encoding="utf-8") as output:
        json.dump({"traceEvents": list(_Writer(timeline).events()),
                   "displayTimeUnit": "ms",
                   "otherData": {"begin_us": timeline.begin}}, output)


class _Writer:
    def __init__(self, timeline: "Timeline") -> None:
        self._timeline = timeline
        self._begin = timeline.begin
        self._arrows = 0
        # Where arrows to an interrupt end: its track and time
        self._ends: dict[Interrupt, tuple[int, int]] = {}

    def events(self) -> Iterator[Event]:
        for pid, log in enumerate(self._timeline.servers, 1):
            yield from self._server(pid, log)
        first = len(self._timeline.servers) + 1
        for pid, participant in enumerate(self._timeline.participants, first):
            yield from self._interrupts(pid, participant)
        for pid, participant in enumerate(self._timeline.participants, first):
            yield from self._participant(pid, participant)

    def _participant(self, pid: int,
                     participant: Participant) -> Iterator[Event]:
        ids = sorted({session.own_id for session in participant.sessions})
        yield from _process(pid, participant.name + "".join(
            f", ID {own_id}" for own_id in ids))
        yield _track(pid, SESSIONS, "sessions and peers")
        for session in participant.sessions:
            yield self._slice(
                pid, SESSIONS, f"ID {session.own_id}", session.begin,
                session.end, {"end": session.reason or "end of the trace"})
        yield from self._doorbells(pid, participant)
        trouble = [notice for notice in participant.notices if notice.is_error]
        for notice in participant.notices:
            yield self._instant(pid, TROUBLE if notice.is_error else SESSIONS,
                                notice.text, notice.time,
                                ORANGE if notice.is_error else None)
        if trouble or any(each.lost or each.ignored
                          for each in participant.doorbells):
            yield _track(pid, TROUBLE, "lost, ignored, errors")

    def _doorbells(self, pid: int,
                   participant: Participant) -> Iterator[Event]:
        if participant.doorbells:
            yield _track(pid, DOORBELLS, "doorbells rung")
        following = sorted(participant.doorbells, key=lambda each: each.begin)
        for doorbell, after in zip(following, [*following[1:], None]):
            end = max(doorbell.end, doorbell.begin + MOMENT_US)
            if after:  # from another CPU: events on a track must not overlap
                end = max(min(end, after.begin), doorbell.begin)
            trouble = doorbell.lost or doorbell.ignored
            name = f"peer {doorbell.peer}, vector {doorbell.vector}"
            if trouble:
                name = f"{_fate(doorbell)}: {name}"
                yield self._instant(pid, TROUBLE, f"{name}: {trouble}",
                                    doorbell.begin, RED)
            slice_ = self._slice(pid, DOORBELLS, name, doorbell.begin, end,
                                 {"fate": trouble or _fate(doorbell)})
            if trouble:
                slice_["cname"] = RED
            yield slice_
            if doorbell.interrupt:
                yield from self._arrow(pid, doorbell, doorbell.interrupt)

    def _arrow(self, pid: int, doorbell: Doorbell,
               interrupt: Interrupt) -> Iterator[Event]:
        self._arrows += 1
        target, track = self._ends[interrupt]
        both = {"name": "doorbell", "cat": "doorbell", "id": self._arrows}
        yield {**both, "ph": "s", "pid": pid, "tid": DOORBELLS,
               "ts": doorbell.begin - self._begin}
        yield {**both, "ph": "f", "bp": "e", "pid": target, "tid": track,
               "ts": interrupt.time - self._begin}

    def _interrupts(self, pid: int,
                    participant: Participant) -> Iterator[Event]:
        for vector in sorted({each.vector for each in participant.interrupts}):
            yield _track(pid, INTERRUPTS + vector,
                         f"interrupts, vector {vector}")
        for interrupt in participant.interrupts:
            track = INTERRUPTS + interrupt.vector
            self._ends[interrupt] = pid, track
            number = len(interrupt.doorbells)
            yield self._slice(
                pid, track, f"vector {interrupt.vector}", interrupt.time,
                interrupt.time + MOMENT_US, {"doorbells": number})

    def _server(self, pid: int, log: ServerLog) -> Iterator[Event]:
        yield from _process(pid, log.name)
        for peer in sorted({life.id for life in log.lives}):
            yield _track(pid, 1 + peer, f"peer {peer}")
        for life in log.lives:
            yield self._slice(pid, 1 + life.id, f"peer {life.id}", life.begin,
                              life.end, {"joined": life.joined,
                                         "left": life.left})

    def _slice(self, pid: int, tid: int, name: str, begin: int, end: int,
               details: dict[str, Any]) -> Event:
        return {"ph": "X", "pid": pid, "tid": tid, "name": name,
                "ts": begin - self._begin, "dur": end - begin,
                "args": details}

    def _instant(self, pid: int, tid: int, name: str, time: int,
                 color: str | None) -> Event:
        event: Event = {"ph": "i", "s": "t", "pid": pid, "tid": tid,
                        "name": name, "ts": time - self._begin}
        if color:
            event["cname"] = color
        return event


def _fate(doorbell: Doorbell) -> str:
    if doorbell.ignored:
        return "ignored"
    if doorbell.lost:
        return "lost"
    return "interrupt" if doorbell.interrupt else "not traced"


def _process(pid: int, name: str) -> Iterator[Event]:
    yield {"ph": "M", "pid": pid, "name": "process_name",
           "args": {"name": name}}
    yield {"ph": "M", "pid": pid, "name": "process_sort_index",
           "args": {"sort_index": pid}}


def _track(pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "pid": pid, "tid": tid, "name": "thread_name",
            "args": {"name": name}}
