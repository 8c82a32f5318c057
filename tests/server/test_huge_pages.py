# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory in huge pages: -m names a hugetlbfs."""

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem import Testbed
from ivshmem.board import usual_device
from ivshmem.memory import MIB, SharedMemory

from .client import Client
from .lab import LOOK_SECONDS, SECONDS, Lab, with_mounts
from .test_with_vms import MISSING

PAGE = 2 * MIB
PAGES = 2

POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


def reserve(number: int) -> int:
    """Resizes the pool. Returns its new size, with pages that are in use."""
    POOL.write_text(str(number))
    return int(POOL.read_text())


@pytest.fixture(autouse=True)
def more_pages() -> Iterator[None]:
    """Reserves PAGES more pages, for one test at a time. It uses no other
    fixture, so it ends after the others, when the memory is free."""
    try:
        pool = POOL.open("r+")
    except OSError as error:
        pytest.skip(f"cannot reserve huge pages: {error}")
    with pool:
        fcntl.flock(pool, fcntl.LOCK_EX)
        before = int(pool.read())
        try:
            if (got := reserve(before + PAGES)) < before + PAGES:
                pytest.skip(f"cannot reserve {before + PAGES} huge pages: this "
                            f"machine has room for {got}")
            yield
        finally:
            end = time.monotonic() + SECONDS
            while (left := reserve(before)) != before:
                assert time.monotonic() < end, f"{left} pages are still reserved"
                time.sleep(LOOK_SECONDS)


@pytest.fixture
def command(lab: Lab) -> list[str]:
    """A command that runs another one with a hugetlbfs at `directory`."""
    directory(lab).mkdir()
    return with_mounts(f"-t hugetlbfs -o pagesize={PAGE} none "
                       f"{directory(lab)}")


def directory(lab: Lab) -> Path:
    return lab.path("huge")


def memory_of(client: Client) -> SharedMemory:
    return SharedMemory(Path(f"/proc/self/fd/{client.memory}"))


def test_is_shared(lab: Lab, command: list[str]) -> None:
    lab.ivshmemd("-m", str(directory(lab)), within=command)
    first, second = map(memory_of, lab.clients(2))
    assert len(first) == PAGES * PAGE
    first.write(PAGE, b"precious")
    assert second.read(PAGE, 8) == b"precious"
    first.close()
    second.close()


def test_is_reserved(lab: Lab, command: list[str]) -> None:
    """All of it is reserved at the start, before others can take it."""
    lab.ivshmemd("-m", str(directory(lab)), within=command)
    fd = lab.client().memory
    assert fd is not None
    assert os.fstat(fd).st_blocks * 512 == PAGES * PAGE


def test_is_rounded_up(lab: Lab, command: list[str]) -> None:
    process = lab.ivshmemd("-m", str(directory(lab)), "-l", "1M",
                           within=command)
    process.expect_error("memory of 1M is rounded up to 2M")
    memory = memory_of(lab.client())
    assert len(memory) == PAGE
    memory.close()


def test_more_than_there_is(lab: Lab, command: list[str]) -> None:
    stderr = lab.refused("-m", str(directory(lab)), "-l", "1T", within=command)
    assert "cannot reserve 1T: " in stderr
    assert "Choose a smaller size with -l" in stderr
    assert not lab.socket.exists()


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_board_has_it(bed: Testbed, lab: Lab, command: list[str]) -> None:
    """The board writes to it how many times it was rung."""
    lab.ivshmemd("-m", str(directory(lab)), within=command)
    client = lab.client()
    memory = memory_of(client)
    board = bed.board("mps2-an385", "echo",
                      device=usual_device("mps2-an385", lab.socket))
    bed.wait("the board to listen",
             lambda: board.said("^echo: listening id=1$"))
    lab.wait_for_view(client, {0: 1, 1: 1})
    client.ring(1)
    bed.wait("the board to answer", client.rung)
    assert memory.word(4) == 1
    memory.close()
