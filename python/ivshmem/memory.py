# SPDX-License-Identifier: Apache-2.0
"""The shared memory, mapped on the host."""

import mmap
import sys
from pathlib import Path

from .process import TestbedError

MIB = 1024 * 1024
WORD_BYTES = 4


class SharedMemory:
    """Bytes and little-endian 32-bit words. Offsets are in bytes.

    Each word is read with one load and written with one store, so nobody sees
    half of a word.
    """

    def __init__(self, file: Path | int) -> None:
        """Maps a file, given as a path or an fd. Does not close the fd."""
        if sys.byteorder != "little":
            raise TestbedError(f"this host is {sys.byteorder}-endian, but the "
                               "words in shared memory are little-endian: run "
                               "this on a little-endian host")
        with open(file, "r+b", closefd=not isinstance(file, int)) as opened:
            self._map = mmap.mmap(opened.fileno(), 0)
        whole = len(self) // WORD_BYTES * WORD_BYTES
        # The struct module would access single bytes.
        self._words = memoryview(self._map)[:whole].cast("I")

    def __len__(self) -> int:
        return len(self._map)

    def word(self, offset: int) -> int:
        return self._words[_index(offset)]

    def set_words(self, offset: int, *values: int) -> None:
        """Writes consecutive words, in order."""
        for index, value in enumerate(values, _index(offset)):
            self._words[index] = value

    def read(self, offset: int, length: int) -> bytes:
        return self._map[offset:offset + length]

    def write(self, offset: int, data: bytes) -> None:
        self._map[offset:offset + len(data)] = data

    def close(self) -> None:
        self._words.release()
        self._map.close()


def _index(offset: int) -> int:
    if offset < 0 or offset % WORD_BYTES:
        raise ValueError(f"offset {offset:#x} of a word in shared memory: must "
                         f"be a multiple of {WORD_BYTES}, and not negative")
    return offset // WORD_BYTES
