# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ivshmem of guest/linux, with files instead of a device."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from test_linux_library import GUEST, SECONDS, Root, build


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("command") / "ivshmem",
                 GUEST / "linux/ivshmem.c")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def run(command: Path, root: Root,
        *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([command, *arguments], cwd=root.top,
                          capture_output=True, timeout=SECONDS)


def test_help(command: Path, root: Root) -> None:
    done = run(command, root, "--help")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Usage: ivshmem [OPTION...] COMMAND")


def test_version(command: Path, root: Root) -> None:
    """That of the driver's header"""
    done = run(command, root, "--version")

    assert (done.returncode, done.stderr) == (0, b"")
    assert re.fullmatch(rb"ivshmem 1\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments, reason", [
    ((), b"a command is missing"),
    (("-x",), b"invalid option -- 'x'"),
    (("sing",), b"there is no command 'sing'"),
    (("read", "0"), b"wrong number of arguments: use 'read OFFSET BYTES'"),
    (("info", "0"), b"wrong number of arguments: use 'info'"),
    (("ping", "0", "1", "2", "3"), b"use 'ping PEER [COUNT [VECTOR]]'"),
    (("ring", "65536"), b"PEER '65536' must be a number from 0 to 65535"),
    (("ring", "1", "2", "x"), b"VECTOR 'x' must be a number from 0 to 65535"),
    (("read", "-1", "1"), b"OFFSET '-1' must be a number from 0 to"),
])
def test_wrong_command(command: Path, root: Root, arguments: tuple[str, ...],
                       reason: bytes) -> None:
    done = run(command, root, *arguments)

    assert done.returncode == 2
    assert reason in done.stderr and done.stdout == b""
    # Nothing was rung, not even by arguments before the mistake.
    assert (root.device / "resource0").read_bytes() == bytes(4096)


def test_range_beyond_the_memory(command: Path, root: Root) -> None:
    done = run(command, root, "read", "0xfffff", "2")

    assert done.returncode == 1
    assert (b"2 bytes at 1048575 do not fit into the 1048576 bytes of "
            b"shared memory" in done.stderr)


def on_terminal(command: Path, root: Root, *arguments: str) -> bytes:
    here, there = pty.openpty()
    subprocess.run([command, *arguments], cwd=root.top, stdout=there,
                   check=True, timeout=SECONDS)
    os.close(there)
    shown = os.read(here, 1024)
    os.close(here)
    return shown


def test_raw_bytes_are_kept_off_a_terminal(command: Path, root: Root) -> None:
    data = b"good\x1b[2J\0\xff"
    (root.device / "resource2_wc").write_bytes(data + bytes(0x100000 - 10))
    read = ("read", "0", str(len(data)))

    assert run(command, root, *read).stdout == data
    assert on_terminal(command, root, *read) == b"good\\x1b[2J\\x00\\xff"
    assert on_terminal(command, root, "--raw", *read) == data


def test_build_for_another_guest(tmp_path: Path) -> None:
    """A checkout that the host copies into a guest has the host's results."""
    def make(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "-C", GUEST / "linux", f"OUT={tmp_path}", *options],
            text=True, capture_output=True, timeout=SECONDS)

    for flags in ("LDFLAGS=-static", "LDFLAGS="):
        assert "/ivshmem\n" in make(flags).stdout
        assert make(flags, "--question").returncode == 0


def test_installed_library(tmp_path: Path) -> None:
    """A program finds it with pkg-config."""
    subprocess.run(["make", "-C", GUEST / "linux", f"OUT={tmp_path / 'out'}",
                    f"PREFIX={tmp_path / 'prefix'}", "install"], check=True,
                   capture_output=True, timeout=SECONDS)
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "ivshmem-pci"], check=True,
        capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, "PKG_CONFIG_PATH":
             str(tmp_path / "prefix/lib/pkgconfig")}).stdout.split()
    source = tmp_path / "mine.c"
    source.write_text("#include <ivshmem-pci.h>\n"
                      "int main(void) { struct ivshmem_pci dev;\n"
                      "return ivshmem_pci_open(&dev, \"none\") != -1; }\n")

    subprocess.run(["gcc", source, *flags, "-o", tmp_path / "mine"],
                   check=True, timeout=SECONDS)

    subprocess.run([tmp_path / "mine"], check=True, timeout=SECONDS)
