# SPDX-License-Identifier: GPL-2.0-or-later
"""C programs of the benchmark, compiled when needed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ivshmem import TestbedError, artifacts

SECONDS = 60.0


def compiled(name: str) -> Path:
    """The program of bench/NAME.c, compiled if it is out of date."""
    source = Path(__file__).with_name(f"{name}.c")
    program = artifacts.CHECKOUT / "build/bench" / name
    if (not program.exists() or
            program.stat().st_mtime < source.stat().st_mtime):
        program.parent.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror",
                            "-o", program, source], check=True,
                           capture_output=True, text=True, timeout=SECONDS)
        except (subprocess.CalledProcessError,
                subprocess.TimeoutExpired) as error:
            raise TestbedError(f"bench/{name}.c did not compile: {error}\n"
                               f"{error.stderr!s}") from error
    return program
