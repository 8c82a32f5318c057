# SPDX-License-Identifier: GPL-2.0-or-later
"""Zephyr's programs and ours, with the module in zephyr/.

scripts/build-zephyr builds the images. Zephyr's programs are unmodified, and
use only the snippets ivshmem-flat and ivshmem-flat-copy.
"""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from ivshmem import Testbed, artifacts, demo
from ivshmem.board import BOARDS, flat_device
from ring_on_command import RingCommands
from ivshmem.linux import LINUX
from ivshmem.memory import MIB
from ivshmem.process import Process, TestbedError
from ivshmem.server import memfd
from ivshmem.zephyr import ON_ZEPHYR
from zephyr_run import build_directory, run, run_command, wait_said

# Linux needs many seconds to start on a busy host.
pytestmark = [pytest.mark.zephyr, pytest.mark.bed_seconds(120.0)]

README = (artifacts.CHECKOUT / "zephyr" / "README.rst").read_text()
IVSHMEMCTL = re.findall(r"^ +FLAT/build/server/ivshmemctl (.*)$", README,
                        re.MULTILINE)

# Programs that scripts/build-zephyr builds
PROGRAMS = ("demo", "doorbell", "ipm_ivshmem", "ivshmem_flat", "ivshmem_mbox",
            "ivshmem_mbox_pcie", "plain")

# The part of the shared memory that the snippets give to programs
WINDOW_BYTES = 4 * MIB
COPIED_BYTES = 8192


@pytest.mark.parametrize("board", BOARDS)
def test_driver(bed: Testbed, board: str) -> None:
    """zephyr/tests/ivshmem_flat, which needs three devices and one that is
    missing."""
    server = bed.server(vectors=2)
    devices = [
        *flat_device(server.socket, more_lines=(25,)),
        *flat_device(server.socket, 0x400FF100, 0x61000000, 27),
        *flat_device(server.socket, 0x400FF200, 0x62000000, None)]

    running = bed.zephyr(board, "ivshmem_flat", server, devices)
    running.expect_error("warning: .*x-irq-qompath is not set")
    running.expect_error("DOORBELL rings vector 0 of peer 9: no such")
    running.expect_error("DOORBELL rings vector 65535 of peer 65535: no such")

    wait_said(bed, running, "^PROJECT EXECUTION SUCCESSFUL$")
    assert running.said(r"SUITE PASS - 100.00% .*fail = 0, skip = 0, ")
    assert running.said("ivshmem@400ff300: no ivshmem-flat at 0x400ff300, "
                        "IVPOSITION reads 0x0: ")


@pytest.mark.parametrize("board", BOARDS)
def test_mailbox(bed: Testbed, board: str) -> None:
    """zephyr/tests/ivshmem_mbox, which needs two devices."""
    server = bed.server(vectors=2)
    devices = [
        *flat_device(server.socket, more_lines=(25,)),
        *flat_device(server.socket, 0x400FF100, 0x61000000, 27,
                     more_lines=(26,))]

    running = bed.zephyr(board, "ivshmem_mbox", server, devices)

    wait_said(bed, running, "^PROJECT EXECUTION SUCCESSFUL$")
    assert running.said(r"SUITE PASS - 100.00% .*fail = 0, skip = 0, ")
    assert running.count("replaced-a: peer 1 also uses the name 'replaced', and has "
                         "the link now: stop one of the two guests") == 1


@pytest.mark.parametrize("board", BOARDS)
def test_plain(bed: Testbed, board: str) -> None:
    """tests/drivers/virtualization/ivshmem/plain. Without doorbells, the API
    returns ID 0, even if the device has another ID."""
    server = bed.server()
    bed.peer(server)

    running = bed.zephyr(board, "plain", server)

    wait_said(bed, running, "^PROJECT EXECUTION SUCCESSFUL$")
    assert running.said("ID 1, ")
    assert server.memory.word(0) == 8108


class Doorbell:
    """samples/drivers/virtualization/ivshmem/doorbell, which prints the text
    in shared memory at each doorbell."""

    def __init__(self, bed: Testbed, board: str) -> None:
        self.bed = bed
        self.server = bed.server()
        self.memory = self.server.memory
        self.board = bed.zephyr(board, "doorbell", self.server)
        wait_said(bed, self.board, "^Use write_shared_memory.sh")

    def hears(self, ring: Callable[[], None], what: str) -> None:
        before = self.board.count("^received IRQ")
        ring()
        self.bed.wait(f"the sample to receive {what}", lambda:
                      self.board.count("^received IRQ") > before)
        assert self.board.said(f"^received IRQ and {what}$")


@pytest.mark.parametrize("board", BOARDS)
def test_doorbell_sample_reads_from_end_to_end(bed: Testbed,
                                               board: str) -> None:
    sample = Doorbell(bed, board)
    peer = bed.peer(sample.server)
    last = COPIED_BYTES - 1

    for number in range(1, 4):
        sample.memory.write(0, f"hello {number}\0".encode())
        sample.hears(lambda: peer.ring(0), f"full message: hello {number}")
    sample.memory.write(last, b"\1")
    sample.hears(lambda: peer.ring(0), "truncated message: hello 3")
    sample.memory.write(last, b"\0\1")
    sample.memory.write(0, b"bye\0")
    sample.hears(lambda: peer.ring(0), "full message: bye")

    assert sample.board.count("^received IRQ") == 5
    sample.board.check_idle()


@pytest.mark.parametrize("board", BOARDS)
def test_readme_writes_while_a_board_runs(bed: Testbed, board: str) -> None:
    """The README's commands keep the memory's size. Zephyr's
    write_shared_memory.sh would truncate it first."""
    assert [arguments.split()[0] for arguments in IVSHMEMCTL] == ["write", "ring"]
    sample = Doorbell(bed, board)
    size = memfd(sample.server).stat().st_size

    def run_commands() -> None:
        for arguments in IVSHMEMCTL:
            subprocess.run(
                [artifacts.ivshmemctl(), "--server", sample.server.socket,
                 *shlex.split(arguments)], check=True)

    sample.hears(run_commands, "full message: hello world")
    assert memfd(sample.server).stat().st_size == size


@pytest.mark.skipif("ZEPHYR_BASE" not in os.environ,
                    reason="ZEPHYR_BASE is not set")
# The test builds the sample.
@pytest.mark.bed_seconds(1200.0)
@pytest.mark.timeout(1300)
def test_readme_from_an_empty_folder(bed: Testbed, tmp_path: Path) -> None:
    """The README's commands without west work up to the first message, with
    this test's QEMU and server."""
    section = README.split("to the first message\n***")[1].split("\n***")[0]
    toolchain = re.findall("^ +(export ZEPHYR_TOOLCHAIN.*)$", section, re.MULTILINE)
    build = re.findall(r"Without west.*?\n\n((?:   .*\n)+?) +ninja -C build run\n",
                       section, re.DOTALL)
    script = "\n".join([*toolchain, *build, "ninja -C build"])
    for name, path in (("FLAT/build/qemu-10.0", artifacts.qemu_system("arm").parent),
                       ("FLAT", artifacts.CHECKOUT),
                       ("ZEPHYR", Path(os.environ["ZEPHYR_BASE"]).resolve())):
        script = re.sub(rf"(?<=[\s=;\"]){name}(?=[/\s;\"])", str(path), script)

    built = subprocess.run(
        ["sh", "-euc", script], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={
            # Debian's Python has what Zephyr needs. Caches stay out of the home.
            "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path),
            "PYTHONPYCACHEPREFIX": str(tmp_path)})
    print(built.stdout)
    assert built.returncode == 0
    assert not re.search("^(CMake Warning|warning: )", built.stdout,
                         re.MULTILINE)
    server = bed.server()
    sample = run(bed, tmp_path / "build", server)

    wait_said(bed, sample, "^Use write_shared")
    for arguments in IVSHMEMCTL:
        subprocess.run([artifacts.ivshmemctl(), "--server", server.socket,
                        *shlex.split(arguments)], check=True)
    wait_said(bed, sample, "^received IRQ and full message: hello world$")


def test_readmes_have_a_build_directory_for_each_program() -> None:
    """Zephyr ignores other snippets in a directory that has been configured,
    and west refuses other programs."""
    text = README + (artifacts.CHECKOUT / "zephyr" / "samples" / "ipc_echo" /
                     "README.rst").read_text()
    directories = re.findall(r"^ +west build -d (\S+) -b ", text, re.MULTILINE)

    assert "build-host" in directories
    assert sorted(set(directories)) == sorted(directories)


def test_readme_has_a_manifest_for_west() -> None:
    """The manifest names its revision, as west's default is another branch."""
    manifest = README.split(".. code-block:: yaml\n")[1].split("\nThe")[0]
    assert re.search("^ +revision: main$", manifest, re.MULTILINE)


@pytest.mark.parametrize("board, program", product(BOARDS, ("demo", "plain")))
def test_user_mode_gets_the_memory_by_the_snippet_alone(board: str,
                                                        program: str) -> None:
    """Only programs built with the snippet get the memory region, and only on
    the board that has user mode."""
    config = artifacts.zephyr(board, program).with_name(".config").read_text()

    is_on = "\nCONFIG_IVSHMEM_FLAT_MPU_REGIONS=y\n" in config
    assert is_on == (board == "mps2-an385" and program == "plain")


@pytest.mark.parametrize("board", BOARDS)
def test_window_is_the_same_on_each_board(board: str) -> None:
    """The window has the same size on each board, so that programs find what
    others put at its end."""
    devicetree = artifacts.zephyr(board, "plain").with_name(
        "zephyr.dts").read_text()

    assert re.search(rf"reg = < 0x400ff000 0x10 >, < 0x60000000 "
                     f"{WINDOW_BYTES:#x} >;", devicetree)


@pytest.mark.parametrize("board", BOARDS)
def test_snippet_leaves_the_parents_of_its_samples_nodes(board: str) -> None:
    """The snippet deletes the PCIe device's node of Zephyr's samples. It must
    keep the parent, /pcie0, because a board may use that."""
    built = artifacts.zephyr(board, "plain").with_name("zephyr.dts")
    devicetree = built.read_text()

    assert re.search(r"^\tpcie0 \{\s*\};$", devicetree, re.MULTILINE)
    assert devicetree.count('"qemu,ivshmem"') == 1


@pytest.mark.parametrize("board", BOARDS)
def test_doorbell_sample_rung_before_it_listens(bed: Testbed,
                                                board: str) -> None:
    """A doorbell rung before the sample listens is not lost, although its
    README says that some are."""
    server = bed.server()
    peer = bed.peer(server)
    server.memory.write(0, b"early\0")
    sample = bed.zephyr(board, "doorbell", server, paused=True)
    peer.wait_for_peer(1, bed.remaining())

    peer.ring(1)
    sample.qmp.command("cont")

    wait_said(bed, sample, "^received IRQ and full message: early$")


@pytest.mark.parametrize("board, other", product(BOARDS, BOARDS))
def test_bare_metal_rings_doorbell_sample(bed: Testbed, board: str,
                                          other: str) -> None:
    sample = Doorbell(bed, board)
    bare_metal = bed.board(other, "ring-on-command", sample.server)
    wait_said(bed, bare_metal, "^ring-on-command: ready id=1$")
    host = bed.peer(sample.server)
    commands = RingCommands(sample.memory)
    host.wait_for_peer(1, bed.remaining())

    commands.order([(0, 0)])
    # The memory begins with the command's number.
    sample.hears(lambda: host.ring(1), "full message: \1")

    bed.wait("the command to be done", commands.done)
    assert sample.board.count("^received IRQ") == 1


@pytest.mark.parametrize("names", [BOARDS, BOARDS[::-1]])
def test_shell_and_ipm(bed: Testbed, names: tuple[str, str]) -> None:
    """samples/drivers/ipm/ipm_ivshmem, with the ivshmem shell."""
    server = bed.server()
    boards = [bed.zephyr(name, "ipm_ivshmem", server) for name in names]
    for board in boards:
        wait_said(bed, board, "Booting Zephyr")
    server.memory.write(0, b"in plain sight\0")

    for board in boards:
        board.type("ivshmem")
        wait_said(bed, board, "Shared memory: 0x60000000 of size "
                  f"{WINDOW_BYTES} bytes")
        wait_said(bed, board, "Notification vectors: 1")
        board.type("ivshmem dump 0 16")
        wait_said(bed, board, "69 6e 20 70 6c 61 69 6e")
    ids = {int(board.found(r"Peer id: (\d+)")[1]): board
           for board in boards}
    assert set(ids) == {0, 1}

    for number, board in ids.items():
        board.type(f"ivshmem_ipm_send {1 - number}")
        wait_said(bed, ids[1 - number],
                  "Received IPM notification over IVSHMEM")
    for board in boards:
        board.type("ivshmem get_notified 0")
        wait_said(bed, board, "Notifications enabled for vector 0")
    for number, board in ids.items():
        board.type(f"ivshmem int_peer {1 - number} 0")
        wait_said(bed, board, f"Notification sent to peer {1 - number}")
        wait_said(bed, ids[1 - number],
                  "Received a notification on vector 0")
    for board in boards:
        board.type("ivshmem get_notified 1")
        wait_said(bed, board, "Could not get notifications on vector 1")
        assert board.count("Received IPM notification") == 1
        assert board.count("Received a notification") == 1


@pytest.mark.parametrize("name", BOARDS)
def test_zephyr_with_pcie(bed: Testbed, name: str) -> None:
    """The same sample on a board and on qemu_cortex_a53, where it uses
    Zephyr's driver for the PCI device."""
    server = bed.server(vectors=2)
    board = bed.zephyr(name, "ipm_ivshmem", server)
    wait_said(bed, board, "Booting Zephyr")
    pcie = run(bed, build_directory("virt", "ipm_ivshmem"), server,
               artifacts.qemu_system_aarch64())
    wait_said(bed, pcie, "Booting Zephyr")

    for _ in range(3):
        for end, other, peer in ((pcie, board, 0), (board, pcie, 1)):
            before = other.count("Received IPM notification")
            end.type(f"ivshmem_ipm_send {peer}")
            bed.wait(f"{other.name} to hear a doorbell", lambda: (
                other.count("Received IPM notification") > before))


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("pcie_first", [True, False])
def test_mailbox_on_pcie(bed: Testbed, name: str, pcie_first: bool) -> None:
    """zephyr/tests/ivshmem_mbox_pcie on a board and on qemu_cortex_a53."""
    program = "ivshmem_mbox_pcie"
    try:
        pcie_build = build_directory("virt", program)
    except TestbedError as error:
        pytest.skip(str(error))
    server = bed.server(vectors=2)

    def start_pcie() -> Process:
        return run(bed, pcie_build, server, artifacts.qemu_system_aarch64())

    def start_board() -> Process:
        return bed.zephyr(name, program, server)

    order = [start_pcie, start_board]
    ends = [start() for start in (order if pcie_first else order[::-1])]

    for end in ends:
        wait_said(bed, end, "^PROJECT EXECUTION SUCCESSFUL$")
        assert end.said(r"SUITE PASS - 100.00% .*fail = 0, skip = 0, ")


def play_demo(bed: Testbed, *names: str, in_order: bool = True) -> None:
    server = bed.server()

    members = demo.start(bed, server, names, in_order)
    demo.finish(bed, members)

    demo.check_course(server, members)
    for member in members:
        member.check_idle()


@pytest.mark.parametrize("first, second", product(BOARDS, BOARDS))
def test_demo_between_zephyrs(bed: Testbed, first: str, second: str) -> None:
    play_demo(bed, ON_ZEPHYR + first, ON_ZEPHYR + second)


@pytest.mark.parametrize("zephyr_first", [True, False])
@pytest.mark.parametrize("board, bare_metal", product(BOARDS, BOARDS))
def test_demo_with_bare_metal(bed: Testbed, board: str, bare_metal: str,
                              zephyr_first: bool) -> None:
    pair = [ON_ZEPHYR + board, bare_metal]

    play_demo(bed, *(pair if zephyr_first else pair[::-1]))


def test_demo_of_three_at_once(bed: Testbed) -> None:
    play_demo(bed, ON_ZEPHYR + BOARDS[0], BOARDS[1], ON_ZEPHYR + BOARDS[1],
              in_order=False)


@pytest.mark.parametrize("first, second", [
    (ON_ZEPHYR + BOARDS[0], LINUX), (LINUX, ON_ZEPHYR + BOARDS[1])])
def test_demo_with_linux(bed: Testbed, first: str, second: str) -> None:
    """Linux has the PCI device, and gets doorbells as MSI-X interrupts."""
    play_demo(bed, first, second)


@pytest.mark.parametrize("board", BOARDS)
def test_linux_rings_doorbell_sample(bed: Testbed, board: str) -> None:
    sample = Doorbell(bed, board)

    bed.linux("ivshmem write 0 greetings ; ivshmem ring 0",
                      sample.server)

    wait_said(bed, sample.board,
              "^received IRQ and full message: greetings$")


@pytest.mark.parametrize("board", BOARDS)
def test_target_run(bed: Testbed, board: str) -> None:
    """Zephyr's target "run" gives QEMU the device, which works."""
    server = bed.server()
    peer = bed.peer(server)

    sample = run(bed, build_directory(board, "doorbell"), server)

    wait_said(bed, sample, "^Use write_shared")
    server.memory.write(0, b"by run\0")
    peer.wait_for_peer(1, bed.remaining())
    peer.ring(1)
    wait_said(bed, sample, "^received IRQ and full message: by run$")


@pytest.mark.parametrize("board", BOARDS)
def test_target_run_takes_its_time(bed: Testbed, board: str) -> None:
    """The guest's clock runs at the speed of real time."""
    shell = run(bed, build_directory(board, "ipm_ivshmem"), bed.server())
    wait_said(bed, shell, "Booting Zephyr")

    def uptime(number: int) -> float:
        shell.type("kernel uptime")
        bed.wait(f"uptime {number}",
                 lambda: shell.count(r"Uptime: \d+ ms") >= number)
        return time.monotonic()

    before = uptime(1)
    shell.type("kernel sleep 2000")
    assert uptime(2) - before > 1.9


@pytest.mark.parametrize("board, program", product(BOARDS, PROGRAMS))
def test_target_run_has_no_icount(board: str, program: str) -> None:
    assert "-icount" not in run_command(build_directory(board, program))


@pytest.mark.parametrize("board", BOARDS)
def test_target_run_has_the_devices_that_are_enabled(board: str) -> None:
    command = run_command(build_directory(board, "ivshmem_flat"))

    ids = [match[1] for word in command
           if (match := re.match("ivshmem-flat,id=([^,]*),", word))]
    assert ids == [f"ivshmem-400ff{number}00" for number in range(4)]
    assert not any(word.startswith("ivshmem-doorbell") for word in command)


@pytest.mark.parametrize("board", BOARDS)
def test_target_run_has_a_line_for_each_vector(bed: Testbed,
                                               board: str) -> None:
    running = run(bed, build_directory(board, "ivshmem_flat"),
                  bed.server(vectors=2))
    running.expect_error("warning: .*x-irq-qompath is not set")

    wait_said(bed, running, "PASS - test_each_vector_has_its_signal")


@pytest.mark.parametrize("board", BOARDS)
def test_no_device(bed: Testbed, board: str) -> None:
    running = bed.zephyr(board, "demo", bed.server(), device=[])

    bed.wait_for_failure(running, "FAILED ivshmem@400ff000 is not ready: is it "
                         "on QEMU's command line")


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("byte, reads", [(0x00, "0x0"), (0xFF, "0xffffffff")])
def test_something_else_at_the_registers(bed: Testbed, board: str, byte: int,
                                         reads: str) -> None:
    """Memory of zeros, or all ones as on an open bus, is not taken for the
    device."""
    server = bed.server(size=4096)
    server.memory.write(0, bytes([byte]) * 4096)
    running = bed.zephyr(board, "demo", server, flat_device(
        server.socket, 0x60000000, 0x400FF000, None, 4096))
    running.expect_error("warning: .*x-irq-qompath is not set")

    bed.wait_for_failure(running, "is not ready")
    assert running.said("no ivshmem-flat at 0x400ff000, IVPOSITION reads "
                        f"{reads}: start QEMU with '-device ivshmem-flat'")
