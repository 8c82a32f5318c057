# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest whose ivshmem-rpmsg has a terminal, and who types there: typist.c."""

import subprocess
from pathlib import Path

from ivshmem import Testbed, artifacts
from ivshmem.linux import LinuxGuest, doorbell_device
from ivshmem.server import IvshmemServer

LINK = "/dev/board"


def start_typist(bed: Testbed, server: IvshmemServer, folder: Path, service: str,
                 vectors: int = 1) -> LinuxGuest:
    """With its program in a second archive, which the kernel adds to the first."""
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
    # What is typed earlier, Linux does not hear.
    bed.wait("the terminal's name",
             lambda: linux.said("^/dev/pts/0 is the terminal$"))
    return linux


def types_and_reads(bed: Testbed, linux: LinuxGuest, text: str) -> None:
    """To a board that sends back each message."""
    linux.type(f"type {text}")
    bed.wait("the answer", lambda: linux.count(f"^typist: reads {text}$") == 1)


def opens(bed: Testbed, linux: LinuxGuest) -> None:
    before = linux.count("^typist: opened$")
    linux.type(f"open {LINK}")
    bed.wait("the terminal", lambda: linux.count("^typist: opened$") > before)


def closes(bed: Testbed, linux: LinuxGuest) -> None:
    before = linux.count("^typist: closed$")
    linux.type("close")
    bed.wait("the terminal to be closed",
             lambda: linux.count("^typist: closed$") > before)


def ends(bed: Testbed, linux: LinuxGuest) -> None:
    """The program and its link."""
    linux.type(f"end {LINK}")
    bed.wait("the program to end", lambda: linux.said(
        "^typist: ended by signal 15, the terminal is gone$"))
