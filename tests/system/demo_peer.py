# SPDX-License-Identifier: GPL-2.0-or-later
"""A demo member on the host. It can break the demo's protocol on purpose."""

import zlib
from collections.abc import Callable

from ivshmem.demo import (BLOCK_BYTES, DONE, MESSAGES, PRESENT, TEXT_BYTES, Lobby,
                   Mailbox, Seat, block, block_offset)
from ivshmem.peer import Peer
from ivshmem.process import TestbedError
from ivshmem.memory import SharedMemory


class Member:
    """Each method is one step of guest/demo/protocol.h.

    There is one other member, which is already present in slot 0. This member
    takes slot 1. It waits only for doorbells, and counts them.
    """

    SLOT, OTHER = 1, 0

    def __init__(self, peer: Peer, memory: SharedMemory,
                 timeout: float) -> None:
        self.peer = peer
        self.memory = memory
        self.doorbells = 0
        self.seat, self.other_seat = Seat(self.SLOT), Seat(self.OTHER)
        self.outbox = Mailbox(self.SLOT, self.OTHER)
        self.inbox = Mailbox(self.OTHER, self.SLOT)
        self._other_id = memory.word(self.other_seat.id)
        self._timeout = timeout

    def join(self, claimed_id: int) -> None:
        self.memory.set_words(Lobby.CLAIMED, 2)
        self.memory.set_words(self.seat.id, claimed_id)
        self.memory.write(self.seat.name, b"a test")
        self.announce(self.seat.state, PRESENT)

    def receive(self, sequence: int) -> str:
        """Receives one message, checks it and acknowledges it."""
        self.wait(f"message {sequence}",
                  lambda: self.memory.word(self.inbox.sequence) == sequence)
        text = self.memory.read(self.inbox.text,
                                self.memory.word(self.inbox.length))
        if zlib.crc32(text) != self.memory.word(self.inbox.checksum):
            raise TestbedError(f"message {sequence}, {text!r}, has a wrong "
                               "checksum")
        self.announce(self.inbox.acknowledged, sequence)
        return text.decode("ascii")

    def write_message(self, text: bytes) -> None:
        """Writes a text to the mailbox without announcing it."""
        padded = text.ljust(TEXT_BYTES, b"\0")
        words = (int.from_bytes(padded[i:i + 4], "little")
                 for i in range(0, TEXT_BYTES, 4))
        self.memory.set_words(self.outbox.text, *words)
        self.memory.set_words(self.outbox.length, len(text))
        self.memory.set_words(self.outbox.checksum, zlib.crc32(text))

    def send(self, sequence: int, text: bytes) -> None:
        """Sends one message and waits for its acknowledgement."""
        self.write_message(text)
        self.announce(self.outbox.sequence, sequence)
        self.wait(f"message {sequence} to be acknowledged", lambda:
                  self.memory.word(self.outbox.acknowledged) == sequence)

    def exchange_messages(self) -> list[str]:
        """Receives all messages, then sends its own. Returns the received."""
        numbers = range(1, MESSAGES + 1)
        received = [self.receive(number) for number in numbers]
        for number in numbers:
            self.send(number, f"number {number}".encode())
        return received

    def write_block(self) -> None:
        """Fills this member's block without announcing it."""
        self.memory.write(block_offset(self.SLOT),
                          block(self.peer.id, self.SLOT))

    def exchange_blocks(self) -> None:
        self.write_block()
        self.announce(self.seat.filled, BLOCK_BYTES)
        self.wait("the other block", lambda:
                  self.memory.word(self.other_seat.filled) == BLOCK_BYTES)
        found = self.memory.read(block_offset(self.OTHER), BLOCK_BYTES)
        if found != block(self._other_id, self.OTHER):
            raise TestbedError("the other member's block is wrong")
        self.announce(self.seat.verified(self.OTHER), BLOCK_BYTES)
        self.wait("this member's block to be verified", lambda: self.memory.word(
            self.other_seat.verified(self.SLOT)) == BLOCK_BYTES)
        self.memory.set_words(self.seat.state, DONE)

    def announce(self, offset: int, value: int) -> None:
        """Writes a word that the other member reads, and rings that member."""
        self.memory.set_words(offset, value)
        self.peer.ring(self._other_id)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Checks the condition again after each doorbell."""
        while not condition():
            try:
                self.doorbells += self.peer.wait_for_doorbells(self._timeout)
            except TestbedError as error:
                raise TestbedError(f"waiting for {what}: {error}") from None
