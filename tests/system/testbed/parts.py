# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the programs and images come from."""

import os
from pathlib import Path

from .process import TestbedError

CHECKOUT = Path(__file__).resolve().parents[3]


def qemu_system_arm() -> Path:
    return _program("QEMU_SYSTEM_ARM", "qemu-system-arm")


def ivshmem_server() -> Path:
    return _program("IVSHMEM_SERVER", "ivshmem-server")


def firmware(board: str, name: str) -> Path:
    """The image that guest/Makefile builds of one program for one board."""
    image = CHECKOUT / "build" / "firmware" / board / f"{name}.elf"
    if not image.is_file():
        raise TestbedError(f"{image} is missing: run `make firmware`")
    return image


def _program(variable: str, name: str) -> Path:
    if override := os.environ.get(variable):
        path = Path(override).absolute()
        advice = f"{variable} names it: correct or unset {variable}"
    else:
        path = CHECKOUT / "build" / name
        advice = f"run `make qemu`, or set {variable} to one of your own"
    if not os.access(path, os.X_OK) or path.is_dir():
        raise TestbedError(f"{path} is missing or not a program: {advice}")
    return path
