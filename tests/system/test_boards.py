# SPDX-License-Identifier: GPL-2.0-or-later
"""python/ivshmem/boards.py is right and complete for the QEMU under test.

No guest runs (-accel qtest). The monitor reads the memory as each CPU sees it.
A doorbell shows as a pending interrupt in the interrupt controller.
"""

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from boards import REASON
from ivshmem import Testbed, artifacts
from ivshmem.board import usual_device
from ivshmem.boards import WIRINGS, Wiring
from ivshmem.machine import Machine
from ivshmem.memory import MIB
from ivshmem.qmp import QmpClient

pytestmark = pytest.mark.bed_seconds(120.0)

SECONDS = 60.0
SIZE = 4 * MIB
DEVICE = "/machine/peripheral-anon/device[0]"
IVPOSITION = 8
WORDS = {0: 0x600DCAFE, SIZE - 4: 0xDEADBEEF}

# The address of the pending-interrupt words (32 interrupts each) and the byte
# order, by target
PENDING = {"arm": (0xE000E200, "little"),      # NVIC_ISPR0
           "riscv32": (0x0C001000, "little"),  # of the PLIC
           "sparc": (0x80000204, "big")}       # of the IRQMP

# Has a built-in device, so it is not in the table
TESTBOARD = "ivshmem-flat-testboard"

# A line of a FlatView: first and last address, priority, name
RANGE = re.compile(r"^ +(\w{16})-(\w{16}) \(prio (-?\d+), .*?\): (.+?)\r?$",
                   re.MULTILINE)


def version() -> tuple[int, int]:
    """The release. A development version counts as the next release: 10.2.50
    as 11.0, 10.0.50 as 10.1."""
    told = subprocess.run([artifacts.qemu_system("arm"), "--version"],
                          check=True, capture_output=True, text=True).stdout
    major, minor, micro = map(int, re.findall(
        r"version (\d+)\.(\d+)\.(\d+)", told)[0])
    if micro < 50:
        return major, minor
    return (major, minor + 1) if minor < 2 else (major + 1, 0)


@cache
def machines(target: str) -> dict[str, str]:
    """The machines of this QEMU: name to description and default CPU."""
    qemu = artifacts.qemu_system(target)
    listed = subprocess.run([qemu, "-M", "help"], check=True, text=True,
                            capture_output=True, timeout=SECONDS).stdout
    told = dict(line.split(maxsplit=1) for line in listed.splitlines()[1:])
    commands = ("qmp_capabilities", "query-machines", "quit")
    answers = subprocess.run(
        [qemu, "-M", "none", "-display", "none", "-qmp", "stdio"], check=True,
        input="".join(json.dumps({"execute": name}) for name in commands),
        text=True, capture_output=True, timeout=SECONDS).stdout
    for line in answers.splitlines():
        if isinstance(known := json.loads(line).get("return"), list):
            for machine in known:
                told[machine["name"]] += f" {machine.get('default-cpu-type')}"
    return told


def rows() -> Iterator[object]:
    """The table's rows for boards that this QEMU should have."""
    for board, where in WIRINGS.items():
        if where.since <= version():
            yield pytest.param(board, where, id=board, marks=pytest.mark.skipif(
                not artifacts.is_built(where.target), reason=REASON))


def test_table_has_all_cortex_m() -> None:
    cortex_m = {name for name, told in machines("arm").items()
                if re.search("cortex-m", told, re.IGNORECASE)}

    assert len(cortex_m) > 15, "QEMU no longer shows each machine's CPU"
    assert cortex_m - {TESTBOARD} - set(WIRINGS) == set(), (
        "add these machines to python/ivshmem/boards.py")


class Monitor:
    """Reads the state of a machine that does not run."""

    def __init__(self, vm: Machine, target: str) -> None:
        self._qmp: QmpClient = vm.qmp
        self._target = target
        self.cpus: list[int] = [
            cpu["cpu-index"] for cpu in vm.qmp.command("query-cpus-fast")]

    def says(self, command: str, cpu: int = 0) -> str:
        said: str
        said, = self._qmp.commands("human-monitor-command", [
            {"command-line": command, "cpu-index": cpu}])
        return said

    def word(self, cpu: int, address: int, order: str = "little") -> int:
        """A word as this CPU reads it. A CPU with TrustZone is in the secure
        state, as after reset."""
        said = self.says(f"x /4xb {address:#x}", cpu)
        octets = bytes(int(octet, 16)
                       for octet in re.findall(r"0x(\w\w)\b", said))
        assert len(octets) == 4, said
        return int.from_bytes(octets, order)  # type: ignore[arg-type]

    def pending(self, cpu: int, lines: tuple[int, ...]) -> set[int]:
        """Those of these lines that are pending."""
        base, order = PENDING[self._target]
        return {line for line in lines
                if self.word(cpu, base + line // 32 * 4, order)
                & 1 << line % 32}

    def unrealize(self) -> None:
        self._qmp.command("qom-set", path=DEVICE, property="realized",
                          value=False)

    def ranges(self) -> list[tuple[int, int, int, str]]:
        """The CPUs' memory map: first and last address, priority, name."""
        return [(int(first, 16), int(last, 16), int(priority), name)
                for view in self.says("info mtree -f").split("FlatView #")
                if re.search('AS "cpu-', view)
                for first, last, priority, name in RANGE.findall(view)]

    def irqs(self) -> tuple[list[str], dict[str, list[str]]]:
        """The paths of all interrupt inputs, and the outputs that drive each.
        A link named gpio-in is an alias of an input, not an output."""
        inputs: list[str] = []
        outputs: list[tuple[str, str]] = []
        objects = ["/machine"]
        while objects:
            deeper = []
            listed = self._qmp.commands(
                "qom-list", [{"path": path} for path in objects])
            for path, properties in zip(objects, listed):
                for each in properties:
                    if each["type"] == "child<irq>":
                        inputs.append(f"{path}/{each['name']}")
                    elif each["type"].startswith("child<"):
                        deeper.append(f"{path}/{each['name']}")
                    elif (each["type"] == "link<irq>"
                          and "gpio-in" not in each["name"]):
                        outputs.append((path, each["name"]))
            objects = deeper
        drivers = defaultdict(list)
        for (path, name), line in zip(outputs, self._qmp.commands(
                "qom-get", [{"path": path, "property": name}
                            for path, name in outputs])):
            drivers[line].append(f"{path}/{name}")
        return inputs, drivers


def start(bed: Testbed, board: str, where: Wiring, socket: Path) -> Monitor:
    vm = bed.machine(board, [
        str(artifacts.qemu_system(where.target)), "-M", board,
        "-accel", "qtest",
        *usual_device(board, socket, len(where.lines), SIZE)])
    # QEMU 7.2 prints this for Stellaris boards.
    vm.expect_error("Timer with period zero, disabling", least=0)
    return Monitor(vm, where.target)


@pytest.mark.parametrize("board, where", rows())
def test_no_guest_errors_at_start(bed: Testbed, board: str, where: Wiring,
                                  tmp_path: Path) -> None:
    """What QEMU itself causes when it starts a board is not shown as a guest
    error. The testbed fails the test if it is."""
    if where.target == "sparc":
        pytest.skip("this QEMU starts only ELF images")
    server = bed.server(size=SIZE, vectors=len(where.lines))
    vm = bed.image(board, zeros(tmp_path), usual_device(
        board, server.socket, len(where.lines), SIZE), paused=True)

    assert vm.qmp.command("query-status")["status"] == "prelaunch"


def test_board_that_is_not_in_the_table(bed: Testbed, tmp_path: Path) -> None:
    vm = bed.image("raspi0", zeros(tmp_path), [], paused=True,
                   qemu=artifacts.qemu_system("arm"))

    assert vm.qmp.command("query-status")["status"] == "prelaunch"


def zeros(directory: Path) -> Path:
    image = directory / "zeros.bin"
    image.write_bytes(bytes(64))
    return image


@cache
def has_qtest() -> bool:
    return subprocess.run(
        [artifacts.qemu_system("arm"), "-M", "none", "-accel", "qtest",
         "-display", "none", "-monitor", "stdio"], input="quit\n",
        capture_output=True, text=True, timeout=SECONDS).returncode == 0


@pytest.mark.skipif(not has_qtest(), reason="Debian's own QEMU has no qtest")
@pytest.mark.parametrize("board, where", rows())
def test_board(bed: Testbed, board: str, where: Wiring) -> None:
    """The device is at its addresses, each vector raises its line, and nothing
    else is there. The testbed fails the test if the device warns."""
    server = bed.server(size=SIZE, vectors=len(where.lines))
    peer = bed.peer(server, len(where.lines))
    for offset, word in WORDS.items():
        server.memory.set_words(offset, word)
    vm = start(bed, board, where, server.socket)
    peer.wait_for_peer(1, bed.remaining())

    for cpu in vm.cpus:
        assert vm.word(cpu, where.registers + IVPOSITION) == 1
        for offset, word in WORDS.items():
            assert vm.word(cpu, where.memory + offset) == word

    for vector, line in enumerate(where.lines):
        before = set(where.lines[:vector])
        for cpu in vm.cpus:
            assert vm.pending(cpu, where.lines) == before
        peer.ring(1, vector)
        for cpu in vm.cpus:
            bed.wait(f"line {line} of CPU {cpu} to be pending", lambda:
                     vm.pending(cpu, where.lines) == before | {line}, 30.0)

    vm.unrealize()
    check_windows(vm, where)
    check_lines(vm, where)


def check_windows(vm: Monitor, where: Wiring) -> None:
    """Once the device is gone, both windows must be empty. A region with a
    negative priority is a placeholder for a device that QEMU lacks."""
    there = vm.ranges()
    assert there
    windows = ((where.registers, 16), (where.memory, SIZE))
    assert [name for first, last, priority, name in there
            for address, size in windows
            if priority >= 0 and first < address + size and last >= address
            ] == []


def check_lines(vm: Monitor, where: Wiring) -> None:
    """Once the device is gone, nothing must drive its lines. Arm's subsystems
    have their own inputs for the NVIC's lines, so those are checked too."""
    inputs, drivers = vm.irqs()
    for line in where.lines:
        line_input, = (path for path in inputs
                       if path.endswith(f"/{where.path(line)}"))
        same = re.compile(rf"/nvic/unnamed-gpio-in\[{line}\]$"
                          rf"|/EXP(_CPU1)?_IRQ\[{line - 32}\]$")
        splitter = line_input.rpartition("/")[0]
        assert [driver for path in (line_input, *filter(same.search, inputs))
                for driver in drivers[path]
                if not driver.startswith(f"{splitter}/unnamed-gpio-out")] == []
