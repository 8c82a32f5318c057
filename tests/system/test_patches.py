# SPDX-License-Identifier: GPL-2.0-or-later
"""The patches of `make patches` apply, and give the same tree as the merge.

They are made for the source of the QEMU under test: the tree in QEMU_SRC, or a
Debian release from the cache. An installed QEMU has no source tree, so then
conftest.py leaves this file out.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ivshmem import artifacts

# One worker runs all tests here, as making the tree takes long.
pytestmark = pytest.mark.xdist_group("patches")

SCRIPTS = artifacts.CHECKOUT / "scripts"
COMPAT = "include/hw/misc/ivshmem-flat-compat.h"
INCLUDE_COMPAT = f'#include "{COMPAT.removeprefix("include/")}"\n'
# The parts of a tree that the merge reads and writes, and checkpatch.pl
PARTS = ("MAINTAINERS", "VERSION", "accel/tcg", "docs", "hw/arm", "hw/misc",
         "include", "scripts/checkpatch.pl", "tests/qtest", "tests/unit")
NAME, EMAIL = "Ada Example", "ada@example.org"
# Git settings that a user may have. They must not affect the series.
HABITS = """
[color]
    ui = always
[commit]
    gpgSign = true
[core]
    hooksPath = /nonexistent
[diff]
    noprefix = true
    renames = copies
[format]
    attach
    coverLetter = false
    outputDirectory = /nonexistent
"""


SOURCES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache",
               "ivshmem-flat/qemu")


def choice() -> dict[str, str]:
    """The variable for make-patches that selects the QEMU under test."""
    if source := os.environ.get("QEMU_SRC"):
        if not Path(source, ".git").exists():
            pytest.skip(f"QEMU_SRC={source} is not a git checkout, so its "
                        "state before the merge is unknown")
        return {"QEMU_SRC": source}
    pristine = artifacts.qemu_build() / "pristine"
    for release in ("bookworm", "trixie", "sid"):
        if (SOURCES / release).resolve() == pristine.resolve():
            return {"QEMU": release}
    pytest.skip(f"{pristine} is not a Debian release's QEMU in {SOURCES}")


class Pristine:
    """A git checkout of QEMU without our files."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "qemu"
        self.choice = choice()
        self.environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": NAME, "GIT_AUTHOR_EMAIL": EMAIL,
            "GIT_COMMITTER_NAME": NAME, "GIT_COMMITTER_EMAIL": EMAIL,
        }
        self.habits = folder / "gitconfig"
        self.habits.write_text(HABITS)
        if release := self.choice.get("QEMU"):
            self.path.mkdir()
            self.succeed("tar", "--create", "--file", folder / "qemu.tar",
                         "--directory", SOURCES / release, *PARTS)
            self.succeed("tar", "--extract", "--file", folder / "qemu.tar",
                         "--directory", self.path)
            (folder / "qemu.tar").unlink()
            self.git("init")
            self.commit("QEMU")
        else:
            self.succeed("git", "clone", "--shared", self.choice["QEMU_SRC"],
                         self.path)
        self.git("tag", "pristine")
        self.git("checkout", "-B", "ivshmem-flat")  # a name users may choose

    def run(self, *command: str | Path,
            **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env={**self.environment, **environment},
                              capture_output=True, text=True, timeout=300)

    def succeed(self, *command: str | Path, **environment: str) -> str:
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def git(self, *arguments: str | Path) -> str:
        return self.succeed("git", "-C", self.path, *arguments)

    def overlay(self) -> None:
        self.succeed(SCRIPTS / "overlay-qemu", "--ours-only", self.path,
                     self.path)

    def go_back_to(self, commit: str) -> None:
        self.git("reset", "--hard", commit)
        self.git("clean", "-dfx")

    def commit(self, message: str) -> None:
        self.git("add", "--all", "--force")
        self.git("commit", "--message", message)

    def make_patches(self, folder: Path,
                     **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs make-patches on this tree, or on what the environment names."""
        if not {"QEMU", "QEMU_SRC"} & environment.keys():
            environment["QEMU_SRC"] = str(self.path)
        usual = {"QEMU": "", "QEMU_SRC": "",
                 "GIT_CONFIG_GLOBAL": str(self.habits)}
        return self.run(SCRIPTS / "make-patches", folder,
                        **{**usual, **environment})

    def changes(self, since: str) -> dict[str, str]:
        """The files that differ from that commit, with their contents."""
        self.git("add", "--all", "--intent-to-add")
        names = self.git("diff", "--name-only", since).splitlines()
        return {name: (self.path / name).read_text() for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pristine]:
    tree = Pristine(tmp_path_factory.mktemp("pristine"))
    yield tree
    shutil.rmtree(tree.path)


@pytest.fixture
def pristine(whole: Pristine) -> Pristine:
    whole.go_back_to("pristine")
    return whole


def newest_version() -> tuple[int, ...]:
    """The newest QEMU version that our files know."""
    return max((int(major), int(minor)) for major, minor in
               re.findall(r"QEMU_OLDER_THAN\((\d+), (\d+)\)",
                          (artifacts.CHECKOUT / COMPAT).read_text()))


class Series:
    """A patch series, and the changes of the merge that it must match."""

    def __init__(self, tree: Pristine, folder: Path,
                 **choice: str) -> None:
        self.tree = tree
        self.base = tree.git("rev-parse", "HEAD").strip()
        major, minor = (tree.path / "VERSION").read_text().split(".")[:2]
        self.version = (int(major), int(minor))
        tree.overlay()
        self.merged = tree.changes(self.base)
        # Uncommitted files must not get into the series.
        stray = tree.path / "hw/misc/stray.c"
        stray.touch()
        made = tree.make_patches(folder, **choice)
        assert made.returncode == 0, f"{made.stdout}{made.stderr}"
        stray.unlink()
        assert tree.changes(self.base) == self.merged
        self.letter, *self.patches = sorted(folder.iterdir())

    def apply(self) -> dict[str, str]:
        self.tree.go_back_to(self.base)
        self.tree.git("am", *self.patches)
        return self.tree.changes(self.base)


@pytest.fixture(scope="module")
def series(whole: Pristine,
           tmp_path_factory: pytest.TempPathFactory) -> Series:
    whole.go_back_to("pristine")
    return Series(whole, tmp_path_factory.mktemp("series"), **whole.choice)


@pytest.fixture(scope="module")
def newest_series(whole: Pristine,
                  tmp_path_factory: pytest.TempPathFactory) -> Series:
    """A series for the same tree, labelled as the newest supported version."""
    whole.go_back_to("pristine")
    (whole.path / "VERSION").write_text("{}.{}.0\n".format(*newest_version()))
    whole.commit("newest")
    return Series(whole, tmp_path_factory.mktemp("newest"))


def relevant(changes: dict[str, str]) -> dict[str, str]:
    """The changes without the header for older QEMUs."""
    return {name: re.sub(r"\n+", "\n", text.replace(INCLUDE_COMPAT, ""))
            for name, text in changes.items() if name != COMPAT}


def test_gives_what_the_merge_gives(series: Series) -> None:
    applied = series.apply()
    del applied["MAINTAINERS"]

    if series.version < newest_version():
        assert applied == series.merged
    else:
        assert applied.keys() == series.merged.keys() - {COMPAT}
        assert relevant(applied) == relevant(series.merged)


def test_newest_does_without_what_older_ones_need(
        newest_series: Series) -> None:
    applied = newest_series.apply()
    del applied["MAINTAINERS"]

    assert COMPAT not in applied
    assert INCLUDE_COMPAT not in "".join(applied.values())
    assert "\n\n\n" not in applied["tests/qtest/ivshmem-flat-vm.h"]
    assert relevant(applied) == relevant(newest_series.merged)


def test_manual_is_of_qemu(series: Series) -> None:
    page = series.apply()["docs/system/devices/ivshmem-flat.rst"]

    assert "Quick start" in page and "Restrictions" in page
    assert "make " not in page and "guest/" not in page
    assert "ivshmem-server -F -S" in page
    assert "docs/index.rst" not in series.apply()


def test_has_maintainers(series: Series) -> None:
    applied = series.apply()
    maintainers = applied.pop("MAINTAINERS")

    entry = next(entry for entry in maintainers.split("\n\n")
                 if entry.startswith("ivshmem-flat\n"))
    assert f"\nM: {NAME} <{EMAIL}>\n" in entry
    for file in applied:
        if "ivshmem-flat" in file:
            assert any(fnmatchcase(file, line.removeprefix("F: "))
                       for line in entry.splitlines()), file


def test_says_what_it_is_for(newest_series: Series) -> None:
    assert (f"\nbase-commit: {newest_series.base}\n"
            in newest_series.letter.read_text())


def test_can_be_sent(series: Series) -> None:
    letter = series.letter.read_text()

    assert "***" not in letter and "@" not in letter.replace(EMAIL, "")
    for number, patch in enumerate(series.patches, 1):
        message = patch.read_text().split("\n---\n")[0]
        assert re.search(
            rf"^Subject: \[PATCH 0*{number}/{len(series.patches)}\] ",
            message, re.MULTILINE)
        assert len(message.split("\n\n")) >= 2, "the message does not say why"
        assert "Signed-off-by" not in message, "must not be signed"


def test_credits_the_first_author(series: Series) -> None:
    assert "Gustavo Romero" in " ".join(series.letter.read_text().split())


def test_can_be_applied_with_its_letter(series: Series) -> None:
    tree = series.tree
    tree.go_back_to(series.base)

    tree.git("am", "--empty=drop", series.letter, *series.patches)

    log = tree.git("log", "--format=%s", f"{series.base}..").splitlines()
    assert len(log) == len(series.patches)


def listed(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text, re.MULTILINE))


def test_each_patch_compiles_what_it_adds(series: Series) -> None:
    """After each patch, meson.build lists each of the device's files and unit
    tests, and trace-events has each of its events. Nothing is compiled."""
    tree = series.tree
    tree.go_back_to(series.base)

    for patch in series.patches:
        tree.git("am", patch)
        sources = {path.name for path in
                   (tree.path / "hw/misc").glob("ivshmem-flat*.c")}
        assert sources == listed(
            r"'(ivshmem-flat[\w-]*\.c)'",
            (tree.path / "hw/misc/meson.build").read_text()), patch.name
        tests = {path.stem for path in
                 (tree.path / "tests/unit").glob("test-ivshmem-flat*.c")}
        assert tests == listed(
            r"'(test-ivshmem-flat[\w-]*)'",
            (tree.path / "tests/unit/meson.build").read_text()), patch.name
        code = "".join((tree.path / "hw/misc" / name).read_text()
                       for name in sources)
        assert listed(r"trace_(ivshmem_flat_\w+)\(", code) <= listed(
            r"^(ivshmem_flat_\w+)\(",
            (tree.path / "hw/misc/trace-events").read_text()), patch.name


def refused(made: subprocess.CompletedProcess[str], reason: str) -> None:
    assert (made.returncode, made.stdout) == (1, "")
    assert reason in made.stderr


def test_no_git_user(pristine: Pristine, tmp_path: Path) -> None:
    nobody = {f"GIT_{role}_{key}": "" for role in ("AUTHOR", "COMMITTER")
              for key in ("NAME", "EMAIL")}
    refused(pristine.make_patches(tmp_path, **nobody),
            "git config --global user.name")


def test_from_a_git_hook(pristine: Pristine, tmp_path: Path) -> None:
    """Git tells its hooks where their repository is. It must not change."""
    hooked = tmp_path / "hooked"
    pristine.succeed("git", "init", hooked)
    pristine.succeed("git", "-C", hooked, "commit", "--allow-empty", "-m", "mine")
    before = pristine.succeed("git", "-C", hooked, "for-each-ref")

    made = pristine.make_patches(
        tmp_path / "series", GIT_DIR=str(hooked / ".git"),
        GIT_INDEX_FILE=str(hooked / ".git/index"))

    assert made.returncode == 0, made.stderr
    assert pristine.succeed("git", "-C", hooked, "for-each-ref") == before


def test_no_qemu(pristine: Pristine, tmp_path: Path) -> None:
    refused(pristine.make_patches(tmp_path, QEMU_SRC=str(tmp_path)),
            f"QEMU_SRC={tmp_path} is not a QEMU source tree")


def test_no_git_checkout(pristine: Pristine, tmp_path: Path) -> None:
    (tmp_path / "VERSION").touch()
    refused(pristine.make_patches(tmp_path, QEMU_SRC=str(tmp_path)),
            f"QEMU_SRC={tmp_path} is not a git checkout")


def test_unknown_release(pristine: Pristine, tmp_path: Path) -> None:
    refused(pristine.make_patches(tmp_path, QEMU="stock"),
            "QEMU=stock: must be one of Debian's releases")


def test_two_qemus_given(pristine: Pristine, tmp_path: Path) -> None:
    refused(pristine.make_patches(tmp_path, QEMU="sid", QEMU_SRC="/tmp"),
            "QEMU=sid and QEMU_SRC=/tmp are both set: set only one")


def test_objections(pristine: Pristine, tmp_path: Path) -> None:
    (pristine.path / "scripts/checkpatch.pl").write_text(
        "#!/usr/bin/perl\nprint 'WARNING: I do not like it'; exit 1\n")
    pristine.commit("other tastes")

    made = pristine.make_patches(tmp_path)
    assert made.returncode == 1
    assert made.stderr.endswith(" reports:\nWARNING: I do not like it\n")


def test_series_is_already_applied(pristine: Pristine, tmp_path: Path) -> None:
    pristine.overlay()
    pristine.commit("merged")

    refused(pristine.make_patches(tmp_path), "already contains the whole series")
