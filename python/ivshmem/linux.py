# SPDX-License-Identifier: Apache-2.0
"""A Linux guest on aarch64 with QEMU's PCI device, ivshmem-doorbell."""

import re
from pathlib import Path
from queue import SimpleQueue

from . import artifacts
from .machine import Machine
from .process import News

LINUX = "linux"

# VFIO needs an IOMMU, and that one a GIC whose ITS it can map.
WITH_IOMMU = "virt,gic-version=3,iommu=smmuv3"
WITHOUT_IOMMU = "virt"


class LinuxGuest(Machine):
    """A running Linux with the programs of guest/linux.

    `command` is what its first process runs: a program and its arguments, or
    several with " ; " in between. Then the machine switches itself off, and
    its QEMU stays until it is stopped. `kernel_options` are for the kernel.

    It has two CPUs, for the atomic access of the demo: TCG makes those of a
    machine with one only atomic for that machine.
    """

    FAILURE = re.compile(r"FAILED|^ivshmem: |Kernel panic")

    def __init__(self, name: str, command: str, server_socket: Path,
                 news: SimpleQueue[News], *, vectors: int = 1,
                 machine: str = WITH_IOMMU,
                 kernel_options: str = "") -> None:
        super().__init__(
            name, LINUX,
            [str(artifacts.qemu_system_aarch64()), "-M", machine,
             "-cpu", "cortex-a53", "-smp", "2", "-m", "256M",
             "-nodefaults", "-no-user-config", "-no-shutdown",
             "-kernel", str(artifacts.linux("kernel")),
             "-initrd", str(artifacts.linux("initramfs")),
             "-append",
             f"console=ttyAMA0 quiet {kernel_options} -- {command}",
             "-chardev", f"socket,path={server_socket},id=iv",
             "-device", f"ivshmem-doorbell,chardev=iv,vectors={vectors}"],
            news)
