# SPDX-License-Identifier: GPL-2.0-or-later
"""Real servers, real guests and real peers, for whole-VM tests and the demo.

Testbed (bed.py) starts the parts and waits for what they do. The parts:

process.py   a child process, its output kept line by line
server.py    ivshmem-server and the shared memory it hands out
machine.py   a QEMU machine whose guest writes to a console
board.py     one with an ivshmem-flat device and firmware
zephyr.py    one that runs Zephyr
linux.py     one with Linux and the PCI device
qmp.py       QEMU's monitor protocol
peer.py      a peer on bare eventfds, speaking the server's protocol
demo.py      the demo: guests that run guest/demo-member.c
member.py    a member of the demo that is no guest
soak.py      the soak test: boards that run guest/tests/soak.c, disturbed
hostile.py   a server that says whatever a test wants it to say
ordeal.py    what a hostile server does to a VM, and how the VM has to take it
errands.py   the host's side of guest/tests/errands.c, for such a VM
vitals.py    what the kernel tells of a running process
parts.py     where QEMU, the server and the firmware are found
"""

from .bed import Testbed
from .process import TestbedError

__all__ = ["Testbed", "TestbedError"]
