# SPDX-License-Identifier: GPL-2.0-or-later
"""python/ivshmem-run as a user runs it and stops it."""

import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import trace_event_format
from boards import if_built
from ivshmem import Testbed, artifacts
from ivshmem.board import BOARDS
from ivshmem.boards import WIRINGS
from ivshmem.memory import MIB
from ivshmem.run import main
from ivshmem.run_options import (LINUX_COMMAND, Guest, Misuse, parse_guest,
                                 parse_size)
from ivshmem.version import VERSION
from running import SECONDS, Command, eventually, program, runs

KIB = 1024


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Command]:
    command = Command("python/ivshmem-run", tmp_path)
    yield command
    command.kill()


def elf(board: str, name: str) -> str:
    return f"{board}={artifacts.CHECKOUT}/build/firmware/{board}/{name}.elf"


ECHO = [elf(board, "echo") for board in BOARDS]


def gdb(port: str, *packets: str) -> bytes:
    """Sends packets to QEMU's gdbstub. Returns its answer to the first one."""
    answer = b""
    with socket.create_connection(("127.0.0.1", int(port)), SECONDS) as stub:
        for packet in packets:
            checksum = sum(packet.encode()) & 0xFF
            stub.sendall(f"+${packet}#{checksum:02x}".encode())
            while not re.search(rb"#\w\w", answer):
                more = stub.recv(100)
                assert more, "QEMU has ended"
                answer += more
        if packets[-1] == "k":
            with suppress(ConnectionResetError):
                while stub.recv(100):  # until QEMU has ended
                    pass
    return answer


@pytest.mark.parametrize("word, guest", [
    ("microbit=your.elf", Guest("microbit", "your.elf")),
    ("microbit=a,your.elf,id=3", Guest("microbit", "a,your.elf", 3)),
    ("microbit=your.elf,options=-d int,exec -s",
     Guest("microbit", "your.elf", None, ("-d", "int,exec", "-s"))),
    ("microbit=your.elf,id=0,options=-name 'x y',id=2",
     Guest("microbit", "your.elf", 0, ("-name", "x y,id=2"))),
    ("linux", Guest("linux", LINUX_COMMAND)),
    ("linux=demo,id=65535", Guest("linux", "demo", 65535)),
    ("linux,id=4", Guest("linux", LINUX_COMMAND, 4)),
])
def test_guest(word: str, guest: Guest) -> None:
    assert parse_guest(word) == guest


@pytest.mark.parametrize("text, size", [
    ("4096", 4096), ("64K", 64 * KIB), ("4m", 4 * MIB), ("1G", 1024 * MIB)])
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "2K", "5M", "4MB", "-4M", ""])
def test_impossible_size(text: str) -> None:
    with pytest.raises(Misuse):
        parse_size(text)


@pytest.mark.parametrize("arguments, complaint", [
    ([], "no guests: name at least one BOARD=ELF, or see --help"),
    (["microbit"], "'microbit': use BOARD=ELF or linux"),
    (["mps2-an386x=your.elf"],
     "unknown board 'mps2-an386x': did you mean mps2-an386 or .*\\? "
     "`ivshmem-run --boards` lists all boards"),
    (["raspberry=your.elf"], "unknown board 'raspberry': `ivshmem-run --b"),
    (["microbit=your.elf,id=70000"], "id=70000: must be from 0 to 65535"),
    (["microbit=a,b=your.elf"], "unknown setting 'b=': use id= or options="),
    (["microbit=your.elf,name=b"],
     "unknown setting 'name=': use id= or options="),
    (["microbit=your.elf,id=1,id=2"], "id=2': id= is given twice"),
    (["microbit=your.elf,id=1,x"], "'x' is not NAME=VALUE"),
    (["microbit=your.elf,options='"], "options: No closing quotation"),
    (["microbit=your.elf,id=5", "linux,id=5"], "id=5 is given twice"),
    (["--server", "/a.sock", "microbit=your.elf,id=5"],
     "id=5 does not work with --server: .* --socket PATH,id=5"),
    (["--size", "5M", "linux"], "--size 5M: must be a power of two"),
    (["--vectors", "0", "linux"], "--vectors 0: must be from 1 to 64"),
    (["--timeout", "0", "linux"], "--timeout 0: must be above 0"),
    (["--timeline", "a", "linux"], "--timeline needs a board: Linux is not"),
])
def test_misuse(capsys: pytest.CaptureFixture[str], arguments: list[str],
                complaint: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    output, errors = capsys.readouterr()
    assert output == "" and re.search(f"error: .*{complaint}", errors), errors


@pytest.mark.parametrize("arguments, complaint", [
    (["microbit=/nowhere.elf"],
     "microbit: there is no image /nowhere.elf: build it first"),
    (["--server", "/nowhere", *ECHO], "--server /nowhere does not exist: "
     "start one with `ivshmemd -S /nowhere`, or leave out --server"),
    (["--server", "/etc/passwd", *ECHO], "/etc/passwd is not a socket"),
    (["--timeline", "/etc/passwd", *ECHO], "/etc/passwd: File exists"),
    (["--qemu", "/nowhere", *ECHO], "--qemu /nowhere: /nowhere is missing"),
    (["--qemu", "/etc", *ECHO], "/etc/qemu-system-arm is missing or not"),
    (["--qemu", "/bin/true", "sifive_e=/etc/passwd", *ECHO],
     "is one program, but the boards need qemu-system-arm and "
     "qemu-system-riscv32: use a directory"),
])
def test_what_is_missing(run: Command, arguments: list[str],
                         complaint: str) -> None:
    status, output, errors = run.run(*arguments)

    assert (status, output) == (1, "")
    assert complaint in errors


def test_version(run: Command) -> None:
    assert run.run("--version") == (0, f"ivshmem-run {VERSION}\n", "")


def test_boards_are_listed(run: Command) -> None:
    status, output, _ = run.run("--boards")

    assert status == 0
    assert [line.split()[0] for line in output.splitlines()[1:]] == [*WIRINGS]


def end_guests(run: Command, *names: str) -> None:
    """Ends guests over their gdbstubs, as firmware cannot end QEMU."""
    for name in names:
        gdb(run.wait_for(rf" {name} \| GDB: gdb-multiarch \S+ -ex "
                         r"'target remote 127\.0\.0\.1:(\d+)'$")[1], "?", "k")
    status, _, errors = run.finish()

    assert (status, errors) == (0, "")
    assert run.left_over() == []


@pytest.mark.parametrize("first, second", [
    BOARDS, if_built("sifive_e", "leon3_generic")])
def test_guests_talk_until_all_have_ended(run: Command, first: str,
                                          second: str) -> None:
    boards = (first, second)
    run.start("--gdb", *(elf(board, "demo") for board in boards))
    for number, board in enumerate(boards):
        run.wait_for(rf"{board} \| has peer ID {number}$")
        run.wait_for(rf"{board} \| demo: ok id={number} peers=1 ")
    end_guests(run, *boards)


def test_guest_output_is_not_a_failure(run: Command) -> None:
    run.start("--gdb", *(elf(board, "demo") for board in (*BOARDS, BOARDS[0])))
    run.wait_for("FAILED the lobby is full, 2 of 2")

    end_guests(run, *BOARDS, f"{BOARDS[0]}.2")


def test_cpus_wait_for_gdb(run: Command) -> None:
    run.start("--gdb-wait", ECHO[1])
    port = run.wait_for(r":(\d+)' \(CPUs wait for GDB\)$")[1]
    run.wait_for("has peer ID 0")

    image = Path(ECHO[1].partition("=")[2]).read_bytes()
    entry = image[24:28]  # e_entry, with bit 0 set for Thumb
    registers = gdb(port, "g")[2:]  # r0 to r15 first, 8 digits each
    pc = bytes.fromhex(registers[15 * 8:16 * 8].decode())
    assert pc == bytes([entry[0] & ~1, *entry[1:]])
    with socket.create_connection(("127.0.0.1", int(port)), SECONDS) as stub:
        stub.sendall(b"+$c#63")
        run.wait_for("echo: listening id=0")


def test_linux_ends_by_itself(run: Command) -> None:
    """A Linux guest gets the given size and ID, and ends the run."""
    run.start("--size", "64K", "linux=ivshmem info,id=9")
    status, output, errors = run.finish()

    assert (status, errors) == (0, "")
    assert re.search(r"linux \| needs about \d+ s to start$", output,
                     re.MULTILINE)
    assert re.search(r"linux \| own ID 9$", output, re.MULTILINE)
    assert re.search(r"linux \| memory 65536 bytes$", output, re.MULTILINE)


def test_peer_ids_and_interruption(run: Command) -> None:
    """Guests get the IDs they ask for, and SIGINT ends all of them. There are
    more guests than colors."""
    run.start(f"{ECHO[0]},id=7", ECHO[1], f"{ECHO[1]},id=65535", ECHO[1])
    for name, own_id in (("lm3s6965evb", 7), ("mps2-an385", 0),
                         ("mps2-an385.2", 65535), ("mps2-an385.3", 1)):
        run.wait_for(rf"{name} \| has peer ID {own_id}$")
        run.wait_for(rf"{name} \| echo: listening id={own_id}$")
    children = run.children()

    run.process.send_signal(signal.SIGINT)
    status, _, errors = run.finish()

    assert status == 130
    assert "ivshmem-run: stopped by SIGINT" in errors
    assert not any(map(runs, children.values()))
    assert run.left_over() == []


def test_lines_are_in_order_of_time(run: Command) -> None:
    """Boards write while others start. Lines of the same moment may be in any
    order, because each console has its own thread."""
    run.start(*ECHO, *ECHO)
    run.wait_for("echo: listening id=3")
    times = [float(line.split()[0]) for line in run.output().splitlines()]

    assert len(times) == 9  # one of the server, two of each board
    assert all(later > time - 0.02 for time, later in zip(times, times[1:]))


@pytest.mark.parametrize("victim", ["ivshmemd", "mps2-an385"])
def test_death_of_a_process_is_reported(run: Command, victim: str) -> None:
    run.start(ECHO[1])
    run.wait_for("echo: listening")
    children = run.children()
    server = children["ivshmemd"]
    qemu, = set(children.values()) - {server}

    os.kill(server if victim == "ivshmemd" else qemu, signal.SIGKILL)
    status, _, errors = run.finish()

    assert status == 1
    assert f"{victim} was killed by SIGKILL" in errors
    assert not runs(server) and not runs(qemu)
    assert run.left_over() == []


def test_firmware_that_locks_up(run: Command, tmp_path: Path) -> None:
    """The message names the fault, not the registers that QEMU wrote last."""
    image = tmp_path / "zeros"
    image.write_bytes(bytes(64))
    status, _, errors = run.run(f"mps2-an385={image}")

    assert status == 1
    assert re.fullmatch(
        "ivshmem-run: failed: (waiting for the guests to end: )?"
        "mps2-an385 was killed by SIGABRT:\n"
        "    qemu: fatal: Lockup: .*", errors.strip())


def test_qemu_that_does_not_start(run: Command) -> None:
    status, _, errors = run.run(ECHO[0], f"{ECHO[1]},options=-nonsense")

    assert status == 1
    assert "mps2-an385 ended with status 1:" in errors
    assert "-nonsense: invalid option" in errors
    assert run.left_over() == []


def test_qemu_without_the_device(
        run: Command, tmp_path_factory: pytest.TempPathFactory) -> None:
    status, _, errors = run.run("--qemu", program(
        tmp_path_factory, "echo \"qemu: -device ivshmem-flat: 'ivshmem-flat' "
        "is not a valid device model name\" >&2; exit 1"), ECHO[1])

    assert status == 1
    assert "this QEMU does not support -device ivshmem-flat" in errors


def test_time_limit(run: Command) -> None:
    status, _, errors = run.run("--timeout", "0.5", *ECHO)

    assert status == 1
    assert ("--timeout of 0.5 s expired, still running: lm3s6965evb, "
            "mps2-an385") in errors
    assert run.left_over() == []


def test_users_own_server(bed: Testbed, run: Command) -> None:
    """With --server, the server and its other clients stay. The socket's name
    has a comma, which QEMU's options must escape."""
    server = bed.server(size=64 * KIB, vectors=2,
                        socket=bed.directory() / "a,b")
    peer = bed.peer(server, 2)
    run.start("--server", os.path.relpath(server.socket), "--size", "64K",
              "--vectors", "2", ECHO[1])
    peer.wait_for_peer(1, bed.remaining())
    run.wait_for("echo: listening id=1")
    assert list(run.children()) == [artifacts.qemu_system("arm").name[:15]]

    server.memory.set_words(0, peer.id << 16 | 1)
    peer.ring(1)
    peer.wait_for_doorbells(SECONDS, vector=1)

    run.process.terminate()
    assert run.finish()[0] == 128 + signal.SIGTERM
    peer.wait_for_departure(1, bed.remaining())


def test_server_is_gone(run: Command, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    status, _, errors = run.run("--server", str(tmp_path / "socket"), *ECHO)

    assert status == 1
    assert f"{tmp_path}/socket: no server listens there: start one" in errors


def test_server_has_another_size(bed: Testbed, run: Command) -> None:
    status, _, errors = run.run(
        "--server", str(bed.server(size=64 * KIB).socket), ECHO[1])

    assert status == 1
    assert "shmem-size is 4194304 bytes, but server's shared memory has 65536" \
        in errors


def test_timeline(run: Command, tmp_path: Path) -> None:
    """--timeline writes a timeline even if the run is interrupted. Doorbells
    have their interrupts."""
    directory = tmp_path / "some" / "where"
    run.start("--timeline", str(directory),
              *(elf(board, "demo") for board in (BOARDS[1], BOARDS[1])))
    run.wait_for(r"mps2-an385\.2 \| demo: ok ")
    run.process.send_signal(signal.SIGINT)
    status, output, errors = run.finish()

    assert status == 130
    assert "no timeline" not in errors
    assert "mps2-an385, mps2-an385.2: " in output
    assert re.search("doorbells: .*, their interrupts: [1-9]", output)
    trace_event_format.load(directory / "timeline.json")


def test_no_timeline(run: Command, tmp_path: Path) -> None:
    """If QEMU fails before it traces anything, its error comes first."""
    status, _, errors = run.run(
        "--timeline", str(tmp_path), f"{ECHO[0]},options=-no-such-option")

    assert status == 1
    assert "lm3s6965evb ended with status 1" in errors
    assert re.search("no timeline: .*0-lm3s6965evb.trace", errors)


def test_nohup(run: Command) -> None:
    """It goes on when its terminal is closed."""
    run.hangup = signal.SIG_IGN
    run.start(ECHO[0])
    run.wait_for("listening")
    run.process.send_signal(signal.SIGHUP)
    run.process.send_signal(signal.SIGTERM)
    status, _, errors = run.finish()

    assert status == 128 + signal.SIGTERM, errors


def test_no_board_to_draw(run: Command, tmp_path: Path) -> None:
    """The server fails before there is a board."""
    status, _, errors = run.run("--timeline", str(tmp_path), "--size",
                                f"{1 << 20}G", ECHO[0])

    assert status == 1
    assert "failed: waiting for ivshmemd to listen: ivshmemd ended" in errors
    assert "Traceback" not in errors and "timeline" not in errors


def test_printed_command_lines_work(bed: Testbed, run: Command) -> None:
    server = bed.server(vectors=2)
    status, output, errors = run.run(
        "--print", "--server", str(server.socket), "--vectors", "2", "--gdb",
        f"{ECHO[1]},options=-name 'a b'", "linux")

    assert (status, errors) == (0, "")
    board, linux = output.split("\n\n")
    assert "-device ivshmem-doorbell,chardev=iv,vectors=2" in linux
    assert "-gdb tcp:127.0.0.1:1235" in linux
    assert shlex.split(board)[-5:] == [
        "-name", "a b", "-gdb", "tcp:127.0.0.1:1234", "-nographic"]
    # Port 0 lets QEMU pick a free one.
    qemu = bed.program("printed", [
        "sh", "-c", f"exec {board.replace(':1234', ':0')}"])
    qemu.expect_error("terminating on signal 15")
    bed.wait("the board to listen", lambda: qemu.said("echo: listening id=0"))


def test_printed_server_accepts_its_options(run: Command) -> None:
    status, output, _ = run.run("--print", "--size", "64K", "--vectors", "3",
                                f"{ECHO[0]},id=5", ECHO[1])

    server, first, second = output.split("\n\n")
    assert status == 0
    assert ("-S /tmp/ivshmem_socket -l 65536 -n 3 "
            "--socket=/tmp/ivshmem_socket-5,id=5") in server
    assert "socket,path=/tmp/ivshmem_socket-5,id=" in first
    assert "socket,path=/tmp/ivshmem_socket,id=" in second
    assert ("nvic/unnamed-gpio-in[29];nvic/unnamed-gpio-in[27];"
            "nvic/unnamed-gpio-in[26],") in first
    subprocess.run([*shlex.split(server), "--version"], check=True,
                   stdout=subprocess.DEVNULL, timeout=SECONDS)
