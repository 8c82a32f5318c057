# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks without running anything. QEMU's rules for C, and its paths, are from
the source tree that scripts/qemu-source prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SECONDS = 250.0

# Folders under Apache-2.0, and files that do not begin with an SPDX line:
# documents, and our additions to QEMU's files
APACHE = ("guest", "python", "zephyr")
WITHOUT_LINE = (":!*.md", ":!*.typed", ":!.[gr]*", ":!LICENSES", ":!patches",
                ":!debian/copyright",
                ":!hw/*/[Kmt]*", ":!tests/*/meson.build")


def git(*arguments: str) -> list[str]:
    """The lines that git prints; none if grep finds nothing."""
    return subprocess.run(["git", *arguments], cwd=TOP, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()


def having(pattern: str, *paths: str) -> list[str]:
    """The files with a matching line, committed or not."""
    return git("grep", "--untracked", "-lIE", pattern, "--", *paths)


def succeed(remedy: str, *command: str | Path) -> None:
    done = subprocess.run(command, cwd=TOP, text=True, timeout=SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        pytest.fail(f"{done.stdout}\n{remedy}", pytrace=False)


@pytest.fixture
def qemu() -> Path:
    found = subprocess.run([TOP / "scripts/qemu-source"], text=True,
                           timeout=SECONDS, capture_output=True)
    if found.returncode != 0:
        pytest.fail(found.stderr, pytrace=False)
    return Path(found.stdout.strip())


@pytest.fixture
def rules(qemu: Path) -> str:
    return f"see {qemu}/docs/devel/style.rst"


@pytest.fixture
def checkpatch(qemu: Path) -> list[str | Path]:
    return ["perl", qemu / "scripts/checkpatch.pl", "--no-tree", "--strict"]


# Files that go into QEMU, or are compiled with its headers
C_FILES = having(".", "*.c", "*.h", ":!guest", ":!python", ":!server",
                 ":!tests/guest", ":!zephyr")


def test_c(checkpatch: list[str | Path], rules: str) -> None:
    succeed(rules, *checkpatch, "--terse", "-f", *C_FILES)


def test_c_as_new_files(checkpatch: list[str | Path], rules: str,
                        tmp_path: Path) -> None:
    """Some rules apply only to new files. The patch begins so that checkpatch
    does not ask for maintainers; it reports a missing SPDX line when the next
    file begins."""
    lines = [" MAINTAINERS | 1 +"]
    for file in C_FILES:
        lines += git("diff", "--no-index", "/dev/null", file)
    patch = tmp_path / "patch"
    patch.write_text("\n".join([*lines, "new file mode 100644", ""]))
    succeed(rules, *checkpatch, "--no-signoff", "--no-summary", "--quiet", patch)


def test_shell() -> None:
    succeed("fix each, or put above the line: '# shellcheck disable=CODE # why'",
            "shellcheck", *having("^#!/bin/sh|^# shellcheck shell=sh"))


def test_types() -> None:
    succeed("fix the types: python/pyproject.toml has the rules",
            sys.executable, "-m", "mypy", "--config-file",
            "python/pyproject.toml")


def test_spelling() -> None:
    succeed("fix each, or add --ignore-words-list=WORD to this test",
            "codespell", "--ignore-regex", r"\\[nrt]", *having(".", ":!LICENSES"))


@pytest.mark.parametrize("license, folders", [
    ("Apache-2.0", APACHE),
    ("GPL-2.0-or-later", tuple(f":!{folder}" for folder in APACHE))])
def test_license_of_each_file(license: str, folders: tuple[str, ...]) -> None:
    """reuse does not notice a missing line: .reuse/dep5 covers every file."""
    assert git("grep", "--untracked", "-L", f"License-Identifier: {license}",
               "--", *folders, *WITHOUT_LINE) == []


def test_licenses() -> None:
    succeed("fix what reuse reports above", "reuse",
            "lint")


def test_mentions(qemu: Path) -> None:
    succeed("see above",
            sys.executable, TOP / "tests/style/mentions.py", qemu)


@pytest.mark.parametrize("file, pattern", [
    ("server/meson.build", r"^ +version: '(.*)',$"),
    ("python/pyproject.toml", '^version = "(.*)"$'),
    ("python/ivshmem/version.py", '^VERSION = "(.*)"$'),
    ("include/hw/misc/ivshmem-flat.h", '^#define IVSHMEM_FLAT_VERSION "(.*)"$'),
    ("guest/ivshmem-flat.h", r"^#define IVSHMEM_FLAT_DRIVER_VERSION (\d+)$")])
def test_version_is_that_of_the_changelog(file: str, pattern: str) -> None:
    """The driver's version is a number, 100 * major + minor."""
    changes = (TOP / "CHANGELOG.md").read_text()
    [newest, *_] = re.findall(r"^## ((\d+)\.(\d+)\.\d+)$", changes, re.M)
    version, major, minor = newest
    [found] = re.findall(pattern, (TOP / file).read_text(), re.M)

    assert found in (version, str(100 * int(major) + int(minor)))
