# SPDX-License-Identifier: GPL-2.0-or-later
"""What the sandbox keeps a compromised server from doing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ivshmem import artifacts

from .lab import Lab

pytestmark = pytest.mark.skipif(
    os.environ.get("IVSHMEMD_SANDBOX") == "off",
    reason="IVSHMEMD_SANDBOX=off, as sanitizers need more system calls")

FILTERED = 2  # seccomp mode with a filter, not strict mode


def status(pid: int, field: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s*(\d+)$", text, re.M)
    assert found
    return int(found[1])


def sandboxed(lab: Lab, mode: str) -> int:
    options = [f"--sandbox={mode}"] if mode else []
    process = lab.bed.program("ivshmemd", [
        str(artifacts.ivshmemd()), "-S", str(lab.socket), "--control",
        str(lab.control), *options])
    lab.wait("ivshmemd to be ready", lambda: process.said("is ready"))
    lab.wait("ivshmemd to enter its sandbox", lambda: status(
        process.pid, "Seccomp") == (0 if mode == "off" else FILTERED))
    if mode != "off":
        process.expect_error("reloaded: ")
    return process.pid


@pytest.mark.parametrize("mode", ["", "on", "kill"])
def test_is_inside(lab: Lab, mode: str) -> None:
    pid = sandboxed(lab, mode)
    check(pid)
    assert lab.ctl("reload").returncode == 0
    check(pid)
    lab.clients(2)


def check(pid: int) -> None:
    assert status(pid, "NoNewPrivs") == 1
    assert status(pid, "Seccomp") == FILTERED
    assert status(pid, "Seccomp_filters") == 1


def test_off(lab: Lab) -> None:
    pid = sandboxed(lab, "off")
    assert status(pid, "NoNewPrivs") == 1
    lab.clients(2)


def test_standard_fds_are_never_clients(lab: Lab) -> None:
    """The server is started without standard fds."""
    process = lab.launch(within=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    lab.wait("the socket to exist", lab.socket.exists)
    lab.clients(2)
    for fd in range(3):
        assert os.readlink(f"/proc/{process.pid}/fd/{fd}") == "/dev/null"


@pytest.mark.parametrize("mode, outcome", [
    ("kill", f"killed by {signal.SIGSYS.name}"), ("on", "goes on")])
def test_forbidden_call(lab: Lab, mode: str, outcome: str) -> None:
    """A debugger makes the server call mkdir()."""
    try:
        subprocess.run(["gdb", "--version"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("gdb is missing")
    path = lab.path("made")
    process = lab.bed.program("ivshmemd", [
        str(artifacts.ivshmemd()), "-S", str(lab.socket),
        f"--sandbox={mode}"])
    lab.wait("ivshmemd to enter its sandbox", lambda: lab.socket.exists() and
             status(process.pid, "Seccomp") == FILTERED)
    subprocess.run(["gdb", "-q", "-batch", "-p", str(process.pid), "-ex",
                    f'call (int)mkdir("{path}", 0700)'],
                   capture_output=True, timeout=30)
    assert not path.exists()
    if mode == "kill":
        lab.bed.wait_for_failure(process, outcome)
    else:
        lab.clients(2)


NO_SECCOMP = Path(__file__).with_name("no_seccomp.py")


@pytest.mark.parametrize("options", [[], ["--daemon"]])
def test_no_sandbox(lab: Lab, options: list[str]) -> None:
    """Without a filter of system calls it does not start, and says so before
    anybody takes it for ready."""
    file = lab.path("pid")
    stderr = lab.refused("-p", str(file), *options,
                         within=[sys.executable, "-IS", str(NO_SECCOMP)])
    assert re.search("filter.* system calls.* --sandbox=off", stderr), stderr
    assert not lab.socket.exists()
    assert not file.exists()
