# SPDX-License-Identifier: Apache-2.0
"""A board that runs Zephyr, with an ivshmem-flat device."""

import re
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from .board import Board
from .process import News

# The name of its programs in the demo, and the prefix for demo.start():
# "zephyr:BOARD".
ZEPHYR = "zephyr"
ON_ZEPHYR = "zephyr:"

# QEMU reports this for every exception return to user mode in Zephyr.
RETURN_TO_USER_MODE = "M profile return from interrupt with misaligned PC"


class ZephyrBoard(Board):
    """A running board. Its console also takes input, if the program reads
    it."""

    # From the kernel, its test framework, its samples and ours
    FAILURE = re.compile(
        r"FATAL ERROR|PROJECT EXECUTION FAILED|test has failed|"
        r"(demo|echo): FAILED")

    def __init__(self, name: str, board: str, image: Path,
                 device: Sequence[str], news: SimpleQueue[News], *,
                 paused: bool = False) -> None:
        super().__init__(name, board, image, device, news, kind=ZEPHYR,
                         paused=paused)

    def failure(self) -> str | None:
        """Adds the two lines that a test prints for each failed assertion."""
        if not (failure := super().failure()):
            return None
        lines = [line.strip() for line in list(self.output)]
        return "\n    ".join([failure, *(
            f"{line} {after}" for line, after in zip(lines, lines[1:])
            if line.startswith("Assertion failed"))])

    def _is_noise(self, line: str) -> bool:
        return (line.startswith(RETURN_TO_USER_MODE) or
                super()._is_noise(line))
