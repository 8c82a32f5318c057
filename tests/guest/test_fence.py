# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fence the driver uses with each compiler. Only the macros of the
compilers are simulated, as most of them are not available here."""

import re
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts

GUEST = artifacts.CHECKOUT / "guest"
SECONDS = 60.0

STANDARD = ("stdbool.h", "stddef.h", "stdint.h")
INTRINSICS = "intrinsics_of_iar"

DMB = '__asm__ volatile("dmb sy" : : : "memory")'
CMSIS = "__CMSIS_COMPILER_H"
ARM_7M = ("__arm__", "__ARM_ARCH=7", "__ARM_ARCH_PROFILE='M'")
ARM_6M = ("__arm__", "__ARM_ARCH=6", "__ARM_ARCH_PROFILE='M'")
ARM_6 = ("__arm__", "__ARM_ARCH=6")


def preprocess(folder: Path,
               *macros: str) -> "subprocess.CompletedProcess[str]":
    """Preprocesses the driver with only the macros and headers that such a
    compiler has."""
    for header in STANDARD:
        (folder / header).touch()
    (folder / "intrinsics.h").write_text(f"{INTRINSICS}\n")
    return subprocess.run(
        ["gcc", "-E", "-P", "-undef", "-nostdinc", f"-I{folder}",
         *(f"-D{macro}" for macro in macros), GUEST / "ivshmem-flat.h"],
        capture_output=True, text=True, timeout=SECONDS)


@pytest.mark.parametrize("macros, fence", [
    pytest.param(macros, fence, id=name) for name, macros, fence in [
        ("gcc, Cortex-M3", ("__GNUC__", *ARM_7M), DMB),
        ("gcc, Cortex-M0", ("__GNUC__", *ARM_6M), DMB),
        ("gcc, ARM1176", ("__GNUC__", *ARM_6),
         "__atomic_thread_fence(__ATOMIC_SEQ_CST)"),
        ("gcc, AArch64", ("__GNUC__", "__aarch64__"), DMB),
        ("gcc, RISC-V", ("__GNUC__", "__riscv"),
         '__asm__ volatile("fence iorw, iorw" : : : "memory")'),
        ("gcc, LEON", ("__GNUC__", "__sparc__"),
         '__asm__ volatile("ldstub [%%sp - 1], %%g0" : : : "memory")'),
        ("gcc, x86", ("__GNUC__", "__x86_64__"),
         "__atomic_thread_fence(__ATOMIC_SEQ_CST)"),
        ("clang, with CMSIS", ("__GNUC__", "__clang__", *ARM_7M, CMSIS), DMB),
        ("Arm Compiler 6", ("__GNUC__", "__clang__", *ARM_7M,
                            "__ARMCC_VERSION=6190004"), DMB),
        ("IAR, with CMSIS", ("__ICCARM__", CMSIS), "__DMB()"),
        ("IAR", ("__ICCARM__",), "__DMB()"),
        ("Arm Compiler 5", ("__CC_ARM", "__ARMCC_VERSION=5060750"),
         "(__memory_changed(), __dmb(0xF), __memory_changed())"),
        ("Arm Compiler 5, --gnu", ("__CC_ARM", "__GNUC__", "__arm__"),
         "(__memory_changed(), __dmb(0xF), __memory_changed())"),
        ("Arm Compiler 5, with CMSIS", ("__CC_ARM", CMSIS), "__DMB()"),
        ("any, with CMSIS", (CMSIS,), "__DMB()"),
        ("any, with a fence of its own", ("IVSHMEM_FLAT_FENCE()=my_fence()",),
         "my_fence()"),
        ("gcc, with a fence of its own",
         ("__GNUC__", *ARM_7M, "IVSHMEM_FLAT_FENCE()=my_fence()"),
         "my_fence()"),
    ]])
def test_fence(macros: tuple[str, ...], fence: str, tmp_path: Path) -> None:
    done = preprocess(tmp_path, *macros)

    assert done.stderr == ""
    body = re.search(r"ivshmem_flat_barrier\(void\)\s*{\s*(.*);\s*}",
                     done.stdout)
    assert body and body[1] == fence
    # CMSIS must not be included after IAR's own header.
    assert (INTRINSICS in done.stdout) == (macros == ("__ICCARM__",))


def test_unknown_compiler_gets_advice(tmp_path: Path) -> None:
    done = preprocess(tmp_path)

    assert done.returncode != 0
    assert ("#error \"Unknown compiler: before you include ivshmem-flat.h, "
            "include CMSIS-Core or define IVSHMEM_FLAT_FENCE() as a full "
            "memory barrier for CPU and compiler\"") in done.stderr
