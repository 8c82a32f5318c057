# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMsg on bare metal: guest/examples/rpmsg-echo.c with ivshmem-rpmsg.h."""

import struct
from collections.abc import Callable

import pytest

from boards import expect_returns, returning_device, with_early_rings
from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS, Board
from ivshmem.process import TestbedError
from ivshmem.server import IvshmemServer
from rpmsg_host import (ADDRESS, BUFFERS, BUFFER_BYTES, MESSAGE_MAX,
                        RpmsgHost)

WINDOW = 0x400000
SPARE = 0x20000  # after the link

boards = pytest.mark.parametrize("name", BOARDS)


def message(number: int) -> bytes:
    """A message. Sizes grow with the number from 1 byte to the longest, then
    start again."""
    size = 1 + number % MESSAGE_MAX
    return (struct.pack("<I", number * 0x9E3779B1 & 0xFFFFFFFF) * 124)[:size]


def start(bed: Testbed, server: IvshmemServer, name: str) -> Board:
    return with_early_rings(bed.board(name, "rpmsg-echo", server))


def linked(bed: Testbed, name: str) -> tuple[IvshmemServer, Board, RpmsgHost]:
    server = bed.server()
    board = start(bed, server, name)
    host = RpmsgHost(bed, bed.peer(server))
    host.connect()
    return server, board, host


@boards
@pytest.mark.parametrize("host_first", [True, False])
def test_messages_of_each_size(bed: Testbed, name: str,
                               host_first: bool) -> None:
    server = bed.server()
    if host_first:
        host = RpmsgHost(bed, bed.peer(server))
    board = start(bed, server, name)
    if not host_first:
        bed.wait("the board to wait", lambda: board.said("waiting for the host"))
        host = RpmsgHost(bed, bed.peer(server))
    host.connect()

    for number in range(MESSAGE_MAX):
        assert host.answers(message(number)), f"message {number}"
    board.check_idle()


@boards
def test_host_that_is_not_ready(bed: Testbed, name: str) -> None:
    """The board must not use the host's buffers until the host says that it is
    ready, even if the host rings."""
    server = bed.server()
    board = start(bed, server, name)
    host = RpmsgHost(bed, bed.peer(server))

    def look() -> None:
        host.ring()
        board.check_idle()
        assert host.is_silent()

    host.connect(look)
    assert host.answers(message(0))


@boards
def test_many_at_a_time(bed: Testbed, name: str) -> None:
    """All buffers are in use at once, until the vrings' 16-bit indices have
    wrapped around."""
    _, _, host = linked(bed, name)
    for burst in range(0, 70000, BUFFERS):
        for number in range(burst, burst + BUFFERS):
            host.send(message(number)[:8])
        for number in range(burst, burst + BUFFERS):
            assert host.receive()[2] == message(number)[:8], f"message {number}"


@boards
def test_host_that_keeps_buffers(bed: Testbed, name: str) -> None:
    """While the host keeps all its buffers, the board leaves further messages
    in the vring. It must lose none."""
    _, board, host = linked(bed, name)
    for number in range(BUFFERS):
        host.send(message(number))
    for number in range(BUFFERS):
        assert host.receive(is_kept=True)[2] == message(number)

    for number in range(BUFFERS):
        host.send(message(1000 + number))
    board.check_idle()
    assert host.in_use() == BUFFERS and host.is_silent()

    host.give_back()
    for number in range(BUFFERS):
        assert host.receive()[2] == message(1000 + number)


@boards
def test_host_restarts(bed: Testbed, name: str) -> None:
    """The host restarts while messages are under way, first with another ID,
    then with the same ID."""
    server, board, host = linked(bed, name)
    for number in range(3):
        for burst in range(BUFFERS // 2):
            host.send(message(burst))
        peer = bed.peer(server)
        host = RpmsgHost(bed, peer)
        host.connect()
        assert host.answers(message(number))
        host = RpmsgHost(bed, peer)
        host.connect()
        assert host.answers(message(number))
    bed.wait("the board to link again", lambda: board.count("linked") == 7)
    assert board.count("the host is gone") == 6


def reset(bed: Testbed, board: Board, server: IvshmemServer) -> Board:
    board.qmp.command("system_reset")
    return board


def replace(bed: Testbed, board: Board, server: IvshmemServer) -> Board:
    board.hold()
    board.stop()
    return start(bed, server, board.kind)


@boards
@pytest.mark.parametrize("restart", [reset, replace])
def test_board_restarts(
        bed: Testbed, name: str,
        restart: Callable[[Testbed, Board, IvshmemServer], Board]) -> None:
    server, board, host = linked(bed, name)
    for number in range(3):
        for burst in range(BUFFERS // 2):
            host.send(message(burst))
        before = host.start_of_remote()
        board = restart(bed, board, server)
        bed.wait("the board to restart", lambda: host.has_restarted(before))
        host.connect()
        assert host.answers(message(number))


@boards
def test_name_of_a_board_that_runs(bed: Testbed, name: str) -> None:
    """If a second board enters the same name, it gets the link, and the older
    board does not take it back."""
    server, older, _ = linked(bed, name)
    newer = start(bed, server, name)
    bed.wait("the older board to lose the link",
             lambda: older.said("the host is gone"))

    host = RpmsgHost(bed, bed.peer(server))
    host.connect()
    for number in range(MESSAGE_MAX):
        assert host.answers(message(number)), f"message {number}"

    assert newer.count("linked") == 1 and newer.count("is gone") == 0
    assert older.count("linked") == 1
    older.check_idle()


@boards
def test_server_returns_with_new_memory(bed: Testbed, name: str) -> None:
    """After a server restart with empty memory, the board enters its name and
    links again."""
    server = bed.server()
    board = with_early_rings(bed.board(
        name, "rpmsg-echo", device=returning_device(name, server.socket)))
    expect_returns(board, 1)
    host = RpmsgHost(bed, bed.peer(server))
    host.connect()
    assert host.answers(b"before")

    server.stop()
    server = bed.server(socket=server.socket)
    host = RpmsgHost(bed, bed.peer(server))
    host.connect()
    assert host.answers(b"after")


@boards
def test_announcement_that_nobody_heard(bed: Testbed, name: str) -> None:
    """If the host misses the announcement, the board keeps ringing."""
    server = bed.server()
    board = start(bed, server, name)
    host = RpmsgHost(bed, bed.peer(server))

    host.connect(when_announced=lambda: (
        bed.wait("a doorbell", lambda: host.rings() > 0),
        bed.wait("another doorbell", lambda: host.rings() > 0)))
    assert host.answers(message(0))
    board.check_idle()


@boards
def test_message_to_another_endpoint(bed: Testbed, name: str) -> None:
    """The board drops a message to an unknown endpoint. It returns the buffer,
    and does not ring for that, as the host asked."""
    _, _, host = linked(bed, name)
    for _ in range(2):
        # In the first round a ring for the announcement may still arrive.
        host.rings()
        for number in range(BUFFERS):
            host.send(message(number), destination=0x500)
        bed.wait("all buffers to return", lambda: host.in_use() == 0)
    assert host.rings() == 0
    assert host.answers(message(1))


@boards
@pytest.mark.parametrize("address, size", [
    (ADDRESS - 4, BUFFER_BYTES),
    (ADDRESS + WINDOW, BUFFER_BYTES),
    (ADDRESS + WINDOW - 24, BUFFER_BYTES),
    (ADDRESS + SPARE + 1, BUFFER_BYTES),
    (ADDRESS + SPARE + 2, BUFFER_BYTES),
    (ADDRESS + SPARE + (1 << 32), BUFFER_BYTES),
    (ADDRESS + SPARE, 15),
    (ADDRESS + SPARE, 0xFFFFFFFF),
    (0, 0),
])
def test_descriptor_with_nonsense(bed: Testbed, name: str, address: int,
                                  size: int) -> None:
    """A bad descriptor for a message to the board is skipped. If those for its
    answers are bad, the board waits until the host restarts. On mps2-an385 a
    bad access would fault."""
    server, board, host = linked(bed, name)
    if 0 <= (offset := (address & 0xFFFFFFFF) - ADDRESS) < WINDOW:
        host.put_message(offset, b"not here")
    host.to_remote.describe(5, address, size)
    for number in range(BUFFERS):
        host.send(message(number))
    for number in range(BUFFERS - 1):
        host.receive()
    bed.wait("all buffers to return", lambda: host.in_use() == 0)
    assert host.is_silent()

    for number in range(BUFFERS):
        host.to_host.describe(number, address, size)
    host.send(b"to be sent back")
    board.check_idle()
    assert host.in_use() == 1 and host.is_silent()

    host = RpmsgHost(bed, bed.peer(server))
    host.connect()
    assert host.answers(b"to be sent back")


@boards
def test_lengths_and_numbers_with_nonsense(bed: Testbed, name: str) -> None:
    _, _, host = linked(bed, name)
    host.send(b"short", size=0xFFFF)
    host.send(b"short", size=MESSAGE_MAX + 1)

    host.put_message(SPARE, b"not here")
    host.to_remote.describe(0xFFFF, ADDRESS + SPARE, BUFFER_BYTES)
    host.to_remote.make_available(0xFFFF)
    host.ring()
    assert host.answers(b"and goes on")
    bed.wait("all buffers to return", lambda: host.in_use() == 0)


@pytest.mark.zephyr
@pytest.mark.bed_seconds(120.0)
@pytest.mark.parametrize("zephyr_board", BOARDS)
@boards
def test_with_zephyr(bed: Testbed, name: str, zephyr_board: str) -> None:
    """Zephyr as the host sends 1,000 messages, and again after each end
    restarts."""
    try:
        artifacts.zephyr(zephyr_board, "rpmsg_echo_host")
    except TestbedError:
        pytest.skip("RPMsg needs Zephyr's modules open-amp and libmetal")
    server = bed.server()
    all_came = "^echo: 1000 of 1000 messages came back$"
    zephyr = bed.zephyr(zephyr_board, "rpmsg_echo_host", server)
    board = start(bed, server, name)
    bed.wait("all messages", lambda: zephyr.count(all_came) == 1)

    board = replace(bed, board, server)
    bed.wait("all messages", lambda: zephyr.count(all_came) == 2)

    zephyr.qmp.command("system_reset")
    bed.wait("all messages", lambda: zephyr.count(all_came) == 3)
    board.check_idle()


@pytest.mark.zephyr
@pytest.mark.bed_seconds(240.0)
@pytest.mark.skipif(
    not (artifacts.CHECKOUT / "build/linux/ivshmem-rpmsg").exists(),
    reason="RPMsg on Linux needs open-amp and libmetal of a Zephyr workspace")
@boards
def test_with_linux(bed: Testbed, name: str) -> None:
    """Linux as the host: guest/linux/rpmsg.c."""
    server = bed.server()
    start(bed, server, name)
    linux = bed.linux("ivshmem-rpmsg ping echo 3000", server)
    bed.wait("Linux to end", lambda: linux.said("^init: powering off$"))
    assert linux.said("^3000 of 3000 messages came back in ")
