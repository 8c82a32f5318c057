# SPDX-License-Identifier: GPL-2.0-or-later
"""Firmware reports a missing device.

On the lm3s6965evb, addresses without a device read as 0, which is also an ID.
"""

import pytest

from ivshmem import Testbed
from ivshmem.boards import CORTEX_M

BOARD = "lm3s6965evb"


@pytest.mark.parametrize("program", ["demo", "echo"])
def test_missing_device_is_noticed(bed: Testbed, program: str) -> None:
    board = bed.board(BOARD, program, device=[])

    bed.wait_for_failure(board, "FAILED no ivshmem-flat at "
                         f"{CORTEX_M.registers:#x}")
    # QEMU 7.2 logs each access to an address without a device.
    board.expect_error(f"^Invalid (read|write) at addr "
                       f"0x{CORTEX_M.registers + 4:X}, size 4,.*",
                       least=0, most=3)
