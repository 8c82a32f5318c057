# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds in several checkouts do not affect each other.

The builds load the device into Debian's QEMU, which takes seconds. A build of
QEMU takes minutes, and uses the same scripts to prepare the source tree.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem import artifacts

VERSION_LINE = '#define IVSHMEM_FLAT_VERSION "{}"\n'
HEADER = "include/hw/misc/ivshmem-flat.h"
SECONDS = 900.0


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed after the test. pytest would keep some, and a
    QEMU tree is large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def checkout(folder: Path, version: str) -> Path:
    """Copies this checkout and changes the version of its device."""
    names = subprocess.run(
        ["git", "-C", artifacts.CHECKOUT, "ls-files", "-z", "--cached",
         "--others", "--exclude-standard"], check=True, capture_output=True,
        text=True).stdout.split("\0")
    for name in filter(None, names):
        if (artifacts.CHECKOUT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(artifacts.CHECKOUT / name, folder / name)
    header = folder / HEADER
    text, found = re.subn(VERSION_LINE.format(".*"),
                          VERSION_LINE.format(version), header.read_text())
    assert found == 1
    header.write_text(text)
    return folder


def contents(tree: Path) -> dict[str, bytes]:
    """The contents of the folders that the merge writes to."""
    return {str(path): path.read_bytes()
            for folder in ("hw/misc", "include/hw/misc", "docs/system")
            for path in (tree / folder).rglob("*") if path.is_file()}


@pytest.mark.skipif(not shutil.which("apt-get"),
                    reason="only Debian has a QEMU to load the device into")
@pytest.mark.timeout(SECONDS + 60)
def test_two_checkouts_at_once(scratch: Path) -> None:
    checkouts = {version: checkout(scratch / version, version)
                 for version in ("1.23", "4.56")}
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("QEMU_SRC", "TARGETS", "QEMU_BUILD")}
    builds = {version: subprocess.Popen(
        [folder / "scripts/build-qemu"], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**environment, "QEMU": "stock"})
        for version, folder in checkouts.items()}
    for version, build in builds.items():
        output, _ = build.communicate(timeout=SECONDS)
        assert build.returncode == 0, output
        result = Path(output.splitlines()[-1])
        assert result.is_relative_to(checkouts[version])
        assert [*checkouts[version].glob("build/log/*.log")]
        told = subprocess.run(
            [result / "qemu-system-arm", "-device", "ivshmem-flat,help"],
            check=True, capture_output=True, text=True).stdout
        assert re.search(rf"version=<\w+> .*: {re.escape(version)} ", told)


def test_no_firmware_for_this_target() -> None:
    done = subprocess.run(
        [artifacts.CHECKOUT / "scripts/build-firmware"], text=True,
        capture_output=True, env={**os.environ, "TARGETS": "mips"})

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("build-firmware: TARGETS=mips: there is firmware "
                           "only for arm riscv32 sparc\n")


def test_pristine_source_stays_as_it_is(scratch: Path) -> None:
    pristine = artifacts.qemu_build() / "pristine"
    before = contents(pristine)

    for version in ("1.23", "4.56", "1.23"):
        folder = scratch / version
        if not folder.exists():
            checkout(folder, version)
        tree = folder / "tree"
        subprocess.run([folder / "scripts/overlay-qemu", pristine, tree],
                       check=True)
        assert VERSION_LINE.format(version) in (tree / HEADER).read_text()

    assert contents(pristine) == before


def test_tree_follows_its_source(scratch: Path) -> None:
    """Files changed, added or removed in the source change in the copy too.
    Changed ones are newer than anything compiled from the copy, whatever their
    time in the source. All other files keep their times."""
    pristine = artifacts.qemu_build() / "pristine"
    source, tree = scratch / "source", scratch / "tree"
    overlay = artifacts.CHECKOUT / "scripts/overlay-qemu"
    subprocess.run([overlay, pristine, source], check=True)
    subprocess.run([overlay, source, tree], check=True)
    before = {path: path.stat().st_mtime_ns
              for path in tree.rglob("*") if path.is_file()}

    (source / "hw/misc/new.c").write_text("/* new */\n")
    (source / "hw/misc/unimp.c").write_text("/* changed */\n")
    (source / "hw/misc/led.c").unlink()
    os.utime(source / "hw/misc/unimp.c", (1e9, 1e9))
    subprocess.run([overlay, source, tree], check=True)

    assert (tree / "hw/misc/new.c").read_text() == "/* new */\n"
    assert (tree / "hw/misc/unimp.c").read_text() == "/* changed */\n"
    assert not (tree / "hw/misc/led.c").exists()
    touched = {str(path.relative_to(tree)) for path in tree.rglob("*")
               if path.is_file() and before.get(path) != path.stat().st_mtime_ns}
    assert touched == {"hw/misc/new.c", "hw/misc/unimp.c"}
    assert ((tree / "hw/misc/unimp.c").stat().st_mtime_ns >
            max(before.values()))


# Instead of debian-apt: two versions, none of which the mirror still has
ARCHIVE = """#!/bin/sh
case $* in
*showsrc*) printf 'Version: %s\\n' 1:1.2+ds-1 1:3.4+ds-1 ;;
*download*) exit 100 ;;
esac
"""


def test_source_that_is_in_the_cache(scratch: Path) -> None:
    """The newest of several versions is not fetched again."""
    shutil.copytree(artifacts.CHECKOUT / "scripts", scratch / "scripts")
    (scratch / "scripts/debian-apt").write_text(ARCHIVE)
    sources = scratch / "cache/ivshmem-flat/qemu"
    (sources / "3.4+ds-1").mkdir(parents=True)
    (sources / "3.4+ds-1/VERSION").write_text("3.4\n")

    done = subprocess.run(
        [scratch / "scripts/fetch-qemu", "sid"], text=True,
        capture_output=True, timeout=60,
        env={**os.environ, "XDG_CACHE_HOME": str(scratch / "cache")})

    assert (done.returncode, done.stdout) == (0, f"{sources / '3.4+ds-1'}\n"), (
        done.stderr)
    assert (sources / "sid").samefile(sources / "3.4+ds-1")


# Instead of debian-apt: a meson newer than any. Two at once would remove each other's files.
MESON = """#!/bin/sh
set -eu
case $* in
*update*) mkdir "$XDG_CACHE_HOME/busy" ;;
*download*)
    sleep 1
    info=root/usr/lib/python3/dist-packages/meson-99.0.dist-info
    mkdir -p root/DEBIAN $info
    printf '%s\\n' 'Package: meson' 'Version: 99.0' 'Architecture: all' \\
        'Maintainer: nobody <nobody@localhost>' 'Description: for a test' >root/DEBIAN/control
    printf '%s\\n' 'Metadata-Version: 2.1' 'Name: meson' 'Version: 99.0' >$info/METADATA
    dpkg-deb --build root meson_99.0_all.deb
    rmdir "$XDG_CACHE_HOME/busy"
    ;;
esac
"""


@pytest.mark.skipif(not shutil.which("apt-get"), reason="only Debian has packages")
def test_two_checkouts_fetch_meson_at_once(scratch: Path) -> None:
    shutil.copytree(artifacts.CHECKOUT / "scripts", scratch / "scripts")
    (scratch / "scripts/debian-apt").write_text(MESON)
    cache = scratch / "cache"
    cache.mkdir()

    both = [subprocess.Popen(
        [scratch / "scripts/fetch-meson", "99.0"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)}) for _ in range(2)]

    for fetch in both:
        output, errors = fetch.communicate(timeout=120)
        assert (fetch.returncode, output) == (
            0, f"{cache}/ivshmem-flat/python/bin/python3\n"), errors


def test_newer_tree_than_any_tried(scratch: Path) -> None:
    """The merge warns and goes on."""
    source, tree = scratch / "source", scratch / "tree"
    overlay = artifacts.CHECKOUT / "scripts/overlay-qemu"
    subprocess.run([overlay, artifacts.qemu_build() / "pristine", source],
                   check=True)

    (source / "VERSION").write_text("19.1.0\n")
    told = subprocess.run([overlay, source, tree], check=True,
                          capture_output=True, text=True).stderr

    assert "QEMU 19.1.0 is newer than 10.2.50, the newest that" in told
    assert (tree / HEADER).exists()


def test_merge_again(scratch: Path) -> None:
    """Merging into a merged tree changes nothing."""
    pristine = artifacts.qemu_build() / "pristine"
    once, twice = scratch / "once", scratch / "twice"
    overlay = artifacts.CHECKOUT / "scripts/overlay-qemu"
    subprocess.run([overlay, pristine, once], check=True)
    subprocess.run([overlay, once, twice], check=True)

    done = subprocess.run(["diff", "--recursive", "--brief", once, twice],
                          capture_output=True, text=True)

    assert done.stdout == ""


@pytest.mark.skipif(not shutil.which("ccache"), reason="no ccache")
def test_compiler_results_do_not_depend_on_the_locale(tmp_path: Path) -> None:
    """Python sets LC_CTYPE, so `make check` has it and `make qemu` does not."""
    (tmp_path / "empty.c").touch()
    build = f"cd {tmp_path} && ccache cc -c empty.c -o empty.o"
    statistics = subprocess.run(
        ["sh", "-euc", f". ./scripts/common.sh; unset LC_ALL LC_CTYPE; {build}; "
         f"LC_CTYPE=C.UTF-8; export LC_CTYPE; {build}; ccache --print-stats",
         "scripts/common.sh"],
        cwd=artifacts.CHECKOUT, env={**os.environ, "CCACHE_DIR": str(tmp_path)},
        check=True, text=True, capture_output=True, timeout=SECONDS).stdout

    assert re.search(r"^direct_cache_hit\t1$", statistics, re.MULTILINE)
