# SPDX-License-Identifier: Apache-2.0
"""The consoles of a testbed's machines on one terminal."""

import os
import sys
import time

from .machine import Machine
from .process import News, show_line


class Screen:
    """Labels each line with its time and writer."""

    COLORS = (36, 33, 35)  # cyan, yellow and magenta, for the guests in turn
    RED = 31

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._colors: dict[str, int] = {}
        self._colorful = sys.stdout.isatty() and "NO_COLOR" not in os.environ

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
            color = self.RED
        elif isinstance(news.process, Machine):
            order = self._colors.setdefault(name, len(self._colors))
            color = self.COLORS[order % len(self.COLORS)]
        else:
            return
        self._print(show_line(news.time - self._start, name, news.line,
                              news.is_error), color)

    def _print(self, line: str, color: int = 0) -> None:
        if color and self._colorful:
            line = f"\033[{color}m{line}\033[0m"
        print(line, flush=True)
