# SPDX-License-Identifier: GPL-2.0-or-later
"""The library of guest/linux, with files and a simulated VFIO.

pci.c makes the calls that a test lists. tests/system/test_linux.py tests with
a real kernel.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ivshmem import artifacts

HERE = Path(__file__).parent
GUEST = artifacts.CHECKOUT / "guest"
SECONDS = 60.0
ADDRESS = "0000:00:02.0"

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
SOURCES = [GUEST / "linux/ivshmem-pci.c",
           GUEST / "linux/ivshmem-pci-interrupts.c"]

Call = Callable[..., list[str]]


def build(built: Path, *more: Path | str) -> Path:
    """Builds a program with the library, which looks for all files below the
    current folder."""
    subprocess.run(
        ["gcc", "-std=c11", *STRICT, "-g", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", '-DIVSHMEM_PCI_ROOT="."', f"-I{GUEST}",
         f"-I{GUEST / 'linux'}", *SOURCES, *more, "-o", built], check=True,
        timeout=SECONDS)
    return built


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("pci") / "pci", HERE / "pci.c",
                 "-Wl,--wrap=ioctl")


class Root:
    """The files that the kernel has for a device with vfio-pci."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.devices = top / "sys/bus/pci/devices"
        self.vfio = top / "dev/vfio"
        self.vfio.mkdir(parents=True)
        for name in ("vfio", "7"):
            (self.vfio / name).touch()
        (top / "sys/bus/pci/drivers_probe").parent.mkdir(parents=True)
        (top / "sys/bus/pci/drivers_probe").touch()
        self.device = self.add(ADDRESS)

    def add(self, address: str, device: str = "0x1110") -> Path:
        folder = self.devices / address
        folder.mkdir(parents=True)
        for name, text in {
                "vendor": "0x1af4\n", "device": f"{device}\n",
                "driver_override": "", "config": "\0" * 64,
                "resource": "0x10000000 0x100000ff 0x0\n0x0 0x0 0x0\n"
                            "0x20000000 0x200fffff 0x0\n",
                "resource0": "\0" * 4096,
                "resource2": "n" + "\0" * 0xFFFFF,
                "resource2_wc": "w" + "\0" * 0xFFFFF}.items():
            (folder / name).write_text(text)
        (folder / "driver").symlink_to("../drivers/vfio-pci")
        (folder / "iommu_group").symlink_to("../iommu_groups/7")
        return folder


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def call(root: Root, program: Path) -> Call:
    def run(*calls: str, **environment: str) -> list[str]:
        with (root.device / "config").open("r+b") as config:
            done = subprocess.run(
                [program, *calls], cwd=root.top, stdin=config, text=True,
                capture_output=True, timeout=SECONDS,
                env={**os.environ, **environment})
        assert (done.stderr, done.returncode) == ("", 0)
        return done.stdout.splitlines()

    return run


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("standard", ["c99", "c11", "gnu11"])
def test_compiles(tmp_path: Path, compiler: str, standard: str) -> None:
    for source in (*SOURCES, GUEST / "linux/ivshmem.c"):
        subprocess.run(
            [compiler, f"-std={standard}", *STRICT, "-O2", f"-I{GUEST}", "-c",
             source, "-o", tmp_path / "object"], check=True, timeout=SECONDS)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_header_is_for_cxx(tmp_path: Path, compiler: str) -> None:
    source = tmp_path / "it.cc"
    source.write_text('#include "ivshmem-pci.h"\n'
                      "ivshmem_pci dev;\n"
                      "int main() { return ivshmem_pci_open(&dev, 0); }\n")
    subprocess.run([compiler, "-std=c++11", *STRICT, f"-I{GUEST}",
                    f"-I{GUEST / 'linux'}", "-c", source, "-o",
                    tmp_path / "object"], check=True, timeout=SECONDS)


def test_all_goes_well(call: Call, root: Root) -> None:
    assert call("open", "enable", "info", "ring", "1", "poll", "wait", "0",
                "poll", "wait", "0", "close", "close", VECTORS="3") == [
        "open: 0", "enable: 0",
        f"info: {ADDRESS}, 3 vectors, memory 1048576, byte 0 is w",
        "poll: 1", "wait: 1", "poll: 0",
        "Connection timed out: no doorbell within 0 ms", "fds left: 0"]
    # Memory space and bus mastering are enabled.
    assert (root.device / "config").read_bytes()[4:6] == b"\6\0"


def test_memory_without_write_combining(call: Call, root: Root) -> None:
    """Not every kernel has the file for write combining."""
    (root.device / "resource2_wc").unlink()

    assert "byte 0 is n" in call("open", "info", "close")[1]


def test_lowest_address_is_taken(call: Call, root: Root) -> None:
    root.add("0000:00:01.0")
    root.add("0000:00:00.0", device="0x1000")

    assert call("open", "info", "close")[1].startswith("info: 0000:00:01.0,")
    assert call("open-at", ADDRESS, "info", "close")[1].startswith(
        f"info: {ADDRESS},")


@pytest.mark.parametrize("address, shown", [
    ("0000:00:09.0", "0000:00:09.0"), ("x" * 40, "x" * 40),
    ("0000:00:00.0", "0000:00:00.0")])
def test_no_such_device(call: Call, root: Root, address: str,
                        shown: str) -> None:
    root.add("0000:00:00.0", device="0x1000")

    assert call("open-at", address) == [
        f"open: there is no PCI device 1af4:1110 at {shown}", "fds left: 0"]


def test_no_device_at_all(call: Call, root: Root) -> None:
    (root.device / "device").write_text("0x1000\n")

    assert call("open")[0].startswith(
        "open: this machine has no PCI device 1af4:1110: start QEMU with -chardev")


@pytest.mark.parametrize("name, text, reason", [
    ("config", None, "cannot open ./sys/bus/pci/devices/0000:00:02.0/config: "
     "No such file"),
    ("config", "", "cannot set memory space (bit 1) in the PCI command "
     "register of 0000:00:02.0"),
    ("resource", None, "cannot read ./sys/bus/pci/devices/0000:00:02.0/"
     "resource: No such file"),
    ("resource", "0x10000000 0x100000ff 0x0\n", "0000:00:02.0 has no BAR 2"),
    ("resource", "0x0 0x0 0x0\n", "0000:00:02.0 has no BAR 0"),
    ("resource0", None, "cannot open ./sys/bus/pci/devices/0000:00:02.0/"
     "resource0: No such file"),
])
def test_open_fails(call: Call, root: Root, name: str, text: str | None,
                    reason: str) -> None:
    stdin = root.device / "spare"
    stdin.touch()
    (root.device / name).unlink()
    if text is not None:
        (root.device / name).write_text(text)
    elif name == "config":
        # The simulated VFIO still needs a device: it gets another one.
        root.device = root.add("0000:00:03.0")

    told = call("open-at", ADDRESS)

    assert told[0].startswith(f"open: {reason}")
    assert told[-1] == "fds left: 0"


@pytest.mark.parametrize("fail, reason", [
    ("VIABLE", "IOMMU group 7 has devices with drivers other than vfio-pci"),
    ("SET_CONTAINER", "VFIO cannot use the IOMMU: Input/output error"),
    ("SET_IOMMU", "VFIO cannot use the IOMMU: Input/output error"),
    ("GET_DEVICE_FD", "VFIO cannot open 0000:00:02.0: Input/output error"),
    ("GET_REGION_INFO", "VFIO gives no access to the PCI configuration"),
    ("GET_IRQ_INFO", "0000:00:02.0 has no MSI-X vectors: it must be an"),
    ("SET_IRQS", "VFIO cannot enable 2 MSI-X vectors of 0000:00:02.0"),
])
def test_enable_fails(call: Call, fail: str, reason: str) -> None:
    """Nothing stays open, and enabling works later."""
    told = call("open", "enable", "enable", "info", "close", FAIL=fail,
                VECTORS="2")

    assert told[1].startswith(f"enable: {reason}")
    assert told[2] == told[1]
    assert ", 0 vectors," in told[3]
    assert told[-1] == "fds left: 0"


def test_enable_twice(call: Call) -> None:
    assert call("open", "enable", "enable", "ring", "0", "wait", "0",
                "close") == ["open: 0", "enable: 0", "enable: 0", "wait: 0",
                             "fds left: 0"]


def test_no_vectors(call: Call) -> None:
    assert call("open", "enable", "close", VECTORS="0")[1].startswith(
        "enable: 0000:00:02.0 has no MSI-X vectors")


@pytest.mark.parametrize("name, reason", [
    ("vfio", "cannot open ./dev/vfio/vfio: No such file"),
    ("7", "cannot open ./dev/vfio/7: No such file")])
def test_no_vfio(call: Call, root: Root, name: str, reason: str) -> None:
    (root.vfio / name).unlink()

    told = call("open", "enable", "close")

    assert told[1].startswith(f"enable: {reason}")
    assert told[-1] == "fds left: 0"


def test_no_iommu(call: Call, root: Root) -> None:
    (root.device / "iommu_group").unlink()

    assert call("open", "enable", "close")[1].startswith(
        "enable: 0000:00:02.0 is not behind an IOMMU")


def test_another_driver(call: Call, root: Root) -> None:
    (root.device / "driver").unlink()
    (root.device / "driver").symlink_to("../drivers/uio")

    assert call("open", "enable", "close")[1] == (
        "enable: 0000:00:02.0 has the driver uio: unbind it with echo "
        "0000:00:02.0 > /sys/bus/pci/drivers/uio/unbind")


@pytest.mark.parametrize("probe", [True, False])
def test_driver_does_not_bind(call: Call, root: Root, probe: bool) -> None:
    """Another driver can use the device afterwards."""
    (root.device / "driver").unlink()
    reason = "vfio-pci did not bind to 0000:00:02.0: load the module"
    if not probe:
        (root.top / "sys/bus/pci/drivers_probe").unlink()
        reason = ("cannot write '0000:00:02.0' to "
                  "./sys/bus/pci/drivers_probe: No such file")

    assert call("open", "enable", "close")[1].startswith(f"enable: {reason}")
    # A lone newline clears the override.
    assert (root.device / "driver_override").read_text() == "\nfio-pci"


def test_wait_without_interrupts(call: Call) -> None:
    assert call("open", "wait", "-1", "close")[1] == (
        "Invalid argument: interrupts are not enabled: call "
        "ivshmem_pci_enable_interrupts() first")


def test_each_vector_has_its_turn(call: Call) -> None:
    """Other vectors are served even if the first is rung all the time."""
    rung = ("ring", "0", "wait", "0")
    told = call("open", "enable", "ring", "1", "ring", "2", *rung, *rung,
                *rung, *rung, "close", VECTORS="3")

    assert told[2:6] == ["wait: 0", "wait: 1", "wait: 2", "wait: 0"]


def test_signals_do_not_end_the_wait(call: Call) -> None:
    assert call("open", "enable", "wait", "300", "close", ALARM="1")[2] == (
        "Connection timed out: no doorbell within 300 ms")
