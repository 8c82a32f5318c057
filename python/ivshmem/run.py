# SPDX-License-Identifier: Apache-2.0
"""ivshmem-run: run boards that share memory and ring each other.

Starts a server and a QEMU for each guest. Each board gets an ivshmem-flat at
free addresses. Shows the consoles until all guests have ended or you press
Ctrl-C.
"""

import argparse
import os
import re
import shlex
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import artifacts, board, command, linux, timeline
from .boards import WIRINGS, wiring
from .linux import LINUX
from .machine import Machine
from .memory import MIB
from .process import News, Process, TestbedError
from .screen import Screen
from .server import is_listening
from .testbed import Testbed
from .version import VERSION

PROGRAM = "ivshmem-run"

GUESTS = f"""\
guests:
  BOARD=ELF[,id=N][,options=OPTION...]
      A QEMU board (--boards lists them) and the image that it runs.
  linux[=COMMAND][,id=N][,options=OPTION...]
      The Linux guest that `make linux` builds, with QEMU's PCI device. COMMAND
      is a program from guest/linux with its arguments, or several separated by
      " ; " (default: "ivshmem info ; ivshmem listen").

  id=N       the guest's peer ID, from 0 to 65535. Guests without it get the
             lowest free IDs, in order
  options=   more options for this QEMU. Must come last; quote the argument

  {PROGRAM} mps2-an385=one.elf lm3s6965evb=two.elf
  {PROGRAM} mps2-an385=one.elf,id=7 'microbit=two.elf,options=-icount shift=6'

You cannot type into the consoles.

Exit status: 0 if every QEMU exited with 0, 1 if one failed or --timeout
expired, 2 if the command line is wrong, 128 plus the signal's number after a
signal (130 after Ctrl-C)."""

DEFAULT_SOCKET = Path("/tmp/ivshmem_socket")
LINUX_COMMAND = "ivshmem info ; ivshmem listen"
SETTINGS = ("id", "options")
UNITS = {"": 1, "K": 1024, "M": MIB, "G": 1024 * MIB}
SMALLEST = 4096  # shared memory is at least a page
MAX_ID = 65535
MAX_VECTORS = 64
FIRST_GDB_PORT = 1234  # for --print
LINES_KEPT = 1000
START_SECONDS = 60.0
DEVICE = "/machine/peripheral-anon/device[0]"  # the board's ivshmem-flat


class Misuse(Exception):
    """The command line is wrong."""


@dataclass(frozen=True)
class Guest:
    """A guest from the command line. `what` is an image, or the command that
    Linux runs."""

    board: str
    what: str
    id: int | None = None
    options: tuple[str, ...] = ()

    @property
    def is_linux(self) -> bool:
        return self.board == LINUX


def parse_guest(word: str) -> Guest:
    first, *rest = re.split(r",(?=\w+=)", word, maxsplit=1)
    name, separator, what = first.partition("=")
    if name == LINUX:
        what = what or LINUX_COMMAND
    elif not separator or not name or not what:
        raise Misuse(f"'{word}': use BOARD=ELF or {LINUX}")
    settings = _parse_settings(word, rest[0] if rest else "")
    try:
        options = shlex.split(settings.get("options", ""))
    except ValueError as error:
        raise Misuse(f"'{word}': options: {error}") from error
    if name != LINUX:
        _check_board(name)
    return Guest(name, what, _parse_id(word, settings.get("id")),
                 tuple(options))


def _parse_settings(word: str, text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    while text:
        name, _, value = text.partition("=")
        if name not in SETTINGS:
            raise Misuse(f"'{word}': unknown setting '{name}=': use "
                         f"{'= or '.join(SETTINGS)}=")
        if name in settings:
            raise Misuse(f"'{word}': {name}= is given twice")
        if name == "options":
            settings[name], text = value, ""
        else:
            settings[name], _, text = value.partition(",")
            if text and "=" not in text:
                raise Misuse(f"'{word}': '{text}' is not NAME=VALUE")
    return settings


def _parse_id(word: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch("[0-9]+", value) or int(value) > MAX_ID:
        raise Misuse(f"'{word}': id={value}: must be from 0 to {MAX_ID}")
    return int(value)


def _check_board(name: str) -> None:
    try:
        wiring(name)
    except TestbedError as error:
        raise Misuse(str(error)) from error


def parse_size(text: str) -> int:
    match = re.fullmatch("([0-9]+)([KMG]?)", text, re.IGNORECASE)
    size = int(match[1]) * UNITS[match[2].upper()] if match else 0
    if size < SMALLEST or size & size - 1:
        raise Misuse(f"--size {text}: must be a power of two, at least "
                     f"{SMALLEST}, such as 64K, 4M or 1G")
    return size


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=__doc__.partition("\n\n")[2], epilog=GUESTS,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("guests", nargs="*", metavar="GUEST",
                        help="a guest to start: see \"guests\" below")
    parser.add_argument(
        "--boards", action="store_true", help="list the boards, with the "
        "device's addresses and interrupt lines")
    parser.add_argument(
        "--server", type=Path, metavar="SOCKET", help="use a running server; "
        "--size and --vectors must match it")
    parser.add_argument("--size", default="4M", metavar="SIZE",
                        help="size of the shared memory (default: %(default)s)")
    parser.add_argument(
        "--vectors", type=int, default=1, metavar="N", help="number of vectors "
        "of each guest (default: %(default)s); on a board, the first four have "
        "interrupt lines")
    parser.add_argument(
        "--qemu", type=Path, metavar="PATH", help="QEMU for the boards: a "
        "program, or a directory with qemu-system-arm and others; Linux always "
        "runs on the system's QEMU")
    parser.add_argument(
        "--print", action="store_true", dest="only_print",
        help="print the command lines instead of running them")
    parser.add_argument("--gdb", action="store_true",
                        help="print how to attach GDB to each guest")
    parser.add_argument("--gdb-wait", action="store_true",
                        help="like --gdb, but leave starting the CPUs to GDB")
    parser.add_argument(
        "--timeline", type=Path, metavar="DIR", help="write traces of the "
        "boards, with guest errors, to this directory, and draw a timeline "
        "there at the end")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help="stop and fail if a guest is still running after this long")
    parser.add_argument("--version", action="version",
                        version=f"%(prog)s {VERSION}")
    options = parser.parse_args(arguments)
    try:
        _check(options)
    except Misuse as error:
        parser.error(str(error))
    return options


def _check(options: argparse.Namespace) -> None:
    options.guests = [parse_guest(word) for word in options.guests]
    options.size = parse_size(options.size)
    options.gdb = options.gdb or options.gdb_wait
    ids = [guest.id for guest in options.guests if guest.id is not None]
    if not options.guests and not options.boards:
        raise Misuse("no guests: name at least one BOARD=ELF, or see --help")
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise Misuse(f"id={twice} is given twice: each guest needs its own")
    if ids and options.server:
        raise Misuse(
            f"id={ids[0]} does not work with --server: leave out one of them, "
            f"or start your server with --socket PATH,id={ids[0]} and run only "
            "this guest, with --server PATH")
    if not 1 <= options.vectors <= MAX_VECTORS:
        raise Misuse(f"--vectors {options.vectors}: must be from 1 to "
                     f"{MAX_VECTORS}")
    if (options.timeline and options.guests and
            all(guest.is_linux for guest in options.guests)):
        raise Misuse("--timeline needs a board: Linux is not traced")
    if options.timeout is not None and not options.timeout > 0:
        raise Misuse(f"--timeout {options.timeout:g}: must be above 0")


def list_boards() -> str:
    lines = [f"{'BOARD':18} {'QEMU-SYSTEM-':12} {'LINES':12} {'REGISTERS':10} "
             "SHARED MEMORY"]
    for name, where in WIRINGS.items():
        notes = [where.note] if where.note else []
        if where.since > (7, 2):
            notes.insert(0, "needs QEMU {}.{} or newer".format(*where.since))
        note = f"  {'; '.join(notes)}" if notes else ""
        lines.append(f"{name:18} {where.target:12} "
                     f"{','.join(map(str, where.lines)):12} "
                     f"{where.registers:#x} {where.memory:#x}{note}")
    return "\n".join(lines)


def find_qemu(given: Path | None, target: str) -> Path:
    """The QEMU for boards of this target. `given` is the value of --qemu."""
    if given is None:
        return artifacts.qemu_system(target)
    name = f"qemu-system-{target}"
    program = given / name if given.is_dir() else given
    if not os.access(program, os.X_OK):
        raise TestbedError(f"--qemu {given}: {program} is missing or not "
                           "executable")
    return program


def check_server(path: Path) -> None:
    """Raises if no server is listening. Connecting uses up a peer ID, so this
    first looks in the kernel's list of sockets."""
    advice = f"start one with `ivshmemd -S {path}`, or leave out --server"
    if not path.is_socket():
        what = "is not a socket" if path.exists() else "does not exist"
        raise TestbedError(f"--server {path} {what}: {advice}")
    if is_listening(path) or is_listening(path.resolve()):
        return
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except ConnectionRefusedError as error:
        raise TestbedError(f"--server {path}: no server listens there: "
                           f"{advice}") from error
    except OSError as error:
        raise TestbedError(f"--server {path}: {error.strerror}") from error


def make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TestbedError(f"--timeline {path}: {error.strerror}") from error


class Plan:
    """What to start. Creating it checks that every program and image exists."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.guests: list[Guest] = options.guests
        self.ids = [guest.id for guest in self.guests if guest.id is not None]
        self._qemus: dict[str, Path] = {}
        for guest in self.guests:
            if guest.is_linux:
                linux.command_line(guest.what, [])  # raises if one is missing
                continue
            if not Path(guest.what).is_file():
                raise TestbedError(f"{guest.board}: there is no image "
                                   f"{guest.what}: build it first")
            self._qemus[guest.board] = find_qemu(options.qemu,
                                                 wiring(guest.board).target)
        targets = {wiring(name).target for name in self._qemus}
        if options.qemu and options.qemu.is_file() and len(targets) > 1:
            raise TestbedError(
                f"--qemu {options.qemu} is one program, but the boards need "
                f"qemu-system-{' and qemu-system-'.join(sorted(targets))}: "
                "use a directory with all of them")
        if options.server:
            check_server(options.server)

    def trace(self, number: int) -> Path | None:
        """The trace file of the guest with this number, if it is traced."""
        guest, directory = self.guests[number], self.options.timeline
        if guest.is_linux or not directory:
            return None
        return Path(directory / f"{number}-{guest.board}.trace")

    def device(self, number: int, server_socket: Path) -> list[str]:
        """QEMU options for the device, and those the user gave."""
        guest, trace = self.guests[number], self.trace(number)
        device = (linux.doorbell_device(server_socket, self.options.vectors)
                  if guest.is_linux else board.usual_device(
                      guest.board, server_socket, self.options.vectors,
                      self.options.size))
        paused = ["-S"] if self.options.gdb_wait else []
        return [*device, *paused, *(board.tracing(trace) if trace else []),
                *guest.options]

    def image(self, guest: Guest) -> dict[str, Any]:
        """Arguments for Testbed.image()."""
        return {"board": guest.board, "image": Path(guest.what),
                "qemu": self._qemus[guest.board]}

    def command_lines(self) -> list[list[str]]:
        """For --print: consoles are on the terminal, and the server listens on
        ivshmemd's default path."""
        server_socket = self.options.server or DEFAULT_SOCKET
        sockets = {peer: server_socket.with_name(f"{server_socket.name}-{peer}")
                   for peer in self.ids}
        lines = []
        if not self.options.server:
            lines.append([
                str(artifacts.ivshmemd()), "-S", str(server_socket),
                "-l", str(self.options.size), "-n", str(self.options.vectors),
                *(f"--socket={path},id={peer}"
                  for peer, path in sockets.items())])
        for number, guest in enumerate(self.guests):
            device = self.device(number, server_socket if guest.id is None
                                 else sockets[guest.id])
            if self.options.gdb:
                device += ["-gdb", f"tcp:127.0.0.1:{FIRST_GDB_PORT + number}"]
            lines.append(
                [*linux.command_line(guest.what, device),
                 "-serial", "mon:stdio", "-display", "none"]
                if guest.is_linux else
                [*board.command_line(device=device, **self.image(guest)),
                 "-nographic"])
        return lines


class Run:
    """A running server and its guests."""

    def __init__(self, plan: Plan, bed: Testbed, screen: Screen) -> None:
        self._plan = plan
        self._bed = bed
        self._screen = screen
        self._guests: list[Machine] = []

    def start(self) -> None:
        """Starts each guest once the previous one has connected."""
        options = self._plan.options
        server = None
        if not options.server:
            server = self._bed.server(
                size=options.size, vectors=options.vectors, ids=self._plan.ids)
            self._say(server, f"listens on {server.socket}")
        for number, guest in enumerate(self._plan.guests):
            if server is None:
                where = options.server
            elif guest.id is None:
                where = server.socket
            else:
                where = server.socket_of(guest.id)
            self._start(guest, self._plan.device(number, where))

    def wait(self) -> None:
        """Waits until all guests have ended."""
        timeout = self._plan.options.timeout
        deadline = None if timeout is None else time.monotonic() + timeout

        def is_over() -> bool:
            return not self._running() or (
                deadline is not None and time.monotonic() > deadline)

        self._bed.wait("the guests to end", is_over)
        if running := self._running():
            raise TestbedError(f"--timeout of {timeout:g} s expired, still "
                               f"running: {', '.join(running)}")

    def traces(self) -> list[tuple[str, Path]]:
        """Name and trace file of each board that was started"""
        return [(guest.name, trace) for number, guest in enumerate(self._guests)
                if (trace := self._plan.trace(number))]

    def _running(self) -> list[str]:
        return [guest.name for guest in self._guests if not guest.has_ended()]

    def _say(self, process: Process, text: str) -> None:
        """Shows a line, after what the guests have written so far."""
        self._bed.show_news()
        self._screen.say(process.name, text)

    def _start(self, guest: Guest, device: list[str]) -> None:
        with socket.socket() as listener:
            fds: list[int] = []
            if self._plan.options.gdb:
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                fds = [listener.fileno()]
                device += ["-chardev", f"socket,id=gdb,fd={fds[0]},server=on,"
                           "wait=off", "-gdb", "chardev:gdb"]
            machine = self._machine(guest, device, fds)
            machine.may_end = True
            self._guests.append(machine)
            if guest.is_linux and not self._plan.options.gdb_wait:
                self._say(machine, linux.START_NOTE)
            if fds:
                self._tell_gdb(guest, machine, listener.getsockname()[1])
        self._wait_for_start(machine)

    def _machine(self, guest: Guest, device: list[str],
                 fds: list[int]) -> Machine:
        if guest.is_linux:
            return self._bed.linux(guest.what, device=device, stays=False,
                                   pass_fds=fds)
        machine = self._bed.image(device=device, pass_fds=fds,
                                  **self._plan.image(guest))
        # FAILURE is for the firmware of guest/, not for the user's image.
        machine.FAILURE = Machine.FAILURE
        return machine

    def _wait_for_start(self, machine: Machine) -> None:
        """QMP answers once all devices have been created."""
        try:
            machine.qmp.command("query-status", START_SECONDS)
            if isinstance(machine, board.Board):
                own_id = machine.qmp.command("qom-get", path=DEVICE,
                                             property="own-id")
                self._say(machine, f"has peer ID {own_id}")
        except TestbedError:
            self._bed.wait(f"{machine.name} to start", machine.has_ended,
                           START_SECONDS)

    def _tell_gdb(self, guest: Guest, machine: Machine, port: int) -> None:
        symbols = [] if guest.is_linux else [guest.what]
        attach = shlex.join(["gdb-multiarch", *symbols, "-ex",
                             f"target remote 127.0.0.1:{port}"])
        waits = (" (CPUs wait for GDB)" if self._plan.options.gdb_wait
                 else "")
        self._say(machine, f"GDB: {attach}{waits}")


def run(options: argparse.Namespace) -> bool:
    if options.boards:
        print(list_boards())
        return True
    plan = Plan(options)
    if options.only_print:
        print("\n\n".join(map(shlex.join, plan.command_lines())))
        return True
    if options.timeline:
        make_directory(options.timeline)
    screen = Screen()

    def show(news: News) -> None:
        """Forgets old output, too: a guest may run for hours."""
        screen.show(news)
        for lines in (news.process.output, news.process.errors):
            del lines[:-LINES_KEPT]

    bed = Testbed(float("inf"), show, strict=False, history=LINES_KEPT)
    guests = Run(plan, bed, screen)
    is_drawn = True
    try:
        with bed:
            guests.start()
            guests.wait()
    finally:
        if traces := guests.traces():
            is_drawn = draw(options.timeline, traces)
    return is_drawn


def draw(directory: Path, traces: Sequence[tuple[str, Path]]) -> bool:
    """Returns False on failure. It must not raise, because an exception may
    have ended the run."""
    try:
        print(f"\n{timeline.draw(directory, traces)}")
    except TestbedError as error:
        print(f"\n{PROGRAM}: no timeline: {error}", file=sys.stderr)
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    return command.run(PROGRAM, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
