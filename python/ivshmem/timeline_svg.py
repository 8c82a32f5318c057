# SPDX-License-Identifier: Apache-2.0
"""Draws a timeline as a picture, with matplotlib.

Each participant has a lane, with a bar for each session. Ticks on its upper
edge are doorbells that it rings, ticks on the lower edge are interrupts.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .process import TestbedError
from .traces import Participant, ServerLog

if TYPE_CHECKING:
    from .timeline import Timeline

WIDTH_INCHES, LANE_INCHES, MARGIN_INCHES = 14.0, 0.9, 1.6
MARGIN = 0.04  # before the start and after the end, as a part of the duration
EDGE = 0.22  # distance of ticks from the middle of a lane of height 1

# Above this number, arrows are drawn without heads, which would hide the rest.
MOST_ARROWS = 300

# The maximum width of a word, as a part of the picture's width
WORD_WIDTH = 0.075

BAR, DOORBELL, INTERRUPT = "#dfe7ef", "#1f5fa8", "#2a7f3f"
LOST, ERROR, ARROW = "#d01c1c", "#e08a00", "#7a7a7a"


NO_PICTURE = ("matplotlib is missing: install the package "
              "python3-matplotlib")


def is_possible() -> bool:
    return find_spec("matplotlib") is not None


def write(timeline: "Timeline", file: Path,
          between: tuple[float, float] | None) -> None:
    if not is_possible():
        raise TestbedError(f"--svg: {NO_PICTURE}")
    # Imported here, as it is needed only for pictures
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot

    lanes = len(timeline.sources)
    figure, panel = pyplot.subplots(
        figsize=(WIDTH_INCHES, MARGIN_INCHES + LANE_INCHES * lanes),
        layout="constrained")
    _Picture(panel, timeline, between).draw()
    figure.savefig(file)
    pyplot.close(figure)


class _Picture:
    def __init__(self, panel: Any, timeline: "Timeline",
                 between: tuple[float, float] | None) -> None:
        self._panel = panel
        self._timeline = timeline
        self._begin, self._end = between or (0.0, self._ms(timeline.end))
        self._lanes = {source: lane for lane, source
                       in enumerate(timeline.sources)}

    def draw(self) -> None:
        panel = self._panel
        for log in self._timeline.servers:
            self._server(log)
        for participant in self._timeline.participants:
            self._participant(participant)
        self._arrows()
        names = [source.name for source in self._lanes]
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.set_xlabel("milliseconds")
        panel.grid(axis="x", alpha=0.3)
        for spine in ("left", "right", "top"):
            panel.spines[spine].set_visible(False)
        panel.tick_params(axis="y", length=0)
        margin = max(self._end - self._begin, 0.001) * MARGIN
        panel.set_xlim(self._begin - margin, self._end + margin)
        self._legend()

    def _ms(self, time: int) -> float:
        return (time - self._timeline.begin) / 1000

    def _participant(self, participant: Participant) -> None:
        lane = self._lanes[participant]
        for session in participant.sessions:
            begin, end = self._ms(session.begin), self._ms(session.end)
            self._panel.barh(lane, end - begin, left=begin, height=2 * EDGE,
                             color=BAR, zorder=1)
            self._text(max(begin, self._begin), lane,
                       f" ID {session.own_id}", va="center", fontsize="small")
        good = [each for each in participant.doorbells
                if not each.lost and not each.ignored]
        bad = [each for each in participant.doorbells
               if each.lost or each.ignored]
        self._marks([each.begin for each in good], lane - EDGE, "|", DOORBELL)
        self._marks([each.time for each in participant.interrupts],
                    lane + EDGE, "|", INTERRUPT)
        self._marks([each.begin for each in bad], lane - EDGE, "X", LOST)
        self._words([(each.begin, f"{'lost' if each.lost else 'ignored'}: "
                      f"{each.peer}/{each.vector}") for each in bad],
                    lane - EDGE - 0.1, LOST, "bottom")
        errors = [each for each in participant.notices if each.is_error]
        self._marks([each.time for each in errors], lane, "D", ERROR)
        self._words([(each.time, each.text) for each in participant.notices
                     if not each.is_error], lane + EDGE + 0.08, "black", "top")

    def _server(self, log: ServerLog) -> None:
        lane = self._lanes[log]
        ids = sorted({life.id for life in log.lives})
        height = 0.8 / max(len(ids), 1)
        for life in log.lives:
            begin, end = self._ms(life.begin), self._ms(life.end)
            middle = lane - 0.4 + height * (ids.index(life.id) + 0.5)
            self._panel.barh(middle, end - begin, left=begin,
                             height=height * 0.8, color=BAR, zorder=1)
            self._text(max(begin, self._begin), middle, f" peer {life.id}",
                       va="center", fontsize="x-small")

    def _marks(self, times: list[int], y: float, marker: str,
               color: str) -> None:
        self._panel.plot([self._ms(time) for time in times], [y] * len(times),
                         marker, color=color, zorder=5,
                         markersize=9 if marker == "|" else 8)

    def _words(self, words: list[tuple[int, str]], y: float, color: str,
               where: str) -> None:
        """Skips words that would overlap the one before, and shows their
        number there instead."""
        width = (self._end - self._begin) * WORD_WIDTH
        shown: list[tuple[float, str, int]] = []
        for time, text in words:
            x = self._ms(time)
            if shown and x < shown[-1][0] + width:
                shown[-1] = (*shown[-1][:2], shown[-1][2] + 1)
            elif self._begin <= x <= self._end:
                shown.append((x, text, 0))
        for x, text, more in shown:
            self._text(x, y, f"{text}, +{more}" if more else text,
                       color=color, va=where, fontsize="x-small")

    def _text(self, x: float, y: float, text: str, **how: Any) -> None:
        """Drawn over the arrows, with a margin around its letters."""
        from matplotlib.patheffects import withStroke

        self._panel.text(x, y, text, **how, zorder=6, clip_on=True,
                         path_effects=[withStroke(linewidth=3,
                                                  foreground="white")])

    def _arrows(self) -> None:
        targets = {interrupt: self._lanes[participant]
                   for participant in self._timeline.participants
                   for interrupt in participant.interrupts}
        arrows = [
            (self._ms(doorbell.begin), self._lanes[participant] - EDGE,
             self._ms(doorbell.interrupt.time),
             targets[doorbell.interrupt] + EDGE)
            for participant in self._timeline.participants
            for doorbell in participant.doorbells if doorbell.interrupt]
        heads = len(arrows) <= MOST_ARROWS
        for x, y, to_x, to_y in arrows:
            if heads:
                self._panel.annotate(
                    "", (to_x, to_y), (x, y), zorder=3, clip_on=True,
                    annotation_clip=False,
                    arrowprops={"arrowstyle": "-|>", "color": ARROW,
                                "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0})
            else:
                self._panel.plot([x, to_x], [y, to_y], "-", color=ARROW,
                                 linewidth=0.3, alpha=0.5, zorder=2)

    def _legend(self) -> None:
        for marker, color, label in (
                ("|", DOORBELL, "doorbell rung"),
                ("|", INTERRUPT, "interrupt"),
                ("X", LOST, "doorbell lost or ignored (peer/vector)"),
                ("D", ERROR, "guest error, or trouble with the server")):
            self._panel.plot([], [], marker, color=color, label=label,
                             linestyle="none")
        self._panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0),
                           ncols=4, frameon=False, fontsize="small")
