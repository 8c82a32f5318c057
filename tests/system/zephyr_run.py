# SPDX-License-Identifier: GPL-2.0-or-later
"""Zephyr programs as Zephyr's own target "run" starts them."""

import re
import subprocess

from ivshmem import Testbed, artifacts
from ivshmem.process import Process
from ivshmem.server import IvshmemServer


def wait_said(bed: Testbed, process: Process, pattern: str) -> None:
    bed.wait(f"{process.name} to say '{pattern}'",
             lambda: process.said(pattern))


def run_command(board: str, program: str) -> list[str]:
    """What Zephyr's target "run" gives QEMU, for the image that is tested: as the
    shell that ninja calls takes it apart."""
    image = artifacts.zephyr(board, program)
    commands = subprocess.run(
        ["ninja", "-C", image.parents[1], "-t", "commands", "run"],
        check=True, capture_output=True, text=True).stdout
    command, = re.findall(r"&& \S*qemu-system-arm (.*)$", commands,
                          re.MULTILINE)
    return subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"],
        check=True, capture_output=True, text=True).stdout.split("\0")[:-1]


def run(bed: Testbed, board: str, program: str,
        server: IvshmemServer) -> Process:
    """The target "run" on this bed's server, and on the QEMU that is tested."""
    pid_file = bed.directory() / "qemu.pid"
    argv = [word.replace("/tmp/ivshmem_socket", str(server.socket))
            .replace("qemu.pid", str(pid_file))
            for word in run_command(board, program)]
    process = bed.program("run", [str(artifacts.qemu_system("arm")), *argv])
    process.expect_error("terminating on signal 15 from pid")
    # Zephyr gives the board's Ethernet nothing to talk to.
    process.expect_error("warning: nic .* has no peer")
    return process
