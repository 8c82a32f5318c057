# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks a timeline against the Trace Event Format.

It covers the parts that timelines use, and rules that are only visible in the
viewers.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Event = dict[str, Any]

# Fields by the type of their value
NUMBERS = ("pid", "tid", "ts", "dur", "id")
TEXTS = ("ph", "name", "cat", "bp", "s", "cname")

# Required and optional fields of each kind of event
FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "M": ({"pid", "name", "args"}, {"tid"}),
    "X": ({"pid", "tid", "name", "ts", "dur"}, {"args", "cname", "cat"}),
    "i": ({"pid", "tid", "name", "ts", "s"}, {"args", "cname", "cat"}),
    "s": ({"pid", "tid", "name", "ts", "cat", "id"}, {"args"}),
    "f": ({"pid", "tid", "name", "ts", "cat", "id", "bp"}, {"args"}),
}
# The single argument of each kind of M event, and its type
METADATA = {"process_name": ("name", str), "process_sort_index":
            ("sort_index", int), "thread_name": ("name", str),
            "thread_sort_index": ("sort_index", int)}
COLORS = {"good", "bad", "terrible", "black", "grey", "white", "yellow"}


def load(file: Path) -> list[Event]:
    """Loads a timeline's events and checks them."""
    document = json.loads(file.read_text())
    assert set(document) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    events: list[Event] = document["traceEvents"]
    check(events)
    return events


def check(events: Sequence[Event]) -> None:
    for event in events:
        _check_fields(event)
    _check_names(events)
    tracks = _slices(events)
    for slices in tracks.values():
        for (_, end), (begin, _) in zip(slices, slices[1:]):
            assert end <= begin, "slices overlap"
    _check_arrows(events, tracks)


def _check_fields(event: Event) -> None:
    must, may = FIELDS[event["ph"]]
    fields = set(event) - {"ph"}
    assert must <= fields <= must | may, event
    for field, value in event.items():
        if field in NUMBERS:
            assert type(value) is int and value >= 0, event
        elif field in TEXTS:
            assert isinstance(value, str) and value, event
    if event["ph"] == "M":
        argument, kind = METADATA[event["name"]]
        assert list(event["args"]) == [argument], event
        assert isinstance(event["args"][argument], kind), event
    assert event.get("s", "t") in ("g", "p", "t"), event
    # Without "bp": "e", an arrow ends at the next slice.
    assert event.get("bp", "e") == "e", event
    assert event.get("cname", "good") in COLORS, event


def _check_names(events: Sequence[Event]) -> None:
    """Each process and each track has exactly one name."""
    def of(name: str, key: Callable[[Event], Any]) -> list[Any]:
        return [key(event) for event in events if event["name"] == name]

    processes = of("process_name", lambda event: event["pid"])
    tracks = of("thread_name", lambda event: (event["pid"], event["tid"]))
    assert len(set(processes)) == len(processes)
    assert len(set(tracks)) == len(tracks)
    assert {pid for pid, _ in tracks} <= set(processes)
    assert {(event["pid"], event["tid"]) for event in events
            if event["ph"] != "M"} == set(tracks)


def _slices(events: Sequence[Event]) -> dict[Any, list[tuple[int, int]]]:
    """The begin and end of each slice, by track."""
    tracks: dict[Any, list[tuple[int, int]]] = {}
    for event in events:
        if event["ph"] == "X":
            tracks.setdefault((event["pid"], event["tid"]), []).append(
                (event["ts"], event["ts"] + event["dur"]))
    for slices in tracks.values():
        slices.sort()
    return tracks


def _check_arrows(events: Sequence[Event],
                  tracks: dict[Any, list[tuple[int, int]]]) -> None:
    """Each arrow has a begin and an end, in this order, both within slices."""
    tails, heads = ({event["id"]: event for event in events
                     if event["ph"] == kind} for kind in "sf")
    assert len(tails) + len(heads) == sum(event["ph"] in ("s", "f")
                                          for event in events)
    assert set(tails) == set(heads)
    for number, tail in tails.items():
        head = heads[number]
        assert (tail["name"], tail["cat"]) == (head["name"], head["cat"])
        assert tail["ts"] <= head["ts"]
        for point in (tail, head):
            assert any(begin <= point["ts"] <= end for begin, end
                       in tracks[point["pid"], point["tid"]]), point
