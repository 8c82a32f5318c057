# SPDX-License-Identifier: Apache-2.0
"""An aarch64 Linux guest with one of QEMU's PCI devices, ivshmem-doorbell or
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
START_NOTE = "needs about 10 s to start"

# VFIO needs an IOMMU, and the IOMMU needs a GIC whose ITS it can map.
WITH_IOMMU = "virt,gic-version=3,iommu=smmuv3"
WITHOUT_IOMMU = "virt"


def doorbell_device(server_socket: Path, vectors: int = 1) -> list[str]:
    """QEMU options for a client of the server."""
    return [*client_chardev(server_socket, "iv"),
            "-device", f"ivshmem-doorbell,chardev=iv,vectors={vectors}"]


def plain_device(memory: Path, size: int = 4 * MIB) -> list[str]:
    """QEMU options for this file as memory, without a server or doorbells.
    The size is that of the file, in bytes."""
    return ["-object", f"memory-backend-file,id=mem,mem-path={memory},"
            f"size={size},share=on",
            "-device", "ivshmem-plain,memdev=mem"]


def command_line(command: str, device: Sequence[str],
                 machine: str = WITH_IOMMU,
                 kernel_options: str = "") -> list[str]:
    """QEMU's command line without its consoles; arguments as for LinuxGuest.

    The machine has two CPUs because the demo uses atomic accesses: with one
    CPU, TCG does not make them atomic for other processes."""
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

    Its first process runs `command`, a program with its arguments, or several
    separated by " ; ", and then powers off. If it `stays`, QEMU keeps running
    until it is stopped. `kernel_options` are for the kernel's command line.
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
