# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards with QEMU's own ivshmem-flat, if it has one."""

from __future__ import annotations

from pathlib import Path

from board import BOARD
from ivshmem import Testbed, TestbedError, artifacts
from ivshmem.board import Board
from ivshmem.memory import MIB
from ivshmem.server import IvshmemServer

THEIRS = "QEMU's own ivshmem-flat"

# As in hw/arm/ivshmem-flat-testboard.c.
MEMORY_BYTES = 1 * MIB


def _reference() -> Path | None:
    """The QEMU with this device, if build-reference could make one."""
    try:
        program = artifacts.qemu_build() / "reference/qemu-system-arm"
    except TestbedError:
        return None
    return program if program.exists() else None


REFERENCE = _reference()


def their_board(bed: Testbed, server: IvshmemServer, program: str,
                paused: bool = False) -> Board:
    """The server's memory must have MEMORY_BYTES."""
    return bed.board(BOARD, program, qemu=REFERENCE, paused=paused, device=[
        "-M", "ivshmem-flat-testboard",
        "-chardev", f"socket,path={server.socket},id=ivshmem"])
