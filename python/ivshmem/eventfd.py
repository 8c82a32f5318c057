# SPDX-License-Identifier: Apache-2.0
"""Eventfds: see eventfd(2).

The "type: ignore" comments are for older releases of mypy.
"""

import os


def create(*, semaphore: bool = False) -> int:
    """A new non-blocking eventfd. A read takes 1 from a semaphore."""
    flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC  # type: ignore[attr-defined]
    if semaphore:
        flags |= os.EFD_SEMAPHORE  # type: ignore[attr-defined]
    return int(os.eventfd(0, flags))  # type: ignore[attr-defined]


def write(fd: int, value: int = 1) -> None:
    os.eventfd_write(fd, value)  # type: ignore[attr-defined]


def read(fd: int) -> int:
    return int(os.eventfd_read(fd))  # type: ignore[attr-defined]
