# SPDX-License-Identifier: Apache-2.0
"""The consoles of a testbed's machines on one terminal."""

import os
import sys
import time

from .machine import Machine
from .process import News, show_line


class Screen:
    """Labels each line with its time and writer."""

    COLOURS = (36, 33, 35)  # cyan, yellow and magenta, for the guests in turn
    RED = 31

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._colours: dict[str, int] = {}
        self._colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def say(self, who: str, text: str) -> None:
        self._print(show_line(self.elapsed(), who, text))

    def show(self, news: News) -> None:
        """Shows a line if it is from a console, or from any stderr."""
        name = news.process.name
        if news.line is None:
            return
        if news.is_error:
            colour = self.RED
        elif isinstance(news.process, Machine):
            order = self._colours.setdefault(name, len(self._colours))
            colour = self.COLOURS[order % len(self.COLOURS)]
        else:
            return
        self._print(show_line(news.time - self._start, name, news.line,
                              news.is_error), colour)

    def _print(self, line: str, colour: int = 0) -> None:
        if colour and self._colourful:
            line = f"\033[{colour}m{line}\033[0m"
        print(line, flush=True)
