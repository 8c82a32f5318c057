# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver, compiled as C99 and C++11 and run on the host."""

import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts

HERE = Path(__file__).parent
TOP = artifacts.CHECKOUT
SECONDS = 60.0

COMPILERS = [f"{compiler} -std={standard} -x {language}"
             for language, compilers, standards in (
                 ("c", ("gcc", "clang"), ("c99", "c11")),
                 ("c++", ("g++", "clang++"), ("c++11", "c++20")))
             for compiler in compilers for standard in standards]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O2"]


@pytest.mark.parametrize("program", [
    "driver.c", "fifo.c", "fifo.c -DOTHER_ORDER", "names.c",
    "names.c -DOTHER_ORDER", "order.c", "rpmsg.c"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_unit(compiler: str, program: str, tmp_path: Path) -> None:
    built = tmp_path / "test"
    source, *options = program.split()
    subprocess.run([*compiler.split(), *STRICT, *options,
                    f"-I{TOP / 'guest'}", HERE / source, "-o", built],
                   check=True, timeout=SECONDS)

    run = subprocess.run([built], capture_output=True, text=True,
                         timeout=SECONDS)

    assert (run.stdout, run.returncode) == ("", 0)
