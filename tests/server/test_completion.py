# SPDX-License-Identifier: GPL-2.0-or-later
"""bash completion for ivshmemctl."""

import re
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts
from ivshmem.artifacts import CHECKOUT

from .lab import Lab

COMPLETION = CHECKOUT / "server/completions/ivshmemctl"

# Its arguments are the words as bash splits them; the last one is incomplete.
SCRIPT = """
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_ivshmemctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words: str, directory: Path = CHECKOUT) -> list[str]:
    ended = subprocess.run(
        ["bash", "--norc", "-uc", SCRIPT, "bash", str(COMPLETION),
         "ivshmemctl", *words],
        text=True, capture_output=True, timeout=10, cwd=directory)
    assert (ended.returncode, ended.stderr) == (0, "")
    return sorted(ended.stdout.split())


def said_by(*arguments: str) -> str:
    return subprocess.run([artifacts.ivshmemctl(), *arguments], text=True,
                          capture_output=True, timeout=10).stderr


def commands() -> list[str]:
    """All commands in the help."""
    text = subprocess.run([artifacts.ivshmemctl(), "--help"], text=True,
                          capture_output=True, check=True).stdout
    return sorted(set(re.findall(r"^  ([a-z]+) ", text.split("Commands", 1)[1],
                                 re.M)))


def options() -> list[str]:
    text = subprocess.run([artifacts.ivshmemctl(), "--help"], text=True,
                          capture_output=True, check=True).stdout
    return sorted(re.findall(r"--[a-z][a-z-]+(?==| )", text.split(
        "Application Options:")[1].replace("peers --watch", "")))


def test_commands() -> None:
    assert len(commands()) == 12
    assert completed("") == commands()
    assert completed("--server", "=", "/x", "") == commands()
    assert completed("-S", "list", "") == commands()
    assert completed("re") == ["read", "reload"]
    assert completed("ring", "") == []
    assert completed("-") == ["--control", "--help", "--server", "--version"]


@pytest.mark.parametrize("command", commands())
def test_options(command: str) -> None:
    """It offers exactly the options that the command accepts."""
    offered = completed(command, "--")
    assert completed("-S", "path", command, "word", "--") == offered
    words = {"ring": ["0"], "ping": ["0"], "read": ["0"], "wait": ["word", "0"],
             "write": ["0"]}.get(command, [])
    for option in set(options()) - {"--version"}:
        given = option if option in ("--json", "--watch", "--hex", "--text",
                                     "--word", "--big-endian") else (
            f"{option}=1")
        refused = f"{command} does not support {option}\n" in said_by(
            command, *words, *(["1"] if command == "wait" else []), given,
            *(["--server=/missing"] if command not in ("list", "reload")
              and option != "--server" else []),
            *(["--control=/missing"] if command in ("list", "reload")
              and option != "--control" else []))
        assert (option in offered) == (not refused), option


def test_wait() -> None:
    assert completed("wait", "") == ["peers", "word"]
    assert completed("wait", "word", "") == []


def test_paths(lab: Lab) -> None:
    lab.socket.touch()
    for words in (["-S", "soc"], ["--server", "=", "soc"],
                  ["--control", "s"], ["read", "0", "--file", ""]):
        assert completed(*words, directory=lab.directory) == ["socket"]
    assert completed("--server", "=", directory=lab.directory) == ["socket"]
    assert completed("listen", "--count", "") == []


def test_installed(lab: Lab) -> None:
    """meson installs it where bash-completion looks for it."""
    listed = subprocess.run(
        ["meson", "introspect", "--installed",
         str(artifacts.ivshmemctl().parent)],
        text=True, capture_output=True, timeout=60)
    if listed.returncode:
        pytest.skip("ivshmemctl is not in a build directory")
    assert re.search(rf'"{COMPLETION}": '
                     r'"[^"]*/bash-completion/completions/ivshmemctl"',
                     listed.stdout)
