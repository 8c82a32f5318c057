# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages in ring buffers, on each board: guest/examples/fifo.c."""

from itertools import product

import pytest

from ivshmem import Testbed
from ivshmem.board import BOARDS
from boards import OTHER_PAIRS


@pytest.mark.parametrize("first, second", [*product(BOARDS, BOARDS),
                                           *OTHER_PAIRS])
def test_all_messages_arrive(bed: Testbed, first: str, second: str) -> None:
    """There are more messages than the buffers can hold at once."""
    server = bed.server()
    boards = [bed.board(first, "fifo", server)]
    bed.wait("the first to be up",
             lambda: boards[0].said("^fifo: id 0, peer 1$"))
    boards.append(bed.board(second, "fifo", server))

    for number, board in enumerate(boards):
        bed.wait("all messages", lambda: board.said(
            f"^fifo: id {number} sent 500 and received 500 messages$"))
        board.check_idle()
