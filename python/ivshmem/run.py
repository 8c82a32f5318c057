# SPDX-License-Identifier: Apache-2.0
"""ivshmem-run: run boards that share memory and ring each other."""

import argparse
import os
import shlex
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import artifacts, board, command, linux, timeline
from .boards import WIRINGS, wiring
from .machine import Machine
from .process import News, Process, TestbedError
from .run_options import PROGRAM, Guest, parse
from .screen import Screen
from .server import is_listening
from .testbed import Testbed

DEFAULT_SOCKET = Path("/tmp/ivshmem_socket")
FIRST_GDB_PORT = 1234  # for --print
LINES_KEPT = 1000
START_SECONDS = 60.0
DEVICE = "/machine/peripheral-anon/device[0]"  # the board's ivshmem-flat


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
