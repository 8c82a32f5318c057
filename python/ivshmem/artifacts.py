# SPDX-License-Identifier: Apache-2.0
"""Finds programs and images.

Each build of QEMU has its own folder, build/qemu-*. If there are several, the
environment variable QEMU_BUILD selects one. Debian's QEMU with the device, which
`make demo` builds, is used only if there is no other. Other variables, such as
QEMU_SYSTEM_ARM, IVSHMEM_SERVER and IVSHMEMD, each name a single program.

If the package is installed, programs are looked up on PATH and in sbin, which
is not on every user's PATH. `make install` installs QEMU with the device as
qemu-system-arm-ivshmem, next to the system's own.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .process import TestbedError

CHECKOUT = Path(__file__).resolve().parents[2]
IS_INSTALLED = not (CHECKOUT / "scripts/build-qemu").exists()
SBIN = "/usr/local/sbin:/usr/sbin"


def qemu_build() -> Path:
    """The folder that QEMU_BUILD names, or the only build there is."""
    builds = _builds()
    if not builds:
        raise TestbedError(f"{CHECKOUT / 'build'} has no QEMU: run `make qemu`")
    if len(builds) > 1:
        names = [str(build.relative_to(CHECKOUT)) for build in builds]
        raise TestbedError(
            f"there are several builds of QEMU, {', '.join(names)}: choose one,"
            f" such as QEMU_BUILD={names[0]}")
    return builds[0]


def qemu_system(target: str) -> Path:
    """The QEMU that was built for a target, such as "arm"."""
    targets = "" if target == "arm" else f' TARGETS="arm {target}"'
    return _program(f"QEMU_SYSTEM_{target.upper()}",
                    _in_build(f"qemu-system-{target}"),
                    f"run `make qemu{targets}`")


def is_built(target: str) -> bool:
    """Whether a QEMU was built for this target."""
    if override := os.environ.get(f"QEMU_SYSTEM_{target.upper()}"):
        return Path(override).exists()
    return any((build / f"qemu-system-{target}").exists()
               for build in _builds())


def qemu_system_aarch64() -> Path:
    """The system's own QEMU, because only its PCI device is needed."""
    name = "qemu-system-aarch64"
    return _program("QEMU_SYSTEM_AARCH64",
                    lambda: Path(shutil.which(name) or name), "run `make linux`")


def is_stock(program: Path) -> bool:
    """Whether it runs the system's QEMU with the device preloaded."""
    return (program.resolve().parent / "ivshmem-flat-device.so").exists()


def ivshmem_server() -> Path:
    return _program("IVSHMEM_SERVER", _in_build("ivshmem-server"),
                    "run `make qemu`")


def ivshmemd() -> Path:
    return _program("IVSHMEMD", lambda: CHECKOUT / "build/server/ivshmemd",
                    "run `make server`")


def ivshmemctl() -> Path:
    return _program("IVSHMEMCTL", lambda: CHECKOUT / "build/server/ivshmemctl",
                    "run `make server`")


def firmware(board: str, name: str) -> Path:
    """The image of a program for a board, built by guest/Makefile."""
    image = CHECKOUT / "build" / "firmware" / board / f"{name}.elf"
    if not image.is_file():
        raise TestbedError(f"{image} is missing: run `make firmware` with the "
                           "same TARGETS as `make qemu`")
    return image


def linux(name: str) -> Path:
    """A file of the Linux guest that scripts/build-linux makes."""
    file = CHECKOUT / "build" / "linux" / name
    if not file.is_file():
        raise TestbedError(f"{file} is missing: run `make linux`")
    return file


def zephyr(board: str, program: str) -> Path:
    """The image of a program for a board, built by scripts/build-zephyr."""
    image = (CHECKOUT / "build" / "zephyr" / board / program / "zephyr" /
             "zephyr.elf")
    if not image.is_file():
        raise TestbedError(f"{image} is missing: run `make zephyr "
                           "ZEPHYR_BASE=/path/to/zephyr`")
    return image


def _builds() -> list[Path]:
    """The build that QEMU_BUILD names, or all that are not sanitized."""
    if named := os.environ.get("QEMU_BUILD"):
        return [Path(named).absolute()]
    programs = [program for program in
                (CHECKOUT / "build").glob("qemu-*/qemu-system-*")
                if not program.parent.name.endswith("-sanitized")]
    built = [program for program in programs if not is_stock(program)]
    return sorted({program.parent for program in built or programs})


def _in_build(name: str) -> Callable[[], Path]:
    return lambda: qemu_build() / name


def _installed(name: str) -> str | None:
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:{SBIN}")


def _program(variable: str, usual: Callable[[], Path], remedy: str) -> Path:
    """The program that the environment variable names, or the usual one."""
    if override := os.environ.get(variable):
        path = Path(override).absolute()
        advice = f"correct or unset {variable}"
    elif IS_INSTALLED and "QEMU_BUILD" not in os.environ:
        name = variable.lower().replace("_", "-")
        path = Path(_installed(f"{name}-ivshmem") or _installed(name) or name)
        advice = f"put it on PATH, or set {variable} to its path"
    else:
        path = usual()
        advice = f"{remedy}, or set {variable} to your own"
        if (named := os.environ.get("QEMU_BUILD")) and named in str(path):
            advice = f"correct QEMU_BUILD={named}, {advice}"
    if not os.access(path, os.X_OK) or path.is_dir():
        raise TestbedError(f"{path} is missing or not executable: {advice}")
    return path
