# SPDX-License-Identifier: GPL-2.0-or-later
"""Input with random mistakes: ivshmemd reports the mistake or ignores it. It
never crashes or hangs.

FUZZ_SECONDS is the duration of each test, SERVER_FUZZ_SEED the random seed.
"""

import mmap
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ivshmem import eventfd
from .lab import Lab
from .manager import Manager

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 2)
SEED = int(os.environ.get("SERVER_FUZZ_SEED") or random.randrange(1 << 30))

pytestmark = [pytest.mark.bed_seconds(SECONDS + 60),
              pytest.mark.timeout(SECONDS + 120)]

# The limit of file sizes, as a random size may be valid and large. It is just
# above the size of the sparse file in which the server keeps its clients.
LARGEST = 1 << 30

LISTEN_FDS = Path(__file__).with_name("listen_fds.py")

ODD = ["", " ", "=", ",", ";", "[", "]", "[]", "#", "/", ":", "\n", "\\", "\\x",
       "\t", "0", "-1", "65536", "99999999999999999999", "1e9", "0x", "é",
       "\ufffd", "%s%n", "id=", "id=1", "vectors=64", "mode=", "K", "null"]


def rounds(generator: random.Random) -> Iterator[random.Random]:
    print(f"SERVER_FUZZ_SEED={SEED} FUZZ_SECONDS={SECONDS:g}")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        yield generator


def spoil(text: str, generator: random.Random) -> str:
    for _ in range(generator.randrange(1, 4)):
        at = generator.randrange(len(text) + 1)
        cut = generator.choice([0, 0, 1, 1, 2, 10])
        odd = generator.choice([*ODD, chr(generator.randrange(1, 256))])
        text = text[:at] + odd + text[at + cut:]
    return text


def try_to_start(lab: Lab, argv: Sequence[str],
                 fds: Sequence[int] = ()) -> str:
    """Runs ivshmemd until it is ready or fails. Returns its stderr."""
    limits = ["prlimit", f"--fsize={LARGEST}", "--"]
    process = subprocess.Popen(
        [*limits, *argv], cwd=lab.directory, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, pass_fds=fds,
        restore_signals=False)  # so it keeps ignoring SIGXFSZ
    assert process.stdout
    if b"is ready" in process.stdout.readline():
        process.terminate()
    _, errors = process.communicate(timeout=10)
    text = errors.decode(errors="replace")
    assert process.returncode in (0, 1), (argv, process.returncode, text)
    if process.returncode == 1:
        assert text.startswith("ivshmemd: "), (argv, text)
    return text


CONFIGURATION = """\
# a comment
[ivshmemd]
control=control

[channel lab]
size=64K
vectors=2
sockets=lab;lab-gateway,id=0,mode=0660

[channel spare]
memory-directory=.
size=4096
sockets=spare,vectors=3
"""


def test_configuration(lab: Lab) -> None:
    file = lab.path("conf")
    refused = tried = 0
    for generator in rounds(random.Random(SEED)):
        text = spoil(CONFIGURATION, generator)
        file.write_text(text)
        said = try_to_start(lab, lab.command("--config", str(file)))
        if said and "rounded up" not in said and "left from" not in said:
            assert str(file) in said or "channel" in said or \
                "listen" in said or "memory" in said, (text, said)
            refused += 1
        tried += 1
    print(f"{refused} of {tried} refused")
    assert 0 < refused


OPTIONS = ["-l", "64K", "-n", "2", "-S", "socket", "--socket",
           "named,id=3,vectors=2,mode=0660", "-m", ".", "-v", "-F",
           "--control", "control", "--config=conf", "--sandbox=kill",
           "--daemon"]


def test_options(lab: Lab) -> None:
    for generator in rounds(random.Random(SEED)):
        options = generator.sample(OPTIONS[:-1],
                                   generator.randrange(1, len(OPTIONS)))
        at = generator.randrange(len(options))
        options[at] = spoil(options[at], generator).replace("\0", "")
        if any(is_elsewhere(option) for option in options):
            continue
        try_to_start(lab, lab.command(*options))


def is_elsewhere(option: str) -> bool:
    """Whether it could create files outside the test's folder, or leave a
    daemon."""
    return "/" in option or "M" in option or option.startswith(
        ("--d", "--p", "-p", "--shm", "--s"))


REQUESTS = ['{"command": "list"}', '{"command": "status"}', '{"command": {}}',
            '{"command": ["list"], "command": null}', "[[[[[[[[", "7", "\"",
            '{"command": "\\ud800"}']


def test_control_socket(lab: Lab) -> None:
    process = lab.ivshmemd("--control", str(lab.control))
    lab.client()
    for generator in rounds(random.Random(SEED)):
        line = spoil(generator.choice(REQUESTS), generator) * \
            generator.choice([1, 1, 1, 50])
        if "reload" in line:
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(10)
            control.connect(str(lab.control))
            control.sendall(line.encode("latin-1", "replace") + b"\n")
            with control.makefile("rb") as answers:
                answer = answers.readline()
            assert answer.startswith((b'{"return":', b'{"error":')), (
                line, answer)
    assert not process.has_ended()


NAMES = ["0/ledger", "0/memory", "0/lock", "0/1", "0/1/0", "0/1/1", "1/ledger",
         "1/memory", "listener/7", "activated", "4294967295/ledger", "0/0",
         "4294967296/memory", "0/18446744073709551615", "0/1/4294967295"]


def test_restored_fds(lab: Lab) -> None:
    """It gets names and fds that no ivshmemd stores."""
    fds = [os.memfd_create("ledger"), os.memfd_create("memory"),
           os.open("/", os.O_RDONLY), eventfd.create(),
           *os.pipe(), *(end.detach() for end in socket.socketpair())]
    os.ftruncate(fds[1], 65536)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(lab.path("listener")))
    listener.listen()
    try:
        for generator in rounds(random.Random(SEED)):
            chosen = generator.choices([*fds, listener.fileno()],
                                       k=generator.randrange(1, 8))
            names = [generator.choice(NAMES) if generator.random() < 0.7 else
                     spoil(generator.choice(NAMES), generator)
                     for _ in chosen]
            text = ":".join(names).replace("\0", "")
            try_to_start(lab, [
                "env", f"LISTEN_FDNAMES={text}", "/usr/bin/python3", "-IS",
                str(LISTEN_FDS), *map(str, chosen), "--", *lab.command()],
                fds=chosen)
    finally:
        listener.close()
        for fd in fds:
            os.close(fd)


def test_damaged_ledger(lab: Lab) -> None:
    """The server does not trust the ledger of the previous one. It always
    starts."""
    for generator in rounds(random.Random(SEED)):
        manager = Manager(lab, "-n", "2", name=f"notify{generator.random()}")
        manager.start()
        clients = [lab.client() for _ in range(3)]
        clients.pop().close()
        manager.kill()
        damage(manager.store["0/ledger"], generator)
        manager.start()
        lab.client().close()
        lab.stop(manager.process)
        if lines := manager.process.errors:
            manager.process.expect_error("^ivshmemd: ", len(lines))
        for client in clients:
            client.close()
        lab.socket.unlink()


def damage(ledger: int, generator: random.Random) -> None:
    """Changes some of the bytes in use."""
    with mmap.mmap(ledger, 0) as memory:
        places = [at + index for at in used_pages(ledger)
                  for index, byte in enumerate(memory[at:at + mmap.PAGESIZE])
                  if byte]
        for place in generator.choices(places, k=generator.randrange(1, 6)):
            memory[place] = generator.randrange(256)


def used_pages(fd: int) -> Iterator[int]:
    """The offsets of pages with data in a sparse file."""
    at = 0
    with suppress(OSError):  # no more pages
        while True:
            at = os.lseek(fd, at, os.SEEK_DATA)
            yield at
            at += mmap.PAGESIZE


def test_listen_variables(lab: Lab) -> None:
    for generator in rounds(random.Random(SEED)):
        name = generator.choice(["LISTEN_FDS", "LISTEN_PID",
                                 "IVSHMEMD_HANDOVER"])
        value = spoil(generator.choice(["1", "3", "99"]), generator)
        try_to_start(lab, ["env", "LISTEN_FDS=1", "LISTEN_PID=1",
                           f"{name}={value}".replace("\0", ""),
                           *lab.command()])
