# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards with a Linux guest that has QEMU's PCI device, ivshmem-doorbell.

Linux runs the programs in guest/linux, the demo and `ivshmem`. It receives
doorbells as MSI-X interrupts, through VFIO.
"""

import re

import pytest

from ivshmem import Testbed, demo
from ivshmem.board import BOARDS, Board
from ring_on_command import RingCommands
from ivshmem.linux import LINUX, WITHOUT_IOMMU, LinuxGuest
from ivshmem.server import IvshmemServer

# Linux needs a few seconds to start, and many more on a busy host.
pytestmark = [pytest.mark.bed_seconds(120.0), pytest.mark.both_servers]

# A doorbell takes milliseconds, and rarely seconds.
RING_SECONDS = 15.0

PINGS = 1000
VECTORS = 4


def start_board(bed: Testbed, server: IvshmemServer, board: str,
                program: str) -> Board:
    """Starts a board and waits until it listens for doorbells."""
    running = bed.board(board, program, server)
    bed.wait(f"{board} to be up", lambda: running.said(
        rf"^{program}: (listening|ready) id=0$"))
    return running


def wait_listening(bed: Testbed, linux: LinuxGuest) -> int:
    """Waits until Linux listens for doorbells. Returns its ID."""
    return int(bed.wait("Linux to listen", lambda: linux.said(
        r"^id (\d+): listening, vectors: ")).group(1))


def vectors_rung(linux: LinuxGuest) -> list[int]:
    return [int(line.split()[1]) for line in linux.output
            if line.endswith("was rung")]


def wait_off(bed: Testbed, linux: LinuxGuest) -> None:
    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))


@pytest.mark.parametrize("first, second", [
    (BOARDS[0], LINUX), (LINUX, BOARDS[1])])
def test_linux_and_a_board_verify_each_other(bed: Testbed, first: str,
                                             second: str) -> None:
    """They exchange messages and blocks of 1 MiB, whichever starts first."""
    server = bed.server()

    members = demo.start(bed, server, [first, second], in_order=True)
    demo.finish(bed, members)

    demo.check_course(server, members)


def test_a_thousand_doorbells_each_way(bed: Testbed) -> None:
    """One at a time: if one is lost, the test times out."""
    server = bed.server()
    board = start_board(bed, server, BOARDS[1], "echo")
    server.memory.set_words(0, 1 << 16)

    linux = bed.linux(f"ivshmem ping 0 {PINGS}", server)

    wait_off(bed, linux)
    assert linux.said(f"^peer 0 answered {PINGS} of {PINGS} doorbells, ")
    assert server.memory.word(4) == PINGS, "doorbells heard by the board"


def test_board_rings_each_vector_of_linux(bed: Testbed) -> None:
    server = bed.server(vectors=VECTORS)
    board = start_board(bed, server, BOARDS[1], "ring-on-command")
    caller = bed.peer(server, VECTORS)
    linux = bed.linux("ivshmem listen", server, vectors=VECTORS)
    linux_id = wait_listening(bed, linux)
    commands = RingCommands(server.memory)

    order = [2, 0, 3, 1]
    for number, vector in enumerate(order, 1):
        commands.order([(linux_id, vector)])
        caller.ring(0)
        bed.wait(f"{board.name} to ring vector {vector} of Linux",
                 commands.done, RING_SECONDS)
        bed.wait(f"Linux to hear vector {vector}",
                 lambda: len(vectors_rung(linux)) >= number, RING_SECONDS)
        assert vectors_rung(linux) == order[:number], "vectors heard by Linux"


def test_other_vectors_of_a_board_are_ignored(bed: Testbed) -> None:
    """The board has a line for vector 0 only. Doorbells to other vectors must
    not interrupt it or keep QEMU busy."""
    server = bed.server(vectors=VECTORS)
    board = start_board(bed, server, BOARDS[1], "first-ring")
    caller = bed.peer(server, VECTORS)

    linux = bed.linux("ivshmem ring 0 1 2 3", server, vectors=VECTORS,
                      machine=WITHOUT_IOMMU)
    wait_off(bed, linux)

    board.check_idle()
    assert board.count("doorbell") == 0
    caller.ring(0)
    bed.wait(f"{board.name} to hear vector 0",
             lambda: board.said("^first-ring: doorbell 1$"), RING_SECONDS)
    assert board.count("doorbell") == 1


def test_hears_where_no_driver_was_tried_before(bed: Testbed) -> None:
    """A PCI device joins its IOMMU group when the kernel first tries a driver.
    Debian 12's kernel does not try any by itself. Debian 13's tries
    virtio_pci, which is turned off here."""
    server = bed.server()

    linux = bed.linux("ivshmem listen 0", server,
                      kernel_options="initcall_blacklist="
                      "virtio_pci_driver_init")

    wait_off(bed, linux)
    assert linux.said("^id 0: listening, vectors: 1$")


def test_without_an_iommu(bed: Testbed) -> None:
    """Without an IOMMU, memory and ID work. Listening fails, as do wrong
    arguments, each with a message that says what to do."""
    server = bed.server()
    server.memory.write(0x100001, b"unaligned")

    linux = bed.linux(" ; ".join([
        "ivshmem info", "ivshmem read 0x100001 9",
        "ivshmem write 0x3ffffb right", "ivshmem listen 1",
        "ivshmem read 0x3fffff 2", "ivshmem ring 65536",
        "ivshmem -d 0000:00:09.0 info"]), server, machine=WITHOUT_IOMMU)
    linux.FAILURE = re.compile("panic")  # error messages are expected
    wait_off(bed, linux)

    assert linux.said("^own ID 0$") and linux.said("^memory 4194304 bytes$")
    assert linux.said("^unaligned")
    assert server.memory.read(0x3ffffb, 5) == b"right"
    assert [line for line in linux.output if line.startswith("ivshmem: ")] == [
        "ivshmem: 0000:00:01.0 is not behind an IOMMU, which VFIO needs for "
        "interrupts: add one to QEMU, such as -M virt,gic-version=3,"
        "iommu=smmuv3",
        "ivshmem: 2 bytes at 4194303 do not fit into the 4194304 bytes of "
        "shared memory",
        "ivshmem: PEER '65536' must be a number from 0 to 65535",
        "ivshmem: there is no PCI device 1af4:1110 at 0000:00:09.0"]
