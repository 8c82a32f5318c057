# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/install-packages and scripts/ensure-qemu on a bare Debian."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts

SCRIPTS = artifacts.CHECKOUT / "scripts"
SECONDS = 60.0

APT_GET = """
echo "$*" >>"$(dirname "$0")/calls"
case " $* " in
*" --assume-no "*)
    echo 'Need to get 96.3 MB/97.1 MB of archives.'
    echo 'After this operation, 412 MB of additional disk space will be used.'
    exit 1
    ;;
*" no-such-package "*) exit 100 ;;
esac
"""
# Knows no package before `apt-get update`
APT_CACHE = """
! grep -q '^update ' "$(dirname "$0")/calls" || echo '  Candidate: {}'
"""


class Debian:
    """Fake package manager programs. apt-get records how it was called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, script in (("dpkg-query", "exit 1"), ("apt-get", APT_GET),
                             ("id", "echo 0")):
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    def offer(self, qemu: str) -> None:
        """Makes this version of QEMU available."""
        (self._folder / "apt-cache").write_text(
            f"#!/bin/sh\n{APT_CACHE.format(qemu)}\n")
        (self._folder / "apt-cache").chmod(0o755)

    def install(self, *parts: str,
                **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("install-packages", *parts, **environment)

    def run(self, script: str, *arguments: str,
            **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self._folder}:{os.environ['PATH']}"
        return subprocess.run(
            [SCRIPTS / script, *arguments], timeout=SECONDS, text=True,
            capture_output=True, env={**os.environ, "NO_INSTALL": "0", "V": "0",
                                      "PATH": path, **environment})

    def calls(self) -> list[str]:
        file = self._folder / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path)


def test_says_how_much_and_then_installs(debian: Debian) -> None:
    done = debian.install("patches")

    assert done.returncode == 0, done.stderr
    assert ("for patches, 96.3 MB to fetch, 412 MB on disk, usually half a "
            "minute: git perl\n") in done.stderr
    assert [("--assume-no" in call, call.endswith(" git perl"))
            for call in debian.calls()] == [(True, True), (False, True)]


def test_no_install_only_names_them(debian: Debian) -> None:
    done = debian.install("patches", NO_INSTALL="1")

    assert done.returncode == 1
    assert "missing: git perl. NO_INSTALL is set: run " in done.stderr
    assert debian.calls() == []


def test_all_parts_at_once(debian: Debian) -> None:
    done = debian.install("--all", NO_INSTALL="1")

    packages = {name for line in (SCRIPTS / "packages").read_text().splitlines()
                if line and not line.startswith("#")
                for name in line.split()[1:]}
    missing = re.search("missing: (.*)\\. NO_INSTALL", done.stderr)
    assert missing and set(missing[1].split()) == packages


def test_unknown_part(debian: Debian) -> None:
    done = debian.install("patches", "nowhere")

    assert done.returncode == 1
    assert "no part 'nowhere' in " in done.stderr
    assert debian.calls() == []


@pytest.mark.parametrize("version, is_used", [
    ("1:10.0.13+ds-0+deb13u1+b1", True), ("1:7.2+dfsg-7+deb12u18", True),
    ("1:8.2.0+ds-1", False)])
def test_demo_finds_debians_qemu_without_lists(debian: Debian, tmp_path: Path,
                                               version: str, is_used: bool) -> None:
    """In a fresh container, apt has no package lists yet."""
    debian.offer(version)
    (tmp_path / "calls").touch()

    done = debian.run("ensure-qemu", NO_INSTALL="1", QEMU="", QEMU_SRC="",
                      XDG_CACHE_HOME=str(tmp_path))

    assert done.returncode == 1
    missing = re.search("missing: (.*)\\. NO_INSTALL", done.stderr)
    assert missing and ("qemu-system-arm" in missing[1].split()) == is_used
