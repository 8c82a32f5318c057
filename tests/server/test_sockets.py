# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets with a fixed peer ID, and several channels in a configuration
file."""

import grp
import os
import re
from pathlib import Path

import pytest

from .lab import Lab


def test_identity(lab: Lab) -> None:
    """Every client of the socket gets its peer ID."""
    gateway = lab.path("gateway")
    lab.ivshmemd("--socket", f"{gateway},id=7", "-S", str(lab.socket))
    other = lab.client()
    for _ in range(3):
        client = lab.client(gateway)
        assert client.id == 7
        lab.wait_for_view(other, {0: 1, 7: 1})
        client.close()
        lab.wait_for_view(other, {0: 1})


def test_identity_at_once_after_departure(lab: Lab) -> None:
    """A restarted machine need not wait until the server sees the old one
    leave."""
    gateway = lab.path("gateway")
    lab.ivshmemd("--socket", f"{gateway},id=7")
    for _ in range(50):
        client = lab.client(gateway)
        assert client.id == 7
        client.close()


def test_second_client_of_an_identity(lab: Lab) -> None:
    gateway = lab.path("gateway")
    process = lab.ivshmemd("--socket", f"{gateway},id=7")
    process.expect_error(f"default: refused a client at {gateway}: "
                         "peer 7 is already connected")
    first = lab.client(gateway)
    second = lab.connect(gateway)
    lab.wait("the second to be refused", second.closed)
    assert second.messages == []
    lab.wait_for_view(first, {7: 1})


def test_identity_is_nobody_elses(lab: Lab) -> None:
    lab.ivshmemd("--socket", f"{lab.path('zero')},id=0",
                 "--socket", f"{lab.path('two')},id=2", "-S", str(lab.socket))
    assert [lab.client().id for _ in range(3)] == [1, 3, 4]


def test_largest_identity(lab: Lab) -> None:
    last = lab.path("last")
    lab.ivshmemd("--socket", f"{last},id=65535", "-S", str(lab.socket))
    other = lab.client()
    assert lab.client(last).id == 65535
    lab.wait_for_view(other, {0: 1, 65535: 1})


def test_vectors_of_a_socket(lab: Lab) -> None:
    few, none = lab.path("few"), lab.path("none")
    lab.ivshmemd("--socket", f"{few},vectors=3", "--socket",
                 f"{none},vectors=0", "-S", str(lab.socket), "-n", "5")
    clients = [lab.client(few), lab.client(none), lab.client()]
    for client in clients:
        lab.wait_for_view(client, {0: 3, 2: 5})


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_mode(lab: Lab, mode: int) -> None:
    path = lab.path("named")
    lab.ivshmemd("--socket", f"{path},mode={mode:04o}")
    assert path.stat().st_mode & 0o777 == mode


def test_group(lab: Lab) -> None:
    path = lab.path("named")
    group = grp.getgrgid(os.getgid())
    lab.ivshmemd("--socket", f"{path},group={group.gr_name}")
    assert path.stat().st_gid == group.gr_gid


def configure(lab: Lab, text: str) -> Path:
    file = lab.path("conf")
    file.write_text(text)
    return file


CHANNELS = """
# two of them
[ivshmemd]
control = {control}

[channel lab]
size=64K
vectors=2
sockets={a};{a}-gateway,id=0

[channel spare]
memory-name={object}
sockets={b}
"""


def test_channels(lab: Lab) -> None:
    """Each channel has its own memory, IDs and clients."""
    a, b = lab.path("a"), lab.path("b")
    lab.ivshmemd("--config", str(configure(lab, CHANNELS.format(
        control=lab.control, a=a, b=b, object=lab.object))))
    first, second = lab.client(a), lab.client(a)
    gateway = lab.client(Path(f"{a}-gateway"))
    other = lab.client(b)
    for client in (first, second, gateway):
        lab.wait_for_view(client, {0: 2, 1: 2, 2: 2})
    lab.wait_for_view(other, {0: 1})
    assert first.memory is not None and other.memory is not None
    assert os.fstat(first.memory).st_size == 65536
    os.pwrite(first.memory, b"secret", 0)
    assert os.pread(other.memory, 6, 0) == bytes(6)
    assert Path("/dev/shm", lab.object).exists()
    assert lab.control.exists()


@pytest.mark.parametrize("text, line, message", [
    ("sockets=s", 1, "'sockets=s' is neither a .group., nor a key=value"),
    ("[channel a]\nsockets=s\nrubbish", 3, "'rubbish' is neither a"),
    ("[channel a]\nsize=0\nsockets=s", 2, "size: '0' is not a size"),
    ("[channel a]\nsockets=s\nvectors=65", 3,
     "vectors: vectors '65' must be a number from 0 to 64"),
    ("[channel a]\ncolour=red\nsockets=s", 2, "colour: unknown key: a channel "
     "has size, vectors, memory-name, memory-directory and sockets"),
    ("[channel a]\nsockets=s;t,id=x", 2,
     "sockets: socket t: id 'x' must be a number from 0 to 65535"),
    ("[channel a]\nsize=1M\nsize=2M\nsockets=s", 3,
     "size is already defined in line 2"),
    ("[channel a]\nsockets=s\n[channel a]\nsockets=t", 3,
     "already defined in line 1"),
    ("[channel a]\nsockets=s\n[canal b]", 3,
     r"unknown group \[canal b\]: use \[ivshmemd\] or "),
    ("[channel a b]\nsockets=s", 1, "'a b' is not a channel name"),
    ("[ivshmemd]\ncontrols=s", 2,
     r"controls: unknown key: \[ivshmemd\] has only control"),
    ("[channel a]\nmemory-name=a/b\nsockets=s", 2,
     "memory-name: 'a/b' is not a POSIX object name"),
    ("[channel a]\nsockets=s\nsize=\\q", 3, "size: .*cannot be interpreted"),
    ("[ivshmemd]\ncontrol=\\q", 2, "control: .*cannot be interpreted"),
    ("[channel a]\nmemory-directory=/missing\nsockets=s", 2,
     "memory-directory: '/missing' is not a directory"),
])
def test_error_names_line_and_key(lab: Lab, text: str, line: int,
                                  message: str) -> None:
    file = configure(lab, text)
    stderr = lab.refused("--config", str(file))
    assert re.search(f"{file}:{line}: .*{message}", stderr), stderr


@pytest.mark.parametrize("text, message", [
    ("", "no channels: add a .channel NAME."),
    ("[channel a]\nsize=1M", "channel a: no sockets"),
    ("[channel a]\nsockets=s\n[channel b]\nsockets=s",
     "channel b: the socket s is listed twice"),
    ("[channel a]\nmemory-name=m\nsockets=s\n"
     "[channel b]\nmemory-name=m\nsockets=t",
     "channel b: another channel already has the memory 'm'"),
    ("[ivshmemd]\ncontrol=s\n[channel a]\nsockets=s",
     "the control socket s is also a channel's socket"),
])
def test_conflicting_settings(lab: Lab, text: str,
                              message: str) -> None:
    file = configure(lab, text)
    stderr = lab.refused("--config", str(file))
    assert re.search(f"{file}: .*{message}", stderr), stderr


def test_failed_channel_leaves_nothing(lab: Lab) -> None:
    """The sockets and memory of channels before it are removed."""
    a = lab.path("a")
    file = configure(lab, f"[channel a]\nmemory-name={lab.object}\n"
                     f"sockets={a}\n[channel b]\nsockets=/missing/b")
    assert "cannot listen on /missing/b" in lab.refused("--config", str(file))
    assert not a.exists()
