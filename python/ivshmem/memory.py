# SPDX-License-Identifier: Apache-2.0
"""The shared memory as the host sees it."""

import mmap
import struct
from pathlib import Path

MIB = 1024 * 1024


class SharedMemory:
    """The shared memory as the host sees it. Offsets are bytes."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def __len__(self) -> int:
        return len(self._map)

    def word(self, offset: int) -> int:
        return struct.unpack_from("<I", self._map, offset)[0]

    def set_words(self, offset: int, *values: int) -> None:
        struct.pack_into(f"<{len(values)}I", self._map, offset, *values)

    def read(self, offset: int, length: int) -> bytes:
        return self._map[offset:offset + length]

    def write(self, offset: int, data: bytes) -> None:
        self._map[offset:offset + len(data)] = data

    def close(self) -> None:
        self._map.close()
