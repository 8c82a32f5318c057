# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest example, on each board: guest/examples/hello.c."""

from itertools import product

import pytest

from ivshmem import Testbed
from ivshmem.board import BOARDS
from boards import OTHER_PAIRS


@pytest.mark.parametrize("first, second", [*product(BOARDS, BOARDS),
                                           *OTHER_PAIRS])
def test_two_boards_ring_each_other(bed: Testbed, first: str,
                                    second: str) -> None:
    server = bed.server()
    even = bed.board(first, "hello", server)
    bed.wait("the first to be up", lambda: even.said("^hello: id 0, peer 1$"))
    odd = bed.board(second, "hello", server)

    for board, peer in ((even, 1), (odd, 0)):
        bed.wait("three doorbells", lambda: board.count(
            f"^hello: peer {peer} rang$") == 3)
    even.check_idle()
