# SPDX-License-Identifier: Apache-2.0
"""The command line of ivshmem-run."""

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .boards import wiring
from .linux import LINUX
from .memory import MIB
from .process import TestbedError
from .version import VERSION

PROGRAM = "ivshmem-run"

DESCRIPTION = """\
Starts a server and a QEMU for each guest. Each board gets an ivshmem-flat at
free addresses. Shows the consoles until all guests have ended or you press
Ctrl-C.
"""

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

LINUX_COMMAND = "ivshmem info ; ivshmem listen"
SETTINGS = ("id", "options")
UNITS = {"": 1, "K": 1024, "M": MIB, "G": 1024 * MIB}
SMALLEST = 4096  # shared memory is at least a page
MAX_ID = 65535
MAX_VECTORS = 64


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
    """The options; `guests` are Guest, `size` is in bytes."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=DESCRIPTION, epilog=GUESTS,
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
