# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks whether a doorbell was rung, without waiting."""

from ivshmem import eventfd


def is_rung(fd: int) -> bool:
    try:
        return eventfd.read(fd) > 0
    except BlockingIOError:
        return False
