# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the code blocks in the pages."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
README = "README.md"
PYTHON = "python/README.md"
DEVICE = "docs/system/devices/ivshmem-flat.rst"
PAGES = [README, PYTHON, *sorted(str(page.relative_to(TOP))
                                 for page in TOP.glob("docs/**/*.rst"))]


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}: {self.text.splitlines()[0]}"


# Blocks that a test runs
taken: set[Block] = set()


def blocks(page: str) -> list[Block]:
    lines = (TOP / page).read_text().splitlines()
    found = []
    at = 0
    while at < len(lines):
        if match := re.match(r"```(\w*)$", lines[at]):
            end = lines.index("```", at + 1)
            found.append(Block(page, at + 2, match[1],
                               "\n".join(lines[at + 1:end])))
            at = end
        elif match := re.match(r"( *)\.\. code-block:: (.*)$", lines[at]):
            outer = len(match[1])
            end = at + 1
            while end < len(lines) and (not lines[end] or
                                        lines[end][:outer + 1].isspace()):
                end += 1
            text = textwrap.dedent("\n".join(lines[at + 1:end])).strip("\n")
            found.append(Block(page, at + 3, match[2], text))
            at = end - 1
        at += 1
    return found


def take(page: str, start: str) -> Block:
    """The block of the page that begins with `start`. Call this when a module
    is loaded, not in a test: test_manual.py looks for blocks not taken."""
    fitting = [block for block in blocks(page) if block.text.startswith(start)]
    if len(fitting) != 1:
        raise LookupError(f"{page} has {len(fitting)} blocks that begin with "
                          f"{start!r}: update the test to the page's new text")
    taken.update(fitting)
    return fitting[0]


def commands(text: str) -> list[str]:
    """Shell commands, each with its continuation lines."""
    return [command for command in
            re.split(r"(?<!\\)\n", text) if command.strip()]
