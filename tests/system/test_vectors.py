# SPDX-License-Identifier: GPL-2.0-or-later
"""Each vector of a board raises its own interrupt line.

The boards run guest/tests/vectors.c, which describes the words. Only one
doorbell is under way at a time, so each must be one interrupt. The answer has
the vector of the line that was raised.
"""

from collections.abc import Sequence

import pytest

from ivshmem import Testbed
from ivshmem.board import BOARDS, Board, usual_device
from ivshmem.server import IvshmemServer

pytestmark = [pytest.mark.both_servers, pytest.mark.bed_seconds(120.0)]

LINES = (29, 27, 26)
VECTORS = len(LINES)
DOORBELLS = 1000
WITHOUT_LIMIT = 0xFFFFFFFF


def start(bed: Testbed, server: IvshmemServer, board: str, own_id: int,
          other: int, limit: int) -> Board:
    """Starts a board and waits until it listens with this ID."""
    server.memory.set_words(64 * own_id, other, limit)
    *others, device = usual_device(board, server.socket)
    lines = ";".join(f"nvic/unnamed-gpio-in[{line}]" for line in LINES)
    running = bed.board(board, "vectors", server, device=[
        *others, device.replace(f"nvic/unnamed-gpio-in[{LINES[0]}]", lines)])
    bed.wait(f"{board} to listen", lambda: running.said(
        f"^vectors: listening id={own_id}$"))
    return running


def counts(server: IvshmemServer, own_id: int) -> Sequence[int]:
    return [server.memory.word(64 * own_id + 8 + 4 * vector)
            for vector in range(VECTORS)]


@pytest.mark.parametrize("first, second", [BOARDS, BOARDS[::-1]])
def test_boards_ring_each_others_vectors(bed: Testbed, first: str,
                                         second: str) -> None:
    server = bed.server(vectors=VECTORS)
    start(bed, server, first, 0, other=1, limit=DOORBELLS + 1)
    start(bed, server, second, 1, other=0, limit=WITHOUT_LIMIT)
    caller = bed.peer(server, VECTORS)

    expected = [[0] * VECTORS, [0] * VECTORS]
    for vector in (1, 2, 0):
        expected[0][vector] = DOORBELLS + 1  # one is the caller's
        expected[1][vector] = DOORBELLS
        caller.ring(0, vector)
        bed.wait(f"{DOORBELLS} doorbells of vector {vector}",
                 lambda: counts(server, 0)[vector] > DOORBELLS, 30.0)
        assert [counts(server, 0), counts(server, 1)] == expected


@pytest.mark.parametrize("board", BOARDS)
def test_linux_rings_each_vector_of_a_board(bed: Testbed, board: str) -> None:
    server = bed.server(vectors=VECTORS)
    start(bed, server, board, 0, other=1, limit=WITHOUT_LIMIT)

    linux = bed.linux(" ; ".join(f"ivshmem ping 0 {DOORBELLS} {vector}"
                                 for vector in (1, 2, 0)),
                      server, vectors=VECTORS)
    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))

    assert linux.count(f"^peer 0 answered {DOORBELLS} of {DOORBELLS} "
                       "doorbells, ") == VECTORS
    assert counts(server, 0) == [DOORBELLS] * VECTORS
