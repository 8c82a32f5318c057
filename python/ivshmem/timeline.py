# SPDX-License-Identifier: Apache-2.0
"""ivshmem-timeline: draw a timeline of several virtual machines.

Reads a trace of each virtual machine, and optionally the output of the server
or ivshmemctl. Writes a file for ui.perfetto.dev and chrome://tracing, with
tracks for each ivshmem device and an arrow from each doorbell to its interrupt.
Lost and ignored doorbells and guest errors have their own track. With --svg it
also draws a picture.
"""

import argparse
import math
import statistics
import sys
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import command, timeline_json, timeline_svg, traces
from .process import TestbedError
from .traces import Doorbell, Interrupt, Participant, ServerLog, Source
from .version import VERSION

# If the write to DOORBELL was not traced, it may have happened this much before
# the doorbell was logged.
UNTRACED_WRITE_US = 1000

# A doorbell counts as lost if no interrupt followed for this long before the
# next one was rung. This is wrong if its target was paused.
LATE_US = 100_000
LATE = "no interrupt until a later doorbell was rung"


@dataclass(eq=False)
class Timeline:
    participants: list[Participant]
    servers: list[ServerLog]

    @property
    def sources(self) -> list[Source]:
        return [*self.servers, *self.participants]

    @property
    def begin(self) -> int:
        return min(source.begin for source in self.sources)

    @property
    def end(self) -> int:
        return max(source.end for source in self.sources)

    def doorbells(self) -> Iterator[Doorbell]:
        for participant in self.participants:
            yield from participant.doorbells


def read(files: Sequence[tuple[str, Path]]) -> Timeline:
    """Merges these files. Each file has a name."""
    sources = [source for name, path in files
               for source in traces.read(path, name)]
    timeline = Timeline(
        [source for source in sources if isinstance(source, Participant)],
        [source for source in sources if isinstance(source, ServerLog)])
    _match(timeline)
    return timeline


def _match(timeline: Timeline) -> None:
    """Finds the interrupt of each doorbell.

    A device logs a doorbell after ringing, so its interrupt can be logged
    first. Doorbells in quick succession can share an interrupt."""
    rung: dict[tuple[Participant, int], list[Doorbell]] = defaultdict(list)
    for participant in timeline.participants:
        for doorbell in participant.doorbells:
            if doorbell.ignored:
                continue
            target = _holder(timeline, doorbell.peer, doorbell.begin,
                             participant.memory(doorbell.begin))
            if target:
                rung[target, doorbell.vector].append(doorbell)
    for (target, vector), doorbells in rung.items():
        interrupts = [interrupt for interrupt in target.interrupts
                      if interrupt.vector == vector]
        _match_vector(sorted(doorbells, key=lambda each: each.end), interrupts)
        for doorbell in doorbells:
            if not doorbell.interrupt and not doorbell.lost:
                doorbell.lost = f"no interrupt of {target.name} followed"


def _match_vector(doorbells: list[Doorbell],
                  interrupts: list[Interrupt]) -> None:
    """Both lists are sorted by time."""
    waiting = deque(doorbells)
    previous: Interrupt | None = None
    for interrupt in interrupts:
        taken = (_take_rung(waiting, interrupt) or
                 _take_being_rung(waiting, interrupt) or
                 _take_overtaken(previous, interrupt))
        for doorbell in taken:
            if taken[-1].begin - doorbell.end > LATE_US:
                doorbell.lost = LATE
            else:
                _connect(doorbell, interrupt)
        previous = interrupt
    _match_rest(waiting, interrupts)


def _take_rung(waiting: deque[Doorbell],
               interrupt: Interrupt) -> list[Doorbell]:
    """The doorbells that had been rung when the interrupt came."""
    taken = []
    while waiting and waiting[0].end <= interrupt.time:
        taken.append(waiting.popleft())
    return taken


def _take_being_rung(waiting: deque[Doorbell],
                     interrupt: Interrupt) -> list[Doorbell]:
    """The next doorbell, if its ringing had begun when the interrupt came."""
    if waiting and _earliest(waiting[0]) <= interrupt.time:
        return [waiting.popleft()]
    return []


def _take_overtaken(previous: Interrupt | None,
                    interrupt: Interrupt) -> list[Doorbell]:
    """The last doorbell of the previous interrupt, if that interrupt was
    already on its way when the doorbell was rung."""
    if (previous and len(previous.doorbells) > 1 and
            interrupt.time - previous.time <= LATE_US):
        return [previous.doorbells.pop()]
    return []


def _match_rest(doorbells: Iterable[Doorbell],
                interrupts: list[Interrupt]) -> None:
    """Gives each doorbell that has no interrupt of its own the last interrupt
    that came while it was being rung."""
    times = [interrupt.time for interrupt in interrupts]
    for doorbell in doorbells:
        last = bisect_right(times, doorbell.end) - 1
        if last >= 0 and times[last] >= _earliest(doorbell):
            _connect(doorbell, interrupts[last])


def _connect(doorbell: Doorbell, interrupt: Interrupt) -> None:
    doorbell.interrupt = interrupt
    # Even if it was logged later, it was rung before the interrupt.
    doorbell.begin = min(doorbell.begin, interrupt.time)
    interrupt.doorbells.append(doorbell)


def _earliest(doorbell: Doorbell) -> int:
    if doorbell.begin < doorbell.end:
        return doorbell.begin
    return doorbell.begin - UNTRACED_WRITE_US


def _holder(timeline: Timeline, own_id: int, time: int,
            memory: str | None) -> Participant | None:
    """The client of this memory that had this ID at this time, or else one that
    had it earlier."""
    holders = [(participant, session) for participant in timeline.participants
               for session in participant.sessions
               if session.own_id == own_id and session.begin <= time and
               (memory is None or session.memory in (memory, None))]
    there = [each for each in holders if time <= each[1].end]
    return next((participant for participant, _ in there or holders), None)


def summary(timeline: Timeline) -> str:
    """Up to three lines for the user"""
    doorbells = list(timeline.doorbells())
    heard = [each for each in doorbells if each.interrupt]
    interrupts = {each.interrupt for each in heard}
    ignored = sum(1 for each in doorbells if each.ignored)
    lost = sum(1 for each in doorbells if each.lost)
    parts = [("doorbells", len(doorbells)), ("their interrupts",
                                             len(interrupts))]
    parts += [(what, number) for what, number in (
        ("lost", lost), ("ignored", ignored),
        ("to peers that were not traced",
         len(doorbells) - len(heard) - ignored - lost)) if number]
    names = ", ".join(each.name for each in timeline.participants)
    seconds = (timeline.end - timeline.begin) / traces.MICROSECONDS
    lines = [f"{names or 'the server alone'}: {seconds:.3f} s",
             ", ".join(f"{what}: {number}" for what, number in parts)]
    delays = [each.interrupt.time - each.begin for each in heard
              if each.interrupt]
    if delays:
        lines.append("from write to interrupt: median "
                     f"{statistics.median(delays):.0f} us, at most "
                     f"{max(delays)} us")
    return "\n".join(lines)


def write(timeline: Timeline, output: Path, svg: Path | None,
          between: tuple[float, float] | None = None) -> str:
    """Returns a summary for the user. `between` limits the picture to these
    milliseconds. Raises if a file cannot be written."""
    lines = [summary(timeline),
             f"Open {output} in ui.perfetto.dev or chrome://tracing."]
    try:
        timeline_json.write(timeline, output)
        if svg:
            timeline_svg.write(timeline, svg, between)
            lines.append(f"{svg} is a picture of it.")
    except OSError as error:
        raise TestbedError(f"cannot write {error.filename}: "
                           f"{error.strerror}") from error
    return "\n".join(lines)


def draw(directory: Path, files: Sequence[tuple[str, Path]]) -> str:
    """Writes timeline.json and, with matplotlib, timeline.svg to this
    directory. Returns a summary for the user."""
    picture = (directory / "timeline.svg" if timeline_svg.is_possible()
               else None)
    text = write(read(files), directory / "timeline.json", picture)
    return text if picture else (
        f"{text}\nThere is no picture: {timeline_svg.NO_PICTURE}.")


def _source(argument: str) -> tuple[str, Path]:
    name, separator, path = argument.partition("=")
    if not separator:
        return Path(argument).stem, Path(argument)
    if not name or not path:
        raise argparse.ArgumentTypeError(f"'{argument}': use FILE or "
                                         "NAME=FILE")
    return name, Path(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="ivshmem-timeline",
        description=f"{__doc__}\nTo get a trace, {traces.HOW_TO_TRACE}.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sources", nargs="+", type=_source, metavar="[NAME=]FILE",
        help="a QEMU trace, the output of 'ivshmemctl listen --json' or "
        "'ivshmemctl peers --watch --json', or the log of 'ivshmemd -v' from "
        "'journalctl -o short-unix'; NAME defaults to the file's name")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE",
                        default=Path("timeline.json"),
                        help="file to write (default: %(default)s)")
    parser.add_argument("--svg", type=Path, metavar="FILE",
                        help="also draw a picture; needs matplotlib")
    parser.add_argument("--between", type=float, nargs=2, metavar="MS",
                        help="draw only the time between these milliseconds")
    parser.add_argument("--version", action="version",
                        version=f"%(prog)s {VERSION}")
    options = parser.parse_args(arguments)
    if options.between and not options.svg:
        parser.error("--between needs --svg")
    if options.between and not all(map(math.isfinite, options.between)):
        parser.error("--between {:g} {:g}: both times must be finite".format(
            *options.between))
    if options.between and options.between[0] >= options.between[1]:
        parser.error("--between {:g} {:g}: the first time must be before the "
                     "second".format(*options.between))

    def run() -> bool:
        print(write(read(options.sources), options.output, options.svg,
                    options.between))
        return True

    return command.run("ivshmem-timeline", run)


if __name__ == "__main__":
    sys.exit(main())
