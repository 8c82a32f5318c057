# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of guest/tests/ring-on-command.c, which explains the words."""

from collections.abc import Sequence

from ivshmem.memory import SharedMemory

COMMAND, DONE, QUESTION, ANSWER, TIMES, RUNG, RINGS = range(0, 28, 4)


class RingCommands:
    """Commands to one guest, which has to be rung to notice a new one."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._question = 0

    def order(self, rings: Sequence[tuple[int, int]], times: int = 1) -> None:
        """To ring these (peer, vector); 0 times is until end() is called.
        The command before must be done."""
        number = self._memory.word(COMMAND) + 1
        self._question = (number * 0x9E3779B1) & 0xFFFFFFFF
        self._memory.set_words(QUESTION, self._question)
        self._memory.set_words(TIMES, times, 0)
        self._memory.set_words(RINGS, len(rings), *(
            peer << 16 | vector for peer, vector in rings))
        self._memory.set_words(COMMAND, number)

    def end(self) -> None:
        """To finish, after ringing all once more."""
        self._memory.set_words(TIMES, 1)

    def done(self) -> bool:
        """Whether the guest has finished, and has read and written right."""
        return (self._memory.word(DONE) == self._memory.word(COMMAND) and
                self._memory.word(ANSWER) == self._question ^ 0xFFFFFFFF)

    def times_rung(self) -> int:
        return self._memory.word(RUNG)
