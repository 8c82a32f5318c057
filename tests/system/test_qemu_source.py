# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/qemu-source, which check-style uses."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts

SECONDS = 60.0


def tree(folder: Path) -> Path:
    """Makes what counts as a QEMU source tree."""
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts/checkpatch.pl").touch()
    (folder / "VERSION").touch()
    return folder


class Checkout:
    """One that has built nothing, with a cache that has Debian's QEMU."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        for name in ("qemu-source", "fetch-qemu", "common.sh"):
            shutil.copy2(artifacts.CHECKOUT / "scripts" / name, folder / "scripts")
        self.fetched = tree(folder / "cache/ivshmem-flat/qemu/trixie")

    def ask(self, **variables: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("QEMU")}
        return subprocess.run(
            [self.folder / "scripts/qemu-source"], text=True,
            capture_output=True, timeout=SECONDS,
            env={**environment, "XDG_CACHE_HOME": str(self.folder / "cache"),
                 **{name: str(value) for name, value in variables.items()}})


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_none_is_built(checkout: Checkout) -> None:
    """Debian's, which is in the cache here and is fetched elsewhere."""
    assert checkout.ask().stdout == f"{checkout.fetched}\n"
    assert checkout.ask(QEMU_BUILD="/nowhere").stdout == f"{checkout.fetched}\n"


def test_order(checkout: Checkout) -> None:
    any_build = tree(checkout.folder / "build/qemu-7.2/pristine")
    named = tree(checkout.folder / "named/pristine")
    own = tree(checkout.folder / "own")

    assert checkout.ask().stdout == f"{any_build}\n"
    assert checkout.ask(QEMU_BUILD=named.parent).stdout == f"{named}\n"
    assert (checkout.ask(QEMU_BUILD=named.parent, QEMU_SRC=own).stdout ==
            f"{own}\n")


def test_no_tree(checkout: Checkout) -> None:
    found = checkout.ask(QEMU_SRC="/nowhere")

    assert (found.returncode, found.stdout) == (1, "")
    assert ("QEMU_SRC=/nowhere is not a QEMU source tree: it has no "
            "scripts/checkpatch.pl") in found.stderr
