# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's firmware with a member on the host.

The firmware must follow guest/demo/protocol.h, ring once for each step, and
report a member that breaks the protocol.
"""

from collections.abc import Callable

import pytest

from ivshmem import Testbed, demo
from ivshmem.board import BOARDS, Board
from ivshmem.demo import Lobby, MESSAGES, Seat
from demo_peer import Member


def start(bed: Testbed, board: str) -> tuple[Board, Member]:
    """A board that waits for a peer, and a member that has not joined yet."""
    server = bed.server()
    running = bed.board(board, "demo", server)
    bed.wait("the board to be present", lambda: server.memory.word(
        Seat(0).state) == demo.PRESENT)
    return running, Member(bed.peer(server), server.memory, bed.remaining())


@pytest.mark.parametrize("board", BOARDS)
def test_every_step_rings_once(bed: Testbed, board: str) -> None:
    running, member = start(bed, board)

    member.join(member.peer.id)
    received = member.exchange_messages()
    member.exchange_blocks()
    bed.wait("the board to finish", lambda: running.said(demo.RESULT))

    assert len(set(received)) == MESSAGES
    assert member.memory.word(Seat(0).state) == demo.DONE
    # Messages, acknowledgements, the block, the check of the member's block
    doorbells = member.doorbells + member.peer.take_doorbells()
    assert doorbells == MESSAGES + MESSAGES + 1 + 1


def wrong_checksum(member: Member) -> None:
    member.join(member.peer.id)
    member.write_message(b"honest")
    member.memory.set_words(member.outbox.checksum, 0xBAD)
    member.announce(member.outbox.sequence, 1)


def message_left_out(member: Member) -> None:
    member.join(member.peer.id)
    member.write_message(b"the second")
    member.announce(member.outbox.sequence, 2)


def message_too_long(member: Member) -> None:
    member.join(member.peer.id)
    member.memory.set_words(member.outbox.length, demo.TEXT_BYTES + 1)
    member.announce(member.outbox.sequence, 1)


def acknowledged_too_much(member: Member) -> None:
    member.join(member.peer.id)
    member.announce(member.inbox.acknowledged, 4)


def wrong_byte(member: Member) -> None:
    member.join(member.peer.id)
    member.exchange_messages()
    member.write_block()
    last = demo.block_offset(Member.SLOT) + demo.BLOCK_BYTES - 1
    byte = member.memory.read(last, 1)[0]
    member.memory.write(last, bytes([byte ^ 1]))
    member.announce(member.seat.filled, demo.BLOCK_BYTES)


def giving_up(member: Member) -> None:
    member.join(member.peer.id)
    member.announce(member.seat.state, demo.FAILED)


def changing_id(member: Member) -> None:
    member.join(member.peer.id)
    member.receive(1)
    member.announce(member.seat.id, 7)


def id_of_another(member: Member) -> None:
    member.join(0)


def id_out_of_range(member: Member) -> None:
    member.join(0x10000)


@pytest.mark.parametrize("wrong, complaint", [
    (wrong_checksum, r"message 1 from id 1 has checksum 0xbad, its text has "
                     r"0x[0-9a-f]+"),
    (message_left_out, "message 2 from id 1, expected 1"),
    (message_too_long, "message 1 from id 1 is 65 bytes long, must be 1 "
                       "to 64"),
    (acknowledged_too_much, "id 1 acknowledged message 4 when [01] were sent"),
    (wrong_byte, r"block of id 1 holds 0x[0-9a-f]+ at byte 1048572, expected "
                 r"0x[0-9a-f]+"),
    (giving_up, "id 1 gave up"),
    (changing_id, "the ID in slot 1 was 1 and is 7 now"),
    (id_of_another, "slots 0 and 1 both say that their ID is 0"),
    (id_out_of_range, "slot 1 says that its ID is 65536"),
])
def test_protocol_error_is_caught(
        bed: Testbed, wrong: Callable[[Member], None], complaint: str) -> None:
    running, member = start(bed, BOARDS[0])

    wrong(member)

    bed.wait_for_failure(running, f"demo: FAILED {complaint}$")
    assert member.memory.word(Seat(0).state) == demo.FAILED


@pytest.mark.parametrize("expected", [1, demo.MEMBERS_MAX + 1])
def test_impossible_number_of_members(bed: Testbed, expected: int) -> None:
    server = bed.server()
    server.memory.set_words(Lobby.EXPECTED, expected)

    board = bed.board(BOARDS[0], "demo", server)

    bed.wait_for_failure(board, f"FAILED the lobby expects {expected} members, "
                         "must be 2 to 3")
