# SPDX-License-Identifier: GPL-2.0-or-later
"""SharedMemory reads and writes words atomically."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem.memory import SharedMemory

# Any mixture of their bytes differs from both.
WORDS = (0x01020304, 0xF0E0D0C0)

LOOKS = 200_000
SECONDS = 60.0


def write_for_ever(path: Path) -> None:
    memory = SharedMemory(path)
    while True:
        for word in WORDS:
            memory.set_words(8, word)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SharedMemory]:
    """Memory where another process writes WORDS to offset 8 in turn."""
    path = tmp_path / "memory"
    path.write_bytes(bytes(4096))
    memory = SharedMemory(path)
    memory.set_words(8, WORDS[0])
    writer = multiprocessing.get_context("spawn").Process(
        target=write_for_ever, args=(path,), daemon=True)
    writer.start()
    yield memory
    writer.kill()
    writer.join()
    memory.close()


def test_no_half_word_is_seen(memory: SharedMemory) -> None:
    deadline = time.monotonic() + SECONDS
    seen: Counter[int] = Counter()
    while min(seen[word] for word in WORDS) < LOOKS:
        seen.update(memory.word(8) for _ in range(10_000))
        assert seen.keys() <= set(WORDS), "a word was torn"
        assert time.monotonic() < deadline, f"only seen {seen}"


def test_words_are_little_endian_and_aligned(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    path.write_bytes(bytes(range(18)))
    memory = SharedMemory(path)

    assert memory.word(4) == 0x07060504
    memory.set_words(12, 0x01020304)
    assert memory.read(12, 6) == bytes([4, 3, 2, 1, 16, 17])
    with pytest.raises(ValueError, match="offset 0x6 .* must be a multiple of 4"):
        memory.word(6)
    with pytest.raises(IndexError):
        memory.word(16)
    memory.close()
