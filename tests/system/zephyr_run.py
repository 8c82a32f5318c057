# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs Zephyr programs as Zephyr's target "run" does."""

import re
import subprocess
from pathlib import Path

from ivshmem import Testbed, artifacts
from ivshmem.process import Process
from ivshmem.server import IvshmemServer


def wait_said(bed: Testbed, process: Process, pattern: str) -> None:
    bed.wait(f"{process.name} to say '{pattern}'",
             lambda: process.said(pattern))


def run_command(build: Path) -> list[str]:
    """QEMU's arguments in Zephyr's target "run" of this build directory, split
    by a shell, as ninja has it."""
    commands = subprocess.run(
        ["ninja", "-C", build, "-t", "commands", "run"],
        check=True, capture_output=True, text=True).stdout
    command, = re.findall(r"&& \S*qemu-system-\w+ (.*)$", commands,
                          re.MULTILINE)
    return subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"],
        check=True, capture_output=True, text=True).stdout.split("\0")[:-1]


def build_directory(board: str, program: str) -> Path:
    """The directory where scripts/build-zephyr builds this program."""
    return artifacts.zephyr(board, program).parents[1]


def run(bed: Testbed, build: Path, server: IvshmemServer,
        qemu: Path | None = None) -> Process:
    """Runs the target "run", with this server, and with the QEMU under test
    unless another one is given."""
    pid_file = bed.directory() / "qemu.pid"
    argv = [word.replace("/tmp/ivshmem_socket", str(server.socket))
            .replace("qemu.pid", str(pid_file))
            for word in run_command(build)]
    process = bed.program("run", [
        str(qemu or artifacts.qemu_system("arm")), *argv])
    process.expect_error("terminating on signal 15 from pid")
    return process
