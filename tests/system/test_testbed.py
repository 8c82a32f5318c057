# SPDX-License-Identifier: GPL-2.0-or-later
"""What the other tests take for granted of their testbed."""

import os
import signal

import pytest

from ivshmem import Testbed, TestbedError


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGTRAP])
def test_no_crash_goes_unseen(number: signal.Signals) -> None:
    """Not even one that nothing waits for any more."""
    with pytest.raises(TestbedError, match=f"was killed by {number.name}"):
        with Testbed() as bed:
            board = bed.board("mps2-an385", "first-ring", bed.server())
            bed.wait("the board to listen", lambda: board.said("listening"))
            os.kill(board.pid, number)
            os.waitid(os.P_PID, board.pid, os.WEXITED | os.WNOWAIT)
