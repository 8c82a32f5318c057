# SPDX-License-Identifier: GPL-2.0-or-later
"""The headers for users' programs compile everywhere."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts

GUEST = artifacts.CHECKOUT / "guest"
SECONDS = 60.0

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror",
          "-fsyntax-only"]
BARE = "-ffreestanding -nostdlib"

# These compilers are installed only for TARGETS other than arm.
OTHERS = ("riscv64-unknown-elf-gcc", "sparc64-linux-gnu-gcc")


@pytest.mark.parametrize("header", [
    "ivshmem-fifo.h", "ivshmem-flat.h", "ivshmem-names.h", "demo/protocol.h",
    "demo/member.h"])
@pytest.mark.parametrize("compiler", [
    f"arm-none-eabi-gcc -std=c99 -mcpu=cortex-m0 {BARE}",
    f"arm-none-eabi-gcc -std=c99 -mcpu=cortex-m33 {BARE}",
    f"arm-none-eabi-gcc -std=c99 -mcpu=arm1176jzf-s {BARE}",
    f"arm-none-eabi-gcc -std=c99 -mcpu=cortex-a7 {BARE}",
    f"arm-none-eabi-g++ -std=c++11 -mcpu=cortex-m3 {BARE}",
    "gcc -std=c99", "gcc -std=c11", "clang -std=c99", "clang -std=c11",
    "g++ -std=c++11", "g++ -std=c++20", "clang++ -std=c++11",
    "clang++ -std=c++20",
    f"riscv64-unknown-elf-gcc -std=c99 -march=rv32imac -mabi=ilp32 {BARE}",
    f"sparc64-linux-gnu-gcc -std=c99 -m32 -mcpu=leon3 {BARE}",
])
def test_header_alone(header: str, compiler: str, tmp_path: Path) -> None:
    compile_including(header, compiler, tmp_path)


@pytest.mark.parametrize("compiler", [
    f"arm-none-eabi-gcc -std=c99 -mcpu=cortex-m3 {BARE}",
    f"arm-none-eabi-g++ -std=c++11 -mcpu=cortex-m3 {BARE}",
    "gcc -std=c99", "clang -std=c11", "clang++ -std=c++20",
    f"riscv64-unknown-elf-gcc -std=c99 -march=rv32imac -mabi=ilp32 {BARE}",
])
def test_rpmsg_header(compiler: str, tmp_path: Path) -> None:
    """It compiles for little-endian CPUs only."""
    compile_including("ivshmem-rpmsg.h", compiler, tmp_path)


@pytest.mark.parametrize("compiler", [
    "aarch64-linux-gnu-gcc -std=gnu99", "aarch64-linux-gnu-gcc -std=gnu17",
    "gcc -std=gnu99"])
def test_linux_header(compiler: str) -> None:
    compile_strictly(GUEST / "linux/ivshmem-pci.h", compiler)


def compile_including(header: str, compiler: str, folder: Path) -> None:
    source = folder / "source.c"
    source.write_text(f'#include "{header}"\n')
    compile_strictly(source, compiler)


def compile_strictly(file: Path, compiler: str) -> None:
    command = compiler.split()
    if command[0] in OTHERS and not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}: `make firmware TARGETS=\"arm riscv32 "
                    "sparc\"` installs it")
    language = "c++" if command[0].endswith("++") else "c"

    done = subprocess.run(
        [*command, *STRICT, f"-I{GUEST}", "-x", language, file],
        capture_output=True, text=True, timeout=SECONDS)

    assert (done.returncode, done.stderr) == (0, "")
