# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands and error messages of ivshmem-rpmsg, with bare-metal remotes.

guest/examples/rpmsg-echo.c sends back each message. guest/tests/rpmsg-talk.c
sends messages and expects them back.
"""

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS, Board
from ivshmem.linux import LinuxGuest
from ivshmem.process import Process
from ivshmem.server import IvshmemServer
from rpmsg_host import BUFFERS, TO_REMOTE
from typist import closes, ends, opens, start_typist, types_and_reads

pytestmark = [
    pytest.mark.zephyr,
    pytest.mark.bed_seconds(240.0),
    pytest.mark.skipif(
        not (artifacts.CHECKOUT / "build/linux/ivshmem-rpmsg").exists(),
        reason="RPMsg on Linux needs open-amp and libmetal of a Zephyr "
        "workspace: see scripts/build-rpmsg"),
]

BOARD = BOARDS[1]
ALL_CAME_BACK = "^rpmsg-talk: 2000 messages came back$"
POWERS_OFF = "^init: powering off$"
PAGE = (artifacts.CHECKOUT / "docs/linux.rst").read_text()


def start_board(bed: Testbed, server: IvshmemServer, program: str,
                board: str = BOARD) -> Board:
    running = bed.board(board, program, server)
    # The board may learn of the host before its QEMU does. It rings again.
    running.expect_error("DOORBELL rings vector 0 of peer .*: no such",
                         most=100, least=0)
    return running


def start_linux(bed: Testbed, server: IvshmemServer,
                *commands: str) -> LinuxGuest:
    return bed.linux(" ; ".join(
        f"ivshmem-rpmsg {command}" for command in commands), server)


def start_failing_linux(bed: Testbed, server: IvshmemServer,
                        *commands: str) -> LinuxGuest:
    linux = start_linux(bed, server, *commands)
    linux.FAILURE = re.compile("panic")
    return linux


def wait_powers_off(bed: Testbed, linux: LinuxGuest) -> None:
    bed.wait("Linux to end", lambda: linux.said(POWERS_OFF))


def check_said(linux: LinuxGuest, *messages: str, status: int = 1) -> None:
    """Each command has failed, with these messages in order."""
    said = [match[1] for match in linux.matches("^ivshmem-rpmsg: (.*)")]
    assert len(said) == len(messages), said
    for line, message in zip(said, messages):
        assert re.fullmatch(message, line)
    assert linux.count(f"^init: ivshmem-rpmsg ended with status {status}$") == (
        len(messages))


@pytest.mark.parametrize("board", BOARDS)
def test_echo(bed: Testbed, board: str) -> None:
    server = bed.server()
    talker = start_board(bed, server, "rpmsg-talk", board)
    linux = start_linux(bed, server, "echo talk 2000")

    wait_powers_off(bed, linux)

    assert linux.said("^sent back 2000 messages$")
    bed.wait("the board to get all messages",
             lambda: talker.said(ALL_CAME_BACK))


def reset(bed: Testbed, board: Board, server: IvshmemServer) -> Board:
    board.qmp.command("system_reset")
    return board


def replace(bed: Testbed, board: Board, server: IvshmemServer) -> Board:
    board.hold()
    board.stop()
    return start_board(bed, server, "rpmsg-talk")


@pytest.mark.parametrize("restart", [reset, replace])
def test_echo_when_the_board_restarts(
        bed: Testbed,
        restart: Callable[[Testbed, Board, IvshmemServer], Board]) -> None:
    server = bed.server()
    board = start_board(bed, server, "rpmsg-talk")
    linux = start_linux(bed, server, "echo talk")
    bed.wait("500 messages", lambda: board.said("^rpmsg-talk: 500 messages"))
    before = 0 if restart is replace else board.count(ALL_CAME_BACK)

    board = restart(bed, board, server)

    bed.wait("all messages", lambda: board.count(ALL_CAME_BACK) > before)
    assert linux.count("^the board has restarted$") == 1
    assert linux.count("^linked with 'talk'$") == 2


@pytest.mark.parametrize("board", BOARDS)
def test_ping_of_a_size_and_a_window(bed: Testbed, board: str) -> None:
    server = bed.server()
    start_board(bed, server, "rpmsg-echo", board)
    linux = start_linux(bed, server, "ping echo 1000", "-w 32 ping echo 1000",
                        "-s 1 ping echo 100", "-s 496 -w 32 ping echo 1000")

    wait_powers_off(bed, linux)

    assert [match[1] for match in linux.matches(
        r"^(\d+ of \d+) messages came back in ")] == [
            f"{count} of {count}" for count in (1000, 1000, 100, 1000)]


def test_console(bed: Testbed) -> None:
    server = bed.server()
    board = start_board(bed, server, "rpmsg-echo")
    linux = start_linux(bed, server, "console echo")

    for link in (1, 2):
        bed.wait("Linux and the board to link",
                 lambda: linux.count("^linked with") == link)
        linux.type(f"hello, board {link}")
        # Once from the terminal's echo, once from the board
        bed.wait("the board's answer",
                 lambda: linux.count(f"^hello, board {link}$") == 2)
        board.qmp.command("system_reset")


def unreturned_buffers(server: IvshmemServer) -> int:
    """How many messages to the board it has not read."""
    available, used = (int.from_bytes(server.memory.read(
        TO_REMOTE + offset, 2), "little") for offset in (0x202, 0x24A))
    return (available - used) % 0x10000


def test_host_that_waits_for_a_buffer_when_the_board_restarts(
        bed: Testbed) -> None:
    server = bed.server()
    board = start_board(bed, server, "rpmsg-echo")
    linux = start_linux(bed, server, "console echo")
    bed.wait("the link", lambda: linux.said("^linked with 'echo'$"))
    board.qmp.command("stop")
    for line in range(BUFFERS + 1):
        linux.type(f"line {line}")
    bed.wait("all buffers to be in use",
             lambda: unreturned_buffers(server) == BUFFERS)

    board.qmp.command("system_reset")
    board.qmp.command("cont")

    bed.wait("the link", lambda: linux.count("^linked with 'echo'$") == 2)
    linux.type("hello, board")
    bed.wait("the answer", lambda: linux.count("^hello, board$") == 2)


def test_pty(bed: Testbed, tmp_path: Path) -> None:
    """A program can open and close the terminal, and the board can restart."""
    server = bed.server()
    board = start_board(bed, server, "rpmsg-echo")
    linux = start_typist(bed, server, tmp_path, "echo")

    opens(bed, linux)
    types_and_reads(bed, linux, "hello, board")
    closes(bed, linux)
    opens(bed, linux)
    types_and_reads(bed, linux, "hello again")
    board.qmp.command("system_reset")
    bed.wait("Linux and the board to link",
             lambda: linux.count("^linked with 'echo'$") == 2)
    types_and_reads(bed, linux, "hello, new board")
    ends(bed, linux)
    wait_powers_off(bed, linux)


def test_pty_without_devpts(bed: Testbed) -> None:
    linux = start_failing_linux(bed, bed.server(), "pty echo")

    wait_powers_off(bed, linux)

    check_said(linux, "cannot make a pseudo-terminal: No such file or directory: it "
               "needs the file system devpts at /dev/pts")


def start_as_the_page_says(bed: Testbed, server: IvshmemServer,
                           program: str) -> Process:
    command, = re.findall(rf"^ +((?:\S+/)?{program} (?:.*\\\n)*.*)$",
                          PAGE.split("\nRPMsg\n---")[1], re.MULTILINE)
    argv = [re.sub("^build/", f"{artifacts.CHECKOUT}/build/", word).replace(
        "/tmp/ivshmem_socket", str(server.socket))
        for word in shlex.split(command.replace("\\\n", ""))]
    if program == "qemu-system-arm":
        argv[0] = str(artifacts.qemu_system("arm"))
    else:
        argv[0] = str(artifacts.qemu_system_aarch64())
    process = bed.program(program, argv)
    process.expect_error("terminating on signal 15 from pid")
    return process


def test_page_of_linux(bed: Testbed) -> None:
    """The commands in docs/linux.rst, with this test's server and QEMU."""
    server = bed.server()
    start_as_the_page_says(bed, server, "qemu-system-arm")
    linux = start_as_the_page_says(bed, server, "qemu-system-aarch64")
    bed.wait("Linux and the board to link",
             lambda: linux.said("^linked with 'echo'$"))

    linux.type("hello, board")

    bed.wait("the board's answer", lambda: linux.count("^hello, board$") == 2)


@pytest.mark.skipif("ZEPHYR_BASE" not in os.environ,
                    reason="ZEPHYR_BASE is not set")
def test_page_of_linux_has_the_versions_of_zephyr() -> None:
    manifest = (Path(os.environ["ZEPHYR_BASE"]) / "west.yml").read_text()
    versions = re.findall(r"git -C build/(\S+) checkout (\w+)", PAGE)

    assert dict(versions).keys() == {"open-amp", "libmetal"}
    for name, version in versions:
        assert f"- name: {name}\n      revision: {version}\n" in manifest


def test_no_remote(bed: Testbed) -> None:
    server = bed.server()
    linux = start_failing_linux(bed, server, *(
        f"-t 1 {command} echo" for command in ("ping", "echo", "console")))

    wait_powers_off(bed, linux)

    check_said(linux, *3 * ["no board has entered the name 'remote'"])


def test_service_that_is_not_announced(bed: Testbed) -> None:
    server = bed.server()
    start_board(bed, server, "rpmsg-echo")
    linux = start_failing_linux(bed, server, *(
        f"-t 2 {command} song" for command in ("ping", "echo", "console")))

    wait_powers_off(bed, linux)

    check_said(linux, *3 * [
        "peer 0, the board, did not announce the service 'song'"])


def test_stale_name_of_a_board(bed: Testbed) -> None:
    server = bed.server()
    board = start_board(bed, server, "rpmsg-echo")
    bed.wait("the board to wait", lambda: board.said("waiting for the host"))
    board.stop()
    linux = start_failing_linux(bed, server, "-t 2 ping echo")

    wait_powers_off(bed, linux)

    check_said(linux, "peer 0, the board, did not start a session")


def test_board_that_stops_answering(bed: Testbed) -> None:
    server = bed.server()
    board = start_board(bed, server, "rpmsg-echo")
    linux = start_failing_linux(bed, server, "-t 3 ping echo 1000000")
    bed.wait("Linux and the board to link",
             lambda: linux.said("^linked with 'echo'$"))

    board.qmp.command("stop")
    wait_powers_off(bed, linux)

    check_said(linux, "a message did not come back in time")


def test_two_hosts(bed: Testbed) -> None:
    """The second host gets the link, and the first one says so and ends."""
    server = bed.server()
    start_board(bed, server, "rpmsg-echo")
    first = start_failing_linux(bed, server, "ping echo 1000000")
    bed.wait("the first host to link", lambda: first.said("^linked with"))
    second = start_linux(bed, server, "ping echo 1000")

    wait_powers_off(bed, second)
    wait_powers_off(bed, first)

    assert second.said("^1000 of 1000 messages came back in ")
    check_said(first, "peer 2 also uses the name 'host', and has the link: "
               "stop one of them")


# The kernel passes at most 32 words to init.
@pytest.mark.parametrize("commands, messages", [
    (("", "ping", "sing echo", "console echo 3"),
     ("a command is missing",
      "wrong number of arguments: use 'ping SERVICE \\[COUNT\\]'",
      "there is no command 'sing'",
      "wrong number of arguments: use 'console SERVICE'")),
    (("-s 497 ping echo", "-w 0 ping echo", "echo echo 0",
      "-d none ping echo 1x"),
     ("BYTES '497' must be a number from 1 to 496",
      "COUNT '0' must be a number from 1 to 32",
      "COUNT '0' must be a number from 1 to 4294967294",
      "COUNT '1x' must be a number from 1 to 4294967294")),
])
def test_wrong_commands(bed: Testbed, commands: tuple[str, ...],
                        messages: tuple[str, ...]) -> None:
    linux = start_failing_linux(bed, bed.server(), *commands)

    wait_powers_off(bed, linux)

    check_said(linux, *messages, status=2)
