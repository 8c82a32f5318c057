# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared memory: its kind, size and owner."""

import fcntl
import os
import re
import signal
from pathlib import Path

import pytest

from ivshmem.memory import MIB, SharedMemory

from .client import Client
from .lab import Lab

TEXT = b"precious"


def size(client: Client) -> int:
    assert client.memory is not None
    return os.fstat(client.memory).st_size


def write(client: Client, text: bytes = TEXT) -> None:
    assert client.memory is not None
    os.pwrite(client.memory, text, 100)


def read(client: Client) -> bytes:
    assert client.memory is not None
    return os.pread(client.memory, len(TEXT), 100)


def test_is_shared(lab: Lab) -> None:
    lab.ivshmemd()
    first, second = lab.clients(2)
    write(first)
    assert read(second) == TEXT


def test_seals(lab: Lab) -> None:
    lab.ivshmemd()
    fd = lab.client().memory
    assert fd is not None
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == seals
    with pytest.raises(PermissionError):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


def test_is_reserved(lab: Lab) -> None:
    lab.ivshmemd("-l", "2M")
    fd = lab.client().memory
    assert fd is not None
    assert os.fstat(fd).st_blocks * 512 == 2 * MIB


@pytest.mark.parametrize("option, expected", [
    ("4096", 4096), ("64K", 65536), ("64k", 65536), ("1M", MIB),
    ("0x10000", 65536), ("0.5M", MIB // 2)])
def test_size(lab: Lab, option: str, expected: int) -> None:
    lab.ivshmemd("-l", option)
    assert size(lab.client()) == expected


def test_default_size(lab: Lab) -> None:
    lab.ivshmemd()
    assert size(lab.client()) == 4 * MIB


@pytest.mark.parametrize("option, expected, note", [
    ("1", 4096, "1 is rounded up to 4K"),
    ("5000", 8192, "5000 is rounded up to 8K"),
    ("3M", 4 * MIB, "3M is rounded up to 4M: a power of two, in whole pages")])
def test_is_rounded_up(lab: Lab, option: str, expected: int,
                       note: str) -> None:
    process = lab.ivshmemd("-l", option)
    process.expect_error(f"memory of {note}")
    assert size(lab.client()) == expected


@pytest.mark.parametrize("kind", ["memfd", "object", "file"])
def test_more_than_there_is(lab: Lab, kind: str) -> None:
    choices: dict[str, list[str]] = {
        "memfd": [], "object": ["-M", lab.object], "file": ["-m", "/dev/shm"]}
    options = choices[kind]
    stderr = lab.refused("-l", "256T", *options)
    assert "cannot reserve" in stderr and "256T" in stderr
    assert (kind != "memfd" or
            re.search(r"this machine has \d+[KMGT] left\. ", stderr))
    assert "Choose a smaller size with -l" in stderr
    assert not list(Path("/dev/shm").glob(f"*{lab.object}*"))
    assert not lab.socket.exists()


def test_memory_ends_with_its_last_user(lab: Lab) -> None:
    process = lab.ivshmemd()
    client = lab.client()
    write(client)
    lab.stop(process)
    assert read(client) == TEXT


@pytest.mark.parametrize("slash", ["", "/"])
def test_object_for_host_programs(lab: Lab, slash: str) -> None:
    """ivshmem-plain opens it in the same way."""
    path = Path("/dev/shm", lab.object)
    lab.ivshmemd("-M", slash + lab.object)
    assert path.stat().st_mode & 0o777 == 0o600
    memory = SharedMemory(path)
    memory.write(100, TEXT)
    client = lab.client()
    assert read(client) == TEXT
    assert len(memory) == size(client)
    memory.close()


def test_file(lab: Lab) -> None:
    """It is named after the socket, so two servers never share it."""
    paths = [lab.path("a"), lab.path("b")]
    for path in paths:
        lab.ivshmemd("-m", str(lab.directory), "-S", str(path))
    first, second = (lab.client(path) for path in paths)
    write(first)
    assert read(second) == bytes(len(TEXT))
    files = list(lab.directory.glob("ivshmem-*"))
    assert len(files) == 2
    assert sum(TEXT in file.read_bytes() for file in files) == 1


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("option", ["-M", "-m"])
def test_is_taken_over(lab: Lab, option: str, end: signal.Signals) -> None:
    """The next server takes it over, even if a client still has it."""
    value = {"-M": lab.object, "-m": str(lab.directory)}[option]
    process = lab.ivshmemd(option, value)
    client = lab.client()
    write(client)
    os.kill(process.pid, end)
    lab.bed.wait_for_failure(process, "status 0|SIGKILL")
    process = lab.ivshmemd(option, value)
    process.expect_error("from an earlier run: its contents are kept")
    if end == signal.SIGKILL:
        process.expect_error("replaced .*, which a killed server left")
    again = lab.client()
    assert read(again) == TEXT
    write(again, b"shared!!")
    assert read(client) == b"shared!!"


def test_another_size_is_not_taken_over(lab: Lab) -> None:
    path = Path("/dev/shm", lab.object)
    lab.stop(lab.ivshmemd("-M", lab.object))
    path.write_bytes(TEXT.ljust(4 * MIB, b"\0"))
    stderr = lab.refused("-M", lab.object, "-l", "8M")
    assert (f"memory {path} exists from an earlier run and has 4M, not 8M: keep it "
            f"with -l 4M, or remove it with: rm {path}") in stderr
    assert path.stat().st_size == 4 * MIB
    assert path.read_bytes().startswith(TEXT)


@pytest.mark.parametrize("larger", ["4M", "8M"])
def test_of_a_running_server(lab: Lab, larger: str) -> None:
    lab.ivshmemd("-M", lab.object)
    client = lab.client()
    stderr = lab.refused("-M", lab.object, "-l", larger,
                         "-S", str(lab.path("second")))
    assert "is used by a running server: stop that server" in stderr
    assert size(client) == 4 * MIB
    assert Path("/dev/shm", lab.object).exists()


def test_symbolic_link_is_not_followed(lab: Lab) -> None:
    target = lab.path("target")
    target.write_bytes(b"not yours")
    path = Path("/dev/shm", lab.object)
    path.symlink_to(target)
    assert f"cannot open memory {path}" in lab.refused("-M", lab.object)
    assert target.read_bytes() == b"not yours"


@pytest.mark.parametrize("options", [
    ["-S", "/missing/socket"], ["-p", "/missing/pid"],
    ["--control", "/missing/control"], ["--config", "{config}"]])
def test_failed_start_leaves_no_object(lab: Lab, options: list[str]) -> None:
    """But what was there before stays."""
    file = lab.path("conf")
    file.write_text(f"[channel a]\nsockets={lab.path('a')}\n"
                    f"memory-name={lab.object}\n"
                    "[channel b]\nsockets=/missing/b\n")
    options = [option.format(config=file) for option in options]
    named = [] if "--config" in options else ["-M", lab.object]
    memory = Path("/dev/shm", lab.object)
    assert "/missing" in lab.refused(*named, *options)
    assert not memory.exists()
    memory.write_bytes(bytes(4 * MIB))
    assert "/missing" in lab.refused(*named, *options)
    assert memory.exists()
