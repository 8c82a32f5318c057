# SPDX-License-Identifier: GPL-2.0-or-later
"""Options, messages and exit of ivshmemd."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ivshmem import artifacts
from ivshmem.procfs import open_files

from .lab import READY, Lab, sandbox, with_mounts


def said(*options: str) -> str:
    """Runs ivshmemd, which must succeed, and returns its output."""
    return subprocess.run([str(artifacts.ivshmemd()), *options], check=True,
                          text=True, capture_output=True, timeout=10).stdout


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    text = said(option)
    for letter in "hvFpSMmln":
        assert re.search(rf"^  -{letter}, --", text, re.M), letter
    assert "Stays in the foreground unless --daemon is given" in text


def test_version() -> None:
    assert re.fullmatch(r"ivshmemd \d+\.\d+\S*\n", said("--version"))


@pytest.mark.parametrize("options, message", [
    (["-x"], "Unknown option -x"),
    (["more"], "'more' is not an option"),
    (["-l"], "Missing argument for -l"),
    (["-l", "0"], "-l: '0' is not a size: use a number of bytes"),
    (["-l", "4Q"], "-l: '4Q' is not a size"),
    (["-l", "-1"], "-l: '-1' is not a size"),
    (["-l", "16E"], "-l: '16E' is not a size"),
    (["-n", "65"], "-n: vectors '65' must be a number from 0 to 64"),
    (["-n", "-1"], "-n: vectors '-1' must be a number from 0 to 64"),
    (["-n", "two"], "-n: vectors 'two' must be a number from 0 to 64"),
    (["-M", "a/b"], "-M: 'a/b' is not a POSIX object name"),
    (["-M", ".."], "-M: '..' is not a POSIX object name"),
    (["-m", "/missing"], "-m: '/missing' is not a directory"),
    (["-M", "name", "-m", "/dev/shm"], "either an object .* or a file"),
    (["-S", ""], "-S: '' is not a socket path: use 1 to 107 bytes"),
    (["-S", "s" * 108], "-S: 's+' is not a socket path: use 1 to 107"),
    (["-S", "/missing/socket"], "cannot listen on /missing/socket: No such"),
    (["-S", "/dev/null"], "it exists and is not a socket: remove it"),
    (["--socket", "s,id=65536"], "socket s: id '65536' must be a number from 0"),
    (["--socket", "s,vectors=65"], "socket s: vectors '65' must be a number"),
    (["--socket", "s,mode=888"], "socket s: mode '888' must be permissions"),
    (["--socket", "s,color=red"], "'color=red' is not a socket option: "
     "use id=N, vectors=N, mode=0660 and group=NAME"),
    (["--socket", "s,group="], "'group=' is not a socket option"),
    (["--socket", "s", "--socket", "s"], "the socket s is listed twice"),
    (["--socket", "s,id=3", "--socket", "t,id=3"],
     "two sockets have the ID 3"),
    (["--control", "s", "-S", "s"],
     "control socket s is also a channel's socket"),
    (["-F", "--daemon"], "-F and --daemon cannot be used together"),
    (["--sandbox=maybe"], "--sandbox 'maybe' must be on, off or kill"),
    (["--config", "/missing"], "/missing.*: No such file or directory"),
    (["--config", "file", "-n", "2"], "--config cannot be used with -S"),
])
def test_refused(lab: Lab, options: list[str], message: str) -> None:
    stderr = lab.refused(*options)
    assert re.search(f"^ivshmemd: .*{message}", stderr), stderr
    assert not lab.socket.exists()


def test_unknown_group(lab: Lab) -> None:
    path = lab.path("named")
    stderr = lab.refused("--socket", f"{path},group=no-such-group")
    assert f"socket {path}: there is no group 'no-such-group'" in stderr
    assert not path.exists()


def test_wrong_usage_points_to_help(lab: Lab) -> None:
    assert lab.refused("-x").endswith("Try 'ivshmemd --help'.\n")


def test_ready_line(lab: Lab) -> None:
    process = lab.ivshmemd("-l", "1M", "-n", "3")
    assert process.output == [f"ivshmemd is ready: {lab.socket} (3 vectors): "
                              "1M, sealed memfd"]


def test_silent_without_v(lab: Lab) -> None:
    """The bed fails if anything is on stderr."""
    lab.ivshmemd()
    lab.clients(2)


def test_verbose(lab: Lab) -> None:
    process = lab.ivshmemd("-v")
    process.expect_error(rf"peer 0 joined at {lab.socket} \(PID {os.getpid()}")
    process.expect_error(r"peer 0 \(PID .*\) left")
    process.expect_error("exiting on signal 15")
    lab.client().close()
    lab.wait("its departure to be logged",
             lambda: any("left" in line for line in process.errors))


def test_foreground_is_accepted(lab: Lab) -> None:
    process = lab.ivshmemd("-F")
    assert not process.has_ended()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends(lab: Lab, number: signal.Signals) -> None:
    process = lab.ivshmemd("--control", str(lab.control))
    os.kill(process.pid, number)
    lab.bed.wait_for_failure(process, "ended with status 0$")
    assert not lab.socket.exists()
    assert not lab.control.exists()


def test_leaves_others_socket(lab: Lab) -> None:
    """It does not remove a socket at its path that is not its own."""
    process = lab.ivshmemd()
    lab.socket.unlink()
    lab.socket.write_text("another")
    lab.stop(process)
    assert lab.socket.read_text() == "another"


def test_second_server_on_the_socket(lab: Lab) -> None:
    lab.ivshmemd()
    assert (f"cannot listen on {lab.socket}: a running server uses it"
            in lab.refused())
    lab.clients(2)


def test_comma_in_path(lab: Lab) -> None:
    lab.ivshmemd("-S", str(lab.path("a,b")))
    assert lab.client(lab.path("a,b")).id == 0


def test_pid_file(lab: Lab) -> None:
    file = lab.path("pid")
    process = lab.ivshmemd("-p", str(file))
    assert file.read_text() == f"{process.pid}\n"
    lab.stop(process)
    assert not file.exists()


def test_pid_file_that_cannot_be_written(lab: Lab) -> None:
    stderr = lab.refused("-p", "/missing/pid")
    assert "cannot write the PID file /missing/pid: No such file" in stderr
    assert "Choose another with -p" in stderr
    assert not lab.socket.exists()


@contextmanager
def daemon(pid_file: Path) -> Iterator[int]:
    pid = int(pid_file.read_text())
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)


def test_daemon(lab: Lab) -> None:
    """Clients can connect once the command has returned."""
    file = lab.path("pid")
    ended = subprocess.run(lab.command("--daemon", "-p", str(file)), text=True,
                           capture_output=True, timeout=10, check=True)
    with daemon(file) as pid:
        assert ended.stdout.startswith("ivshmemd is ready: ")
        assert lab.client().id == 0
        assert os.getsid(pid) not in (os.getsid(0), os.getsid(os.getppid()))
        assert not {"pipe"} & set(open_files(pid))
    lab.wait("the daemon to end", lambda: not file.exists())
    assert not lab.socket.exists()


@pytest.fixture
def by_default(lab: Lab) -> list[str]:
    """The command of an ivshmemd without options. Its /tmp is the test's
    folder, so no other server is in the way."""
    lab.path("run").mkdir()
    shutil.copy(artifacts.ivshmemd(), lab.path("ivshmemd"))
    return [*with_mounts(f"--bind {lab.path('run')} /var/run",
                         f"--bind {lab.directory} /tmp"),
            "/tmp/ivshmemd", sandbox()]


DEFAULT_SOCKET = "ivshmem_socket"


def test_defaults(lab: Lab, by_default: list[str]) -> None:
    process = lab.bed.program("ivshmemd", by_default)
    lab.wait("ivshmemd to be ready", lambda: process.said(READY))
    assert process.output == [f"ivshmemd is ready: /tmp/{DEFAULT_SOCKET} "
                              "(1 vector): 4M, sealed memfd"]
    assert lab.client(lab.path(DEFAULT_SOCKET)).id == 0
    assert not list(lab.path("run").glob("*.pid"))
    lab.stop(process)
    assert not lab.path(DEFAULT_SOCKET).exists()


def test_defaults_of_a_daemon(lab: Lab, by_default: list[str]) -> None:
    file = lab.path("run") / "ivshmem-server.pid"
    subprocess.run([*by_default, "--daemon"], timeout=10, check=True,
                   stdout=subprocess.DEVNULL)
    with daemon(file):
        assert lab.client(lab.path(DEFAULT_SOCKET)).id == 0
    lab.wait("the daemon to end", lambda: not file.exists())
    assert not lab.path(DEFAULT_SOCKET).exists()


class Syslog:
    """A syslog at the /dev/log of what is started `within`."""

    def __init__(self, lab: Lab) -> None:
        folder = lab.path("dev")
        folder.mkdir()
        (folder / "null").touch()
        self.within = with_mounts(f"--bind /dev/null {folder}/null",
                                  f"--rbind {folder} /dev")
        self._path = folder / "log"
        self._lab = lab

    def start(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._lab.at_end(self.stop)
        self._socket.bind(str(self._path))
        self._socket.settimeout(30)

    def stop(self) -> None:
        self._socket.close()  # may be called again
        self._path.unlink(missing_ok=True)

    def line(self) -> str:
        return self._socket.recv(4096).decode()


def test_daemon_finds_another_syslog(lab: Lab) -> None:
    """Like syslog(3). What was logged in between is lost, and it says so."""
    syslog, file = Syslog(lab), lab.path("pid")
    subprocess.run([*syslog.within, *lab.command("--daemon", "-v", "-p",
                                                 str(file))],
                   stdout=subprocess.DEVNULL, timeout=10, check=True)
    with daemon(file):
        lab.client()
        syslog.start()
        lab.client()
        assert syslog.line().endswith(": log lines lost: 1")
        assert "peer 1 joined" in syslog.line()
        syslog.stop()
        syslog.start()
        lab.client()
        assert "peer 2 joined" in syslog.line()


def test_daemon_logs_what_a_reload_cannot_do(lab: Lab) -> None:
    syslog, pid_file, conf = Syslog(lab), lab.path("pid"), lab.path("conf")
    text = f"[ivshmemd]\ncontrol={{}}\n[channel a]\nsockets={lab.socket}\n"
    conf.write_text(text.format(lab.control))
    syslog.start()
    subprocess.run([*syslog.within, *lab.command(
        "--daemon", "--config", str(conf), "-p", str(pid_file))],
        stdout=subprocess.DEVNULL, timeout=10, check=True)
    with daemon(pid_file) as pid:
        conf.write_text(text.format("/missing/control"))
        os.kill(pid, signal.SIGHUP)
        assert "continues without its control socket: " in syslog.line()
        assert "is no longer configured" in syslog.line()
        assert "reloaded: " in syslog.line()


def test_daemon_that_fails(lab: Lab) -> None:
    """The command reports the error and exits with its status."""
    stderr = lab.refused("--daemon", "-p", str(lab.path("pid")),
                         "-S", "/missing/socket")
    assert "cannot listen on /missing/socket" in stderr
    assert not lab.path("pid").exists()


def test_foreign_fds_are_closed(lab: Lab) -> None:
    """The server closes inherited fds, except those passed to it."""
    reader, writer = os.pipe()
    process = lab.bed.program("ivshmemd", lab.command(), pass_fds=[writer])
    lab.wait("ivshmemd to be ready", lambda: process.said("is ready"))
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_notify_socket(lab: Lab, kind: str) -> None:
    name = str(lab.path("notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name if kind == "path" else f"\0{name}")
        manager.settimeout(10)
        address = name if kind == "path" else f"@{name}"
        lab.launch(within=["env", f"NOTIFY_SOCKET={address}"])
        while manager.recv(4096) != b"READY=1":
            pass
        assert lab.client().id == 0


def test_notify_socket_is_wrong(lab: Lab) -> None:
    process = lab.ivshmemd(within=["env", "NOTIFY_SOCKET=nonsense"])
    process.expect_error("NOTIFY_SOCKET is neither a path nor '@' and a name")
    lab.clients(2)


@pytest.mark.parametrize("stream, prefix", [
    ("$(stat -Lc %d:%i /proc/self/fd/2)", "<6>"),
    ("8:1", "ivshmemd: ")])  # inherited with another stderr
def test_journal_levels(lab: Lab, stream: str, prefix: str) -> None:
    process = lab.ivshmemd("-v", within=[
        "sh", "-c", f'JOURNAL_STREAM={stream} exec "$@"', "sh"])
    process.expect_error(f"^{prefix}default: peer 0 joined")
    process.expect_error(f"^{prefix}exiting on signal")
    lab.client()


def test_log_that_nobody_reads(lab: Lab) -> None:
    """The server keeps running if nobody reads its log."""
    log = lab.path("log")
    os.mkfifo(log)
    fd = os.open(log, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(fd, bytes(4096))
    except BlockingIOError:
        pass
    lab.ivshmemd("-v", within=["sh", "-c", f'exec "$@" 2>{log}', "sh"])
    lab.clients(3)
    os.close(fd)
