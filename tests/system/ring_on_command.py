# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of guest/tests/ring-on-command.c, which has the details."""

from collections.abc import Sequence

from ivshmem.memory import SharedMemory

COMMAND, DONE, QUESTION, ANSWER, TIMES, RUNG, RINGS = range(0, 28, 4)


class RingCommands:
    """Commands for one guest. Ring the guest after each new command."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._question = 0

    def order(self, rings: Sequence[tuple[int, int]], times: int = 1) -> None:
        """Orders the guest to ring these (peer, vector). With `times` 0 it
        goes on until end() is called. The previous command must be done."""
        number = self._memory.word(COMMAND) + 1
        self._question = (number * 0x9E3779B1) & 0xFFFFFFFF
        self._memory.set_words(QUESTION, self._question)
        self._memory.set_words(TIMES, times, 0)
        self._memory.set_words(RINGS, len(rings), *(
            peer << 16 | vector for peer, vector in rings))
        self._memory.set_words(COMMAND, number)

    def end(self) -> None:
        """Ends the command after one more round."""
        self._memory.set_words(TIMES, 1)

    def done(self) -> bool:
        """Whether the guest has finished and its answer is right."""
        return (self._memory.word(DONE) == self._memory.word(COMMAND) and
                self._memory.word(ANSWER) == self._question ^ 0xFFFFFFFF)

    def times_rung(self) -> int:
        return self._memory.word(RUNG)
