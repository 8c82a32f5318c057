# SPDX-License-Identifier: GPL-2.0-or-later
"""A server is reloaded, or killed and restarted by a service manager. Its
clients stay connected, and nothing is lost."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ivshmem import TestbedError, eventfd
from ivshmem.process import Process

from .client import Client
from .lab import Lab
from .manager import RELOADED, Manager

VECTORS = 64


class Service:
    """A server, with one way to replace its process."""

    def __init__(self, lab: Lab, way: str) -> None:
        self.lab = lab
        self.way = way
        self._manager: Manager | None = None
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        process = self._manager.process if self._manager else self._process
        assert process
        return process

    def start(self, *options: str) -> None:
        options = ("--control", str(self.lab.control), *options)
        if self.way in ("kill", "reload under a manager"):
            self._manager = Manager(self.lab, *options)
            self._manager.start()
        else:
            self._process = self.lab.ivshmemd(*options)

    def again(self) -> None:
        if self.way == "kill":
            self.wait_until_kept()
            assert self._manager
            self._manager.restart()
        elif self.way == "reload under a manager":
            assert self._manager
            self._manager.reload()
        elif self.way == "reload by ivshmemctl":
            assert self.lab.ctl("reload").returncode == 0
        else:
            reloads = self._reloads()
            os.kill(self.process.pid, signal.SIGHUP)
            self.lab.wait("ivshmemd to reload",
                          lambda: self._reloads() > reloads)

    def _reloads(self) -> int:
        return sum(1 for line in self.process.errors if RELOADED in line)

    def wait_until_kept(self) -> None:
        """Waits until the service manager has all clients: others are lost in a
        crash."""
        assert self._manager
        manager: Manager = self._manager
        listed = json.loads(self.lab.ctl("list", "--json").stdout)
        channel, = listed["channels"]
        fds: int = sum(1 + peer["vectors"] for peer in channel["peers"])
        self.lab.wait("the manager to keep all fds",
                      lambda: manager.fds_of_clients() == fds)


@pytest.fixture(params=["kill", "reload under a manager",
                        "reload by ivshmemctl", "reload by SIGHUP"])
def service(request: pytest.FixtureRequest, lab: Lab) -> Service:
    return Service(lab, request.param)


def expect_reload(service: Service, times: int = 1) -> None:
    if service.way != "kill":
        service.process.expect_error(RELOADED, times)


def test_clients_stay(service: Service) -> None:
    lab = service.lab
    service.start("-n", "2")
    expect_reload(service)
    clients = lab.clients(3, vectors=2)
    pid = service.process.pid
    service.again()
    newcomer = lab.client()
    for client in [*clients, newcomer]:
        lab.wait_for_view(client, {peer: 2 for peer in range(4)})
    assert newcomer.id == 3  # IDs are not reused
    assert (service.process.pid == pid) == (service.way != "kill")
    clients[0].close()
    lab.wait_for_view(newcomer, {1: 2, 2: 2, 3: 2})


def test_nothing_is_said_twice(service: Service) -> None:
    lab = service.lab
    service.start()
    expect_reload(service)
    clients = lab.clients(3)
    before = [list(client.messages) for client in clients]
    service.again()
    lab.wait("ivshmemd to answer ivshmemctl",
             lambda: lab.ctl("list").returncode == 0)
    assert [client.read().messages for client in clients] == before


def test_doorbells_go_on(service: Service) -> None:
    """Doorbells work before, during and after the restart, and for new
    clients."""
    lab = service.lab
    service.start()
    expect_reload(service)
    first, second = lab.clients(2)
    first.ring(1)
    service.again()
    assert second.rung()
    second.ring(0)
    assert first.rung()
    third = lab.client()
    lab.wait_for_view(third, {0: 1, 1: 1, 2: 1})
    lab.wait_for_view(first, {0: 1, 1: 1, 2: 1})
    third.ring(0)
    assert first.rung()
    first.ring(2)
    assert third.rung()


def test_what_is_queued_is_delivered(service: Service) -> None:
    """All messages are delivered once, in order."""
    lab = service.lab
    service.start("-n", str(VECTORS))
    expect_reload(service)
    late = lab.connect()
    for _ in range(6):
        lab.connect()
    lab.client()
    service.again()
    lab.wait_for_view(late, {peer: VECTORS for peer in range(8)})
    assert late.messages[3:] == [(peer, True) for peer in range(8)
                                 for _ in range(VECTORS)]


def test_queued_departures_are_delivered(service: Service) -> None:
    lab = service.lab
    service.start("-n", str(VECTORS))
    expect_reload(service)
    late = lab.client()
    crowd = [lab.connect() for _ in range(6)]
    last = lab.client()
    lab.wait_for_view(last, {peer: VECTORS for peer in range(8)})
    for client in crowd:
        client.close()
    lab.wait_for_view(last, {0: VECTORS, 7: VECTORS})
    service.again()
    lab.wait_for_view(late, {0: VECTORS, 7: VECTORS})


def test_memory_stays(service: Service) -> None:
    lab = service.lab
    service.start()
    expect_reload(service)
    before = lab.client()
    assert before.memory is not None
    os.pwrite(before.memory, b"precious", 0)
    service.again()
    after = lab.client()
    assert after.memory is not None
    assert os.pread(after.memory, 8, 0) == b"precious"
    assert os.path.samestat(os.fstat(before.memory), os.fstat(after.memory))


def test_object_stays_locked(service: Service) -> None:
    lab = service.lab
    service.start("-M", lab.object)
    expect_reload(service)
    service.again()
    assert "is used by a running server" in lab.refused(
        "-M", lab.object, "-S", str(lab.path("second")))


def test_identity_stays(service: Service) -> None:
    lab = service.lab
    gateway = lab.path("gateway")
    service.start("--socket", f"{gateway},id=7", "-S", str(lab.socket))
    expect_reload(service)
    client = lab.client(gateway)
    service.again()
    service.process.expect_error("peer 7 is already connected")
    second = lab.connect(gateway)
    lab.wait("the second client to be refused", second.closed)
    client.close()
    assert lab.client(gateway).id == 7


def test_many_times(service: Service) -> None:
    lab = service.lab
    service.start("-n", "2")
    expect_reload(service, 5)
    clients = [lab.client()]
    for _ in range(5):
        service.again()
        clients.append(lab.client())
        for client in clients:
            lab.wait_for_view(client, {other.id: 2 for other in clients})


# --- a service manager alone


def test_left_while_no_server_ran(lab: Lab) -> None:
    manager = Manager(lab)
    manager.start()
    stays, leaves = lab.clients(2)
    manager.kill()
    leaves.close()
    manager.start()
    lab.wait_for_view(stays, {0: 1})


def test_joined_while_no_server_ran(lab: Lab) -> None:
    """The socket keeps listening."""
    manager = Manager(lab)
    manager.start()
    first = lab.client()
    manager.kill()
    second = lab.connect()
    manager.start()
    lab.wait_for_view(second, {0: 1, 1: 1})
    lab.wait_for_view(first, {0: 1, 1: 1})


def test_store_is_tidied(lab: Lab) -> None:
    manager = Manager(lab, "-n", "2")
    manager.start()
    stays = lab.client()
    lab.wait_for_view(stays, {0: 2})
    lab.wait("the fd store to be filled", lambda: len(manager.store) == 6)
    before = set(manager.store)
    lab.client().close()
    lab.wait_for_view(stays, {0: 2})
    last = lab.client()
    last.close()
    lab.wait_for_view(stays, {0: 2})
    lab.wait("old fds to leave the store",
             lambda: set(manager.store) == before)


def test_start_after_one_that_failed(lab: Lab) -> None:
    """It takes over nothing, so it is as strict."""
    folder = lab.path("run")
    manager = Manager(lab, "-M", lab.object, "--control",
                      str(folder / "control"))
    for _ in range(2):
        with pytest.raises(TestbedError, match="cannot listen on .*/control"):
            manager.start()
        manager.process.expect_error("cannot listen on .*/control")
        manager.process.excuse()
        manager.take()
        assert not [name for name in manager.store if name.startswith("0/")]
    folder.mkdir()
    manager.start()
    lab.clients(2)
    assert Path("/dev/shm", lab.object).exists()


def sockets(manager: Manager) -> set[int]:
    """What tells the listening sockets in the store apart"""
    return {os.fstat(fd).st_ino for name, fd in list(manager.store.items())
            if name.startswith("listener/")}


@pytest.mark.parametrize("way", ["SIGHUP", "kill"])
def test_socket_without_a_file_leaves_the_store(lab: Lab, way: str) -> None:
    """The next process listens on a new one."""
    manager = Manager(lab)
    manager.start()
    lab.wait("the store", lambda: len(manager.store) == 3)
    before = sockets(manager)
    lab.socket.unlink()
    if way == "SIGHUP":
        manager.process.expect_error("reloaded: ")
        manager.reload()
    else:
        manager.restart()
    lab.wait("the store to be tidy", lambda: len(manager.store) == 3 and
             sockets(manager) != before)
    lab.clients(2)


def test_client_that_was_not_kept(lab: Lab) -> None:
    """If the service manager lacks its fds, the client has left."""
    manager = Manager(lab)
    manager.start()
    first, second = lab.clients(2)
    lab.wait("both clients to be stored", lambda: "0/2/0" in manager.store)
    manager.kill()
    os.close(manager.store.pop("0/2/0"))
    manager.start()
    lab.wait("the second client to be disconnected", second.closed)
    lab.wait_for_view(first, {0: 1})


def accept(manager: Manager, name: str) -> None:
    """Accepts and stores the waiting client, like a server that is killed
    before it writes the client to its ledger."""
    listener, = (fd for kept, fd in manager.store.items()
                 if kept.startswith("listener/"))
    with socket.socket(fileno=os.dup(listener)) as listening:
        client, _ = listening.accept()
    client.setblocking(False)
    manager.store[name] = client.detach()


@pytest.mark.parametrize("kept", ["all", "no vector"])
def test_client_that_was_not_written_down(lab: Lab, kept: str) -> None:
    """It was not sent anything yet, so it joins as a new client."""
    manager = Manager(lab)
    manager.start()
    stays = lab.client()
    lab.wait_for_view(stays, {0: 1})
    manager.kill()
    newcomer = lab.connect()
    accept(manager, "0/9")
    if kept == "all":
        manager.store["0/9/0"] = eventfd.create()
    manager.start()
    for client in (newcomer, stays):
        lab.wait_for_view(client, {0: 1, 1: 1})
    stays.ring(1)
    assert newcomer.rung()
    lab.wait("the fd store to be filled",
             lambda: set(manager.store) >= {"0/2", "0/2/0"})
    assert not {"0/9", "0/9/0"} & set(manager.store)
    manager.restart()
    lab.wait_for_view(lab.client(), {0: 1, 1: 1, 2: 1})
    assert not newcomer.closed()


def test_bad_client_that_was_not_written_down(lab: Lab) -> None:
    """Other clients are not told about it."""
    manager = Manager(lab)
    manager.start()
    stays = lab.client()
    lab.wait_for_view(stays, {0: 1})
    manager.kill()
    rude = lab.connect()
    accept(manager, "0/9")
    rude.say(b"x")
    manager.start()
    lab.wait("the bad client to be disconnected", rude.closed)
    lab.wait_for_view(lab.client(), {0: 1, 1: 1})
    lab.wait_for_view(stays, {0: 1, 1: 1})
    assert len(stays.messages) == 5
    lab.wait("old fds to leave the store", lambda: "0/9" not in manager.store)


def test_service_stop_and_start(lab: Lab) -> None:
    """As in systemctl restart, the manager keeps everything."""
    manager = Manager(lab)
    manager.start()
    first, second = lab.clients(2)
    lab.stop(manager.process)
    manager.take()
    manager.start()
    first.ring(1)
    assert second.rung()
    third = lab.client()
    lab.wait_for_view(first, {0: 1, 1: 1, third.id: 1})


def activate(lab: Lab, manager: Manager, path: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        manager.sockets[name] = listener.detach()


@pytest.mark.parametrize("named", [True, False])
def test_socket_activation(lab: Lab, named: bool) -> None:
    """Clients that connected before the server started are served."""
    manager = Manager(lab, activated=not named)
    activate(lab, manager, lab.socket, "ivshmemd@lab.socket")
    early = lab.connect()
    manager.start()
    lab.wait_for_view(early, {0: 1})
    manager.restart()
    lab.wait_for_view(lab.client(), {0: 1, 1: 1})
    lab.stop(manager.process)
    assert lab.socket.exists()  # it belongs to the manager


def test_activated_socket_that_is_not_configured(lab: Lab) -> None:
    manager = Manager(lab)
    activate(lab, manager, lab.path("other"), "other.socket")
    process = manager.start()
    process.expect_error("closing a socket of the service manager that no "
                         "channel uses: .*other")
    lab.clients(2)


# --- a reload alone


def configured(lab: Lab, text: str) -> Path:
    file = lab.path("conf")
    file.write_text(text)
    return file


def reload(lab: Lab) -> str:
    ended = lab.ctl("reload")
    assert ended.returncode == 0, ended
    return ended.stdout


def test_reload_reads_the_configuration(lab: Lab) -> None:
    a, b = lab.path("a"), lab.path("b")
    file = configured(lab, f"[channel a]\nsockets={a}\n")
    process = lab.ivshmemd("--config", str(file),
                           "--control", str(lab.control))
    process.expect_error("reloaded: ")
    stays = lab.client(a)
    file.write_text(f"[channel a]\nsockets={a}\nvectors=3\n"
                    f"[channel b]\nsockets={b}\n")
    reload(lab)
    newcomer = lab.client(a)
    lab.wait_for_view(stays, {0: 1, 1: 3})
    lab.wait_for_view(newcomer, {0: 1, 1: 3})
    assert lab.client(b).id == 0


def test_reload_removes_a_channel(lab: Lab) -> None:
    a, b = lab.path("a"), lab.path("b")
    file = configured(lab, f"[channel a]\nsockets={a}\n"
                      f"[channel b]\nsockets={b}\n")
    process = lab.ivshmemd("--config", str(file),
                           "--control", str(lab.control))
    process.expect_error("channel b is no longer configured: it is closed")
    process.expect_error("socket .*b is no longer configured: closed")
    process.expect_error("reloaded: ")
    stays, goes = lab.client(a), lab.client(b)
    file.write_text(f"[channel a]\nsockets={a}\n")
    reload(lab)
    lab.wait("the client to be disconnected", goes.closed)
    assert not b.exists()
    lab.wait_for_view(stays, {0: 1})


def test_removed_channel_leaves_the_store(lab: Lab) -> None:
    a, b = lab.path("a"), lab.path("b")
    file = configured(lab, f"[channel a]\nsockets={a}\n")
    manager = Manager(lab, "--config", str(file))
    process = manager.start()
    lab.wait("the fd store to be filled", lambda: len(manager.store) == 3)
    before = set(manager.store)
    file.write_text(f"[channel a]\nsockets={a}\n[channel b]\nsockets={b}\n")
    manager.reload()
    lab.client(b)
    lab.wait("the store to grow", lambda: len(manager.store) == 8)
    file.write_text(f"[channel a]\nsockets={a}\n")
    manager.reload()
    lab.wait("old fds to leave the store",
             lambda: set(manager.store) == before)
    process.expect_error("channel b is no longer configured: it is closed")
    process.expect_error("socket .*b is no longer configured: closed")
    process.expect_error(RELOADED, 2)


@pytest.mark.parametrize("size", ["1M", "8K"])
def test_memory_keeps_its_size_at_a_reload(lab: Lab, size: str) -> None:
    a = lab.path("a")
    file = configured(lab, f"[channel a]\nsockets={a}\nsize=64K\n")
    process = lab.ivshmemd("--config", str(file),
                           "--control", str(lab.control))
    process.expect_error("channel a keeps its 64K: memory in use cannot be "
                         f"resized to {size}. Stop the server and start it")
    process.expect_error("reloaded: ")
    file.write_text(f"[channel a]\nsockets={a}\nsize={size}\n")
    reload(lab)
    client = lab.client(a)
    assert client.memory is not None
    assert os.fstat(client.memory).st_size == 65536


def test_reload_does_not_wait_for_each_client(lab: Lab) -> None:
    """The manager hangs while a channel with many clients is closed."""
    a, b = lab.path("a"), lab.path("b")
    file = configured(lab, f"[channel a]\nsockets={a}\n"
                      f"[channel b]\nsockets={b}\n")
    manager = Manager(lab, "--config", str(file))
    process = manager.start()
    lab.client(a)
    many = [lab.client(b) for _ in range(30)]
    lab.wait("the store", lambda: manager.fds_of_clients() == 62)
    manager.hang()
    file.write_text(f"[channel a]\nsockets={a}\n")
    os.kill(process.pid, signal.SIGHUP)
    lab.wait("the reload", lambda: any("reloaded: " in line
                                       for line in process.errors))
    process.expect_error("the service manager is slow", 2, 0)
    process.expect_error("channel b is no longer configured: it is closed")
    process.expect_error("socket .*b is no longer configured: closed")
    process.expect_error("reloaded: ")
    for client in many:
        lab.wait("the client to be disconnected", client.closed)
    assert lab.client(a).id == 1


def test_reload_sets_the_mode_of_a_socket(lab: Lab) -> None:
    a = lab.path("a")
    file = configured(lab, f"[channel a]\nsockets={a},mode=0666\n")
    process = lab.ivshmemd("--config", str(file),
                           "--control", str(lab.control))
    process.expect_error("reloaded: ", 2)
    client = lab.client(a)
    file.write_text(f"[channel a]\nsockets={a},mode=0600\n")
    reload(lab)
    assert a.stat().st_mode & 0o777 == 0o600
    lab.wait_for_view(lab.client(a), {0: 1, 1: 1})

    file.write_text(f"[channel a]\nsockets={a},group=no-such-group\n")
    reload(lab)
    process.expect_error(f"channel a continues without a socket: socket {a}: "
                         "there is no group 'no-such-group'")
    assert not a.exists()
    assert not client.closed()


def test_memory_stays_the_same_at_a_reload(lab: Lab) -> None:
    """Whatever is configured by then. It is not reported as another."""
    a, b = lab.path("a"), lab.path("b")
    text = "[channel a]\n{}sockets={}\n"
    named, in_folder = f"memory-name={lab.object}\n", (
        f"memory-directory={lab.directory}\n")
    for first, kind, others in (
            (text.format(named, a), "object", [
                text.format(f"memory-name={lab.object}-2\n", a),
                text.format("", a), text.format(in_folder, a)]),
            (text.format("", a), "memfd", [text.format(named, a)]),
            (text.format(in_folder, f"{a};{b}"), "file", [
                text.format(in_folder, f"{b};{a}")])):
        file = configured(lab, first)
        process = lab.ivshmemd("--config", str(file),
                               "--control", str(lab.control))
        process.expect_error("reloaded: ", len(others) + 1)
        process.expect_error("channel a keeps its .*cannot be replaced. Stop",
                             len(others))
        process.expect_error("memory .* exists from an earlier run", 1, 0)
        client = lab.client(a)
        before = json.loads(lab.ctl("list", "--json").stdout)["channels"][0]
        assert before["memory"] == kind
        for other in [*others, first]:
            file.write_text(other)
            assert reload(lab) == "reloaded; 1 client stayed connected\n"
            now = json.loads(lab.ctl("list", "--json").stdout)["channels"][0]
            assert (now["memory"], now["path"]) == (kind, before["path"])
        assert not client.closed()
        lab.stop(process)


@pytest.mark.parametrize("way", ["SIGHUP", "kill"])
def test_clients_stay_without_a_control_socket(lab: Lab, way: str) -> None:
    """The next process cannot listen on its control socket."""
    a = lab.path("a")
    text = "[ivshmemd]\ncontrol={}\n" f"[channel a]\nsockets={a}\n"
    file = configured(lab, text.format(lab.control))
    manager = Manager(lab, "--config", str(file))
    manager.start()
    client = lab.client(a)
    lab.wait_for_view(client, {0: 1})
    lab.wait("the client to be kept", lambda: "0/1/0" in manager.store)
    file.write_text(text.format("/missing/control"))
    if way == "SIGHUP":
        manager.process.expect_error("reloaded: ")
        manager.reload()
    else:
        manager.restart()
    manager.process.expect_error("continues without its control socket: cannot "
                                 "listen on /missing/control: No such file")
    manager.process.expect_error(f"socket {lab.control} is no longer configured")
    lab.wait_for_view(lab.client(a), {0: 1, 1: 1})
    lab.wait_for_view(client, {0: 1, 1: 1})


def test_clients_stay_without_a_pid_file(lab: Lab) -> None:
    folder = lab.path("run")
    folder.mkdir()
    process = lab.ivshmemd("-p", str(folder / "pid"))
    client = lab.client()
    shutil.rmtree(folder)
    os.kill(process.pid, signal.SIGHUP)
    lab.wait("the reload", lambda: len(process.errors) == 2)
    process.expect_error("reloaded: ")
    process.expect_error("continues without its PID file: cannot write")
    lab.wait_for_view(lab.client(), {0: 1, 1: 1})
    lab.wait_for_view(client, {0: 1, 1: 1})


@pytest.mark.parametrize("how", ["ivshmemctl", "SIGHUP"])
def test_wrong_configuration_changes_nothing(lab: Lab, how: str) -> None:
    a = lab.path("a")
    file = configured(lab, f"[channel a]\nsockets={a}\n")
    process = lab.ivshmemd("--config", str(file),
                           "--control", str(lab.control))
    client = lab.client(a)
    file.write_text(f"[channel a]\nsockets={a}\nvectors=99\n")
    if how == "ivshmemctl":
        ended = lab.ctl("reload")
        assert ended.returncode == 1
        assert f"{file}:3: vectors: vectors '99' must be a" in ended.stderr
    else:
        process.expect_error(f"not reloaded: {file}:3: vectors: ")
        os.kill(process.pid, signal.SIGHUP)
        lab.wait("a message in the log", lambda: process.errors)
    lab.wait_for_view(lab.client(a), {0: 1, 1: 1})
    lab.wait_for_view(client, {0: 1, 1: 1})


def from_a_copy(lab: Lab) -> tuple[Process, Path]:
    """A server that runs a copy of the program, which a test may damage."""
    program = lab.path("ivshmemd")
    shutil.copy(lab.command()[0], program)
    process = lab.bed.program("ivshmemd", [
        str(program), *lab.command("--control", str(lab.control))[1:]])
    lab.wait("ivshmemd to be ready", lambda: process.said("is ready"))
    return process, program


def test_missing_program_changes_nothing(lab: Lab) -> None:
    _, program = from_a_copy(lab)
    first = lab.client()
    program.unlink()
    ended = lab.ctl("reload")
    assert ended.returncode == 1
    assert "cannot execute" in ended.stderr
    second = lab.client()
    lab.wait_for_view(first, {0: 1, 1: 1})
    lab.wait_for_view(second, {0: 1, 1: 1})


def script(ivshmemd: bytes) -> bytes:
    text = b"#!/bin/sh\nexit 1\n"
    return text + ivshmemd[len(text):]  # only the start is wrong


def cut_short(ivshmemd: bytes) -> bytes:
    return ivshmemd[:-1]


def another_program(ivshmemd: bytes) -> bytes:
    return Path("/bin/false").read_bytes()


@pytest.mark.parametrize("spoil", [script, cut_short, another_program])
def test_bad_program_changes_nothing(
        lab: Lab, spoil: Callable[[bytes], bytes]) -> None:
    process, program = from_a_copy(lab)
    process.expect_error(f"not reloaded: {program} is not a complete ivshmemd.* "
                         "install it again")
    client = lab.client()
    good = program.read_bytes()
    program.unlink()  # a running program cannot be written
    program.write_bytes(spoil(good))
    program.chmod(0o755)
    ended = lab.ctl("reload")
    assert ended.returncode == 1
    assert f"{program} is not a complete ivshmemd" in ended.stderr
    os.kill(process.pid, signal.SIGHUP)
    lab.wait("a message in the log", lambda: process.errors)
    lab.wait_for_view(lab.client(), {0: 1, 1: 1})
    lab.wait_for_view(client, {0: 1, 1: 1})


def test_another_program_takes_over(lab: Lab) -> None:
    """As in an upgrade, there is a new file at the same path."""
    process, program = from_a_copy(lab)
    process.expect_error("reloaded: ")
    client: Client = lab.client()
    newer = lab.path("newer")
    shutil.copy(program, newer)
    newer.rename(program)
    assert reload(lab) == "reloaded; 1 client stayed connected\n"
    assert Path(f"/proc/{process.pid}/exe").samefile(program)
    lab.wait_for_view(client, {0: 1})
