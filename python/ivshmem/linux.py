# SPDX-License-Identifier: Apache-2.0
"""A Linux guest on aarch64 with one of QEMU's PCI devices, ivshmem-doorbell or
ivshmem-plain."""

import re
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue

from . import artifacts
from .machine import Machine, client_chardev
from .memory import MIB
from .process import News

LINUX = "linux"

# VFIO needs an IOMMU, and that one a GIC whose ITS it can map.
WITH_IOMMU = "virt,gic-version=3,iommu=smmuv3"
WITHOUT_IOMMU = "virt"


def doorbell_device(server_socket: Path, vectors: int = 1) -> list[str]:
    """A client of the server."""
    return [*client_chardev(server_socket, "iv"),
            "-device", f"ivshmem-doorbell,chardev=iv,vectors={vectors}"]


def plain_device(memory: Path, size: int = 4 * MIB) -> list[str]:
    """The memory alone, which is a file: no server, no doorbells. The size is
    the file's, in bytes."""
    return ["-object", f"memory-backend-file,id=mem,mem-path={memory},"
            f"size={size},share=on",
            "-device", "ivshmem-plain,memdev=mem"]


def command_line(command: str, device: Sequence[str],
                 machine: str = WITH_IOMMU,
                 kernel_options: str = "") -> list[str]:
    """QEMU's, save for where consoles go; the rest as for LinuxGuest.

    It has two CPUs, for the atomic access of the demo: TCG makes those of a
    machine with one only atomic for that machine."""
    return [str(artifacts.qemu_system_aarch64()), "-M", machine,
            "-cpu", "cortex-a53", "-smp", "2", "-m", "256M",
            "-nodefaults", "-no-user-config",
            "-kernel", str(artifacts.linux("kernel")),
            "-initrd", str(artifacts.linux("initramfs")),
            "-append",
            f"console=ttyAMA0 quiet {kernel_options} -- {command}",
            *device]


class LinuxGuest(Machine):
    """A running Linux with the programs of guest/linux.

    `command` is what its first process runs: a program and its arguments, or
    several with " ; " in between. Then the machine switches itself off, and
    its QEMU stays until it is stopped, if it `stays`. `kernel_options` are for
    the kernel.
    """

    FAILURE = re.compile(r"FAILED|^ivshmem(-rpmsg)?: |Kernel panic")

    def __init__(self, name: str, command: str, device: Sequence[str],
                 news: SimpleQueue[News], *,
                 machine: str = WITH_IOMMU,
                 kernel_options: str = "", stays: bool = True,
                 pass_fds: Sequence[int] = ()) -> None:
        super().__init__(
            name, LINUX,
            [*command_line(command, device, machine, kernel_options),
             *(["-no-shutdown"] if stays else [])], news, pass_fds)
