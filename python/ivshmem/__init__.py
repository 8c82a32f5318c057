# SPDX-License-Identifier: Apache-2.0
"""Starts servers, guests and host peers, for tests, demos and measurements.

Begin with Testbed (testbed.py), which starts all of them. The other files:

process.py       a child process whose output is kept by line
server.py        ivshmemd, or QEMU's ivshmem-server
memory.py        the shared memory, mapped on the host
machine.py       a QEMU machine with a console
boards.py        the device's addresses and interrupt lines on each board
board.py         a machine with an ivshmem-flat device and firmware
zephyr.py        a board that runs Zephyr
linux.py         a machine that runs Linux, with a PCI device
qmp.py           QEMU's monitor protocol
eventfd.py       eventfds, which are used as doorbells
peer.py          a peer on the host, without a VM
fake_server.py   a server that sends whatever a test wants
pytest_plugin.py fixtures for tests of your own firmware
demo.py          the demo: guests that run guest/demo/member.c
run.py           the command ivshmem-run: a server and boards
run_options.py   its command line
screen.py        the consoles of all machines on one terminal
command.py       signals and exit status of commands that start a testbed
soak.py          the soak test: boards that run guest/tests/soak.c
traces.py        reads traces of QEMU and logs of the server
timeline.py      the command ivshmem-timeline, which merges them
timeline_json.py a timeline for ui.perfetto.dev and chrome://tracing
timeline_svg.py  a timeline as a picture
procfs.py        what /proc says about a running process
artifacts.py     finds QEMU, the server and the firmware
version.py       the project's version
"""

from .process import TestbedError
from .testbed import Testbed

__all__ = ["Testbed", "TestbedError"]
