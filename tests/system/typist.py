# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest with `ivshmem-rpmsg pty`, and typist.c, which types there."""

import subprocess
from pathlib import Path

from ivshmem import Testbed, artifacts
from ivshmem.linux import LinuxGuest, doorbell_device
from ivshmem.server import IvshmemServer

LINK = "/dev/board"


def start_typist(bed: Testbed, server: IvshmemServer, folder: Path, service: str,
                 vectors: int = 1) -> LinuxGuest:
    """Starts the guest. A second archive in its initramfs has the program."""
    program = folder / "typist"
    subprocess.run(
        ["aarch64-linux-gnu-gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2",
         "-static", Path(__file__).with_name("typist.c"), "-o", program], check=True)
    (folder / "mtree").write_text(
        f"#mtree\n./bin/typist type=file mode=0755 contents={program}\n")
    archive = subprocess.run(
        ["bsdtar", "--format=newc", "-cf", "-", f"@{folder / 'mtree'}"],
        check=True, capture_output=True).stdout
    initramfs = folder / "initramfs"
    initramfs.write_bytes(artifacts.linux("initramfs").read_bytes() + archive)

    linux = bed.linux(
        f"typist ivshmem-rpmsg pty {service} {LINK}", server,
        device=[*doorbell_device(server.socket, vectors),
                "-initrd", str(initramfs)])
    # Anything typed earlier would be lost.
    bed.wait("the terminal's name",
             lambda: linux.said("^/dev/pts/0 is the terminal$"))
    return linux


def types_and_reads(bed: Testbed, linux: LinuxGuest, text: str) -> None:
    """Types a text to a board that sends it back, and waits for that."""
    linux.type(f"type {text}")
    bed.wait("the board's answer",
             lambda: linux.count(f"^typist: reads {text}$") == 1)


def opens(bed: Testbed, linux: LinuxGuest) -> None:
    before = linux.count("^typist: opened$")
    linux.type(f"open {LINK}")
    bed.wait("the terminal to be opened",
             lambda: linux.count("^typist: opened$") > before)


def closes(bed: Testbed, linux: LinuxGuest) -> None:
    before = linux.count("^typist: closed$")
    linux.type("close")
    bed.wait("the terminal to be closed",
             lambda: linux.count("^typist: closed$") > before)


def ends(bed: Testbed, linux: LinuxGuest) -> None:
    """Ends ivshmem-rpmsg. Its link in /dev must go away."""
    linux.type(f"end {LINK}")
    bed.wait("the program to end", lambda: linux.said(
        "^typist: ended by signal 15, the terminal is gone$"))
