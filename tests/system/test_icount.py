# SPDX-License-Identifier: GPL-2.0-or-later
"""Atomic instructions with -icount.

The boards run guest/tests/atomic-register.c and atomics.c.
"""

import pytest

from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS, usual_device

ICOUNT = ("-icount", "shift=6")


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.skipif(artifacts.is_stock(artifacts.qemu_system("arm")),
                    reason="needs the fix in accel/tcg, which Debian's QEMU lacks")
def test_register(bed: Testbed, board: str) -> None:
    server = bed.server()

    running = bed.board(board, "atomic-register", device=(
        *usual_device(board, server.socket), *ICOUNT))

    bed.wait("the additions to finish", lambda: running.said(
        "^atomic-register: ok intrmask=1000$"))


def test_shared_memory(bed: Testbed) -> None:
    server = bed.server()

    boards = [bed.board(board, "atomics", device=(
        *usual_device(board, server.socket), *ICOUNT)) for board in BOARDS]
    for board in boards:
        bed.wait(f"{board.name} to add up",
                 lambda: board.said("^atomics: ok added=100000$"))

    assert server.memory.word(0) == 200_000
