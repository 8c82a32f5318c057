# SPDX-License-Identifier: GPL-2.0-or-later
"""Throughput of a checked stream between two boards: through a ring buffer in
shared memory, and through UARTs joined by a socket.

The boards run guest/bench/stream.c, or uart-send.c and uart-receive.c. The
receiver's UART has a FIFO: without one, the stream is several times slower.
"""

from __future__ import annotations

from board import BOARD, microseconds
from measure import Measurement, Ratio, Subject
from ivshmem import Testbed
from ivshmem.board import Board
from ivshmem.memory import MIB

BOARD_WITH_FIFO = "lm3s6965evb"

BYTES = 64 * MIB
LISTENS = 0x40

PATIENCE_SECONDS = 20.0

OURS = "ivshmem-flat"
UARTS = "UARTs"


def through_memory() -> float:
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server()
        server.memory.set_words(0, BYTES // 4)
        bed.board(BOARD, "stream", server)
        bed.wait("the receiver to listen", lambda: server.memory.word(LISTENS))
        return _speed(bed, bed.board(BOARD, "stream", server))


def through_uarts() -> float:
    with Testbed(PATIENCE_SECONDS) as bed:
        socket = f"path={bed.directory()}/uart.sock"
        sender = bed.board(BOARD, "uart-send", device=_uart(
            f"{socket},server=on,wait=off"))
        bed.wait("the sender to be ready", lambda: sender.said("ready$"))
        bed.board(BOARD_WITH_FIFO, "uart-receive", device=_uart(socket))
        return _speed(bed, sender)


def _uart(socket: str) -> list[str]:
    """The second UART of a board. The first is its console."""
    return ["-chardev", f"socket,id=uart,{socket}", "-serial", "chardev:uart"]


def _speed(bed: Testbed, sender: Board) -> float:
    """Waits for the whole stream. In MB/s."""
    length, ticks = bed.wait("all bytes to be checked", lambda: sender.said(
        r": sent bytes=(\d+) ticks=(\d+)$")).groups()
    return int(length) / microseconds(ticks)


MEASUREMENTS = [
    Measurement(
        "stream", "a stream from board to board, checked byte for byte", "MB/s",
        [Subject(OURS, through_memory), Subject(UARTS, through_uarts)],
        [Ratio(OURS, UARTS, goal=100)],
        better="more"),
]
