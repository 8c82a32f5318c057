# SPDX-License-Identifier: GPL-2.0-or-later
"""Atomic instructions work between two guests.

The boards run guest/tests/atomics.c.
"""

import pytest

from boards import OTHER_PAIRS
from ivshmem import Testbed
from ivshmem.board import BOARDS

INCREMENTS = 100_000  # of each board
COUNTER = 0           # offset of the shared word


@pytest.mark.parametrize("first, second", [
    BOARDS, (BOARDS[0], BOARDS[0]), (BOARDS[1], BOARDS[1]), *OTHER_PAIRS])
def test_no_increment_is_lost(bed: Testbed, first: str, second: str) -> None:
    server = bed.server()

    boards = [bed.board(board, "atomics", server) for board in (first, second)]
    for board in boards:
        bed.wait(f"{board.name} to add up",
                 lambda: board.said(f"^atomics: ok added={INCREMENTS}$"))

    assert server.memory.word(COUNTER) == 2 * INCREMENTS
