# SPDX-License-Identifier: GPL-2.0-or-later
"""The headers that people take into their own programs compile anywhere."""

import subprocess

import pytest

from boards import if_target
from ivshmem import artifacts

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror",
          "-fsyntax-only"]
BARE = ["-ffreestanding", "-nostdlib"]


@pytest.mark.parametrize("header", [
    "ivshmem-flat.h", "demo/protocol.h", "demo/member.h"])
@pytest.mark.parametrize("compiler", [
    ["arm-none-eabi-gcc", "-std=c99", "-mcpu=cortex-m0", *BARE],
    ["arm-none-eabi-gcc", "-std=c99", "-mcpu=cortex-m33", *BARE],
    ["arm-none-eabi-gcc", "-std=c99", "-mcpu=arm1176jzf-s", *BARE],
    ["arm-none-eabi-gcc", "-std=c99", "-mcpu=cortex-a7", *BARE],
    ["arm-none-eabi-g++", "-std=c++11", "-mcpu=cortex-m3", *BARE],
    ["cc", "-std=c99"],
    if_target("riscv32", ["riscv64-unknown-elf-gcc", "-std=c99",
                          "-march=rv32imac", "-mabi=ilp32", *BARE]),
    if_target("sparc", ["sparc64-linux-gnu-gcc", "-std=c99", "-m32",
                        "-mcpu=leon3", *BARE]),
], ids=" ".join)
def test_compiles_alone(header: str, compiler: list[str]) -> None:
    compile_strictly(header, compiler)


@pytest.mark.parametrize("compiler", [
    ["aarch64-linux-gnu-gcc", "-std=gnu99"],
    ["aarch64-linux-gnu-gcc", "-std=gnu17"],
    ["cc", "-std=gnu99"],
], ids=" ".join)
def test_linux_header_compiles(compiler: list[str]) -> None:
    compile_strictly("linux/ivshmem-pci.h",
                     [*compiler, f"-I{artifacts.CHECKOUT / 'guest'}"])


def compile_strictly(header: str, compiler: list[str]) -> None:
    language = "c++" if compiler[0].endswith("g++") else "c"

    result = subprocess.run(
        [*compiler, *STRICT, "-x", language,
         str(artifacts.CHECKOUT / "guest" / header)],
        capture_output=True, text=True)

    assert (result.returncode, result.stderr) == (0, "")
