# SPDX-License-Identifier: GPL-2.0-or-later
"""The board that guests are measured on, and its clock."""

from __future__ import annotations

BOARD = "mps2-an385"
TICKS_PER_US = 25  # BOARD_TICKS_HZ of guest/boards/board.h


def microseconds(ticks: int | str) -> float:
    return int(ticks) / TICKS_PER_US
