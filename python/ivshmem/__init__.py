# SPDX-License-Identifier: Apache-2.0
"""Real servers, real guests and real peers, for tests, demos and measurements.

Testbed (testbed.py) starts processes and waits for what they do:

process.py       a child process, its output kept line by line
server.py        ivshmemd, or QEMU's ivshmem-server
memory.py        the shared memory as the host sees it
machine.py       a QEMU machine whose guest writes to a console
boards.py        where each board has room for the device
board.py         one with an ivshmem-flat device and firmware
zephyr.py        one that runs Zephyr
linux.py         one with Linux and a PCI device
qmp.py           QEMU's monitor protocol
eventfd.py       eventfds, which doorbells are
peer.py          a peer on bare eventfds, speaking the server's protocol
fake_server.py   a server that says whatever a test tells it to say
pytest_plugin.py fixtures for tests of your own firmware
demo.py          the demo: guests that run guest/demo/member.c
run.py           the command ivshmem-run: a server and boards
screen.py        the consoles of all machines on one terminal
command.py       how a command that starts a testbed ends
soak.py          the soak test: boards that run guest/tests/soak.c
traces.py        what QEMU's traces and the server tell of a run
timeline.py      one timeline of them: the command ivshmem-timeline
timeline_json.py it for ui.perfetto.dev and chrome://tracing
timeline_svg.py  it as a picture
procfs.py        what the kernel tells about a running process
artifacts.py     where QEMU, the server and the firmware are found
"""

from .process import TestbedError
from .testbed import Testbed

__all__ = ["Testbed", "TestbedError"]
