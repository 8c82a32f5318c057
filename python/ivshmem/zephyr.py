# SPDX-License-Identifier: Apache-2.0
"""A board with an ivshmem-flat device that runs Zephyr."""

import re
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from .board import Board
from .process import News

# What its programs call themselves in the demo, and how to tell demo.start()
# of one: "zephyr:BOARD".
ZEPHYR = "zephyr"
ON_ZEPHYR = "zephyr:"

# Each exception return to user mode makes QEMU say so: it is Zephyr's way.
RETURN_TO_USER_MODE = "M profile return from interrupt with misaligned PC"


class ZephyrBoard(Board):
    """A running board. Its console takes input, too, if the program does."""

    # Of the kernel, of its test framework, of its samples and of ours.
    FAILURE = re.compile(
        r"FATAL ERROR|PROJECT EXECUTION FAILED|test has failed|"
        r"(demo|echo): FAILED")

    def __init__(self, name: str, board: str, image: Path,
                 device: Sequence[str], news: SimpleQueue[News], *,
                 paused: bool = False) -> None:
        super().__init__(name, board, image, device, news, kind=ZEPHYR,
                         paused=paused)

    def failure(self) -> str | None:
        """Tests say what failed in two lines, before that they have failed."""
        if not (failure := super().failure()):
            return None
        lines = [line.strip() for line in list(self.output)]
        return "\n    ".join([failure, *(
            f"{line} {after}" for line, after in zip(lines, lines[1:])
            if line.startswith("Assertion failed"))])

    def _is_noise(self, line: str) -> bool:
        return (line.startswith(RETURN_TO_USER_MODE) or
                super()._is_noise(line))
