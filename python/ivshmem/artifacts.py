# SPDX-License-Identifier: Apache-2.0
"""Where the programs and images come from."""

import os
import shutil
from pathlib import Path

from .process import TestbedError

CHECKOUT = Path(__file__).resolve().parents[2]


def qemu_system(target: str) -> Path:
    """The QEMU that was built for one of QEMU's targets."""
    targets = "" if target == "arm" else f' TARGETS="arm {target}"'
    return _program(*_qemu_system(target), f"run `make qemu{targets}`")


def is_built(target: str) -> bool:
    """Whether there is a QEMU for this target of QEMU's."""
    variable, path = _qemu_system(target)
    return Path(os.environ.get(variable) or path).exists()


def qemu_system_aarch64() -> Path:
    """The system's own: of it all that is needed is the PCI device."""
    name = "qemu-system-aarch64"
    return _program("QEMU_SYSTEM_AARCH64", Path(shutil.which(name) or name),
                    "run `make linux`")


def runs_stock() -> bool:
    """Whether that is Debian's QEMU, with the device preloaded."""
    path = os.environ.get("QEMU_SYSTEM_ARM", CHECKOUT / "build/qemu-system-arm")
    return Path(path).resolve().name == "stock-qemu-system-arm"


def ivshmem_server() -> Path:
    return _program("IVSHMEM_SERVER", CHECKOUT / "build/ivshmem-server",
                    "run `make qemu`")


def firmware(board: str, name: str) -> Path:
    """The image that guest/Makefile builds of one program for one board."""
    image = CHECKOUT / "build" / "firmware" / board / f"{name}.elf"
    if not image.is_file():
        raise TestbedError(f"{image} is missing: run `make firmware`, with the"
                           " TARGETS that `make qemu` was given")
    return image


def linux(name: str) -> Path:
    """A file of the Linux guest that scripts/build-linux makes."""
    file = CHECKOUT / "build" / "linux" / name
    if not file.is_file():
        raise TestbedError(f"{file} is missing: run `make linux`")
    return file


def zephyr(board: str, program: str) -> Path:
    """The image that scripts/build-zephyr builds of one program for a board."""
    image = (CHECKOUT / "build" / "zephyr" / board / program / "zephyr" /
             "zephyr.elf")
    if not image.is_file():
        raise TestbedError(f"{image} is missing: run `make zephyr "
                           "ZEPHYR_BASE=/path/to/zephyr`")
    return image


def _qemu_system(target: str) -> tuple[str, Path]:
    """The variable that names it, and where it is if that is not set."""
    return (f"QEMU_SYSTEM_{target.upper()}",
            CHECKOUT / f"build/qemu-system-{target}")


def _program(variable: str, path: Path, remedy: str) -> Path:
    if override := os.environ.get(variable):
        path = Path(override).absolute()
        advice = f"{variable} names it: correct or unset {variable}"
    else:
        advice = f"{remedy}, or set {variable} to one of your own"
    if not os.access(path, os.X_OK) or path.is_dir():
        raise TestbedError(f"{path} is missing or not a program: {advice}")
    return path
