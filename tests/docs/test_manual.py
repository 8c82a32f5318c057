# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual builds, and every code block is run by a test."""

import re
import subprocess
from pathlib import Path

import pytest

from . import test_commands, test_programs  # noqa: F401
from .pages import DEVICE, PAGES, PYTHON, README, TOP, blocks, taken
from .reader import SECONDS

START = "docs/getting-started.rst"
INSTALL = "docs/install.rst"
LINUX = "docs/linux.rst"
RUN = "docs/run.rst"
TIMELINE = "docs/timeline.rst"
ZEPHYR = "docs/zephyr.rst"

# Blocks that no test here runs: page, start of the block, and which other test
# runs it, or why none can
ELSEWHERE = [
    (README, "git clone URL", "tests/system/test_demo_script.py"),
    (README, "  0.02 s        ivshmemd", "tests/system/test_demo_script.py"),
    (START, "make demo", "tests/system/test_demo_script.py"),
    (START, "make qemu firmware TARGETS", "tests/system/test_demo.py"),
    ("docs/firmware.rst", "$ build/qemu-10.0/qemu-system-arm -M lm3s6965evb",
     "tests/system/test_rejoin.py"),
    ("docs/firmware.rst", "python3 -m venv venv",
     "tests/system/test_pytest_plugin.py"),
    (INSTALL, "make server qemu", "tests/system/test_install.py"),
    (INSTALL, "arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb $(pkg-config",
     "tests/system/test_install.py"),
    (INSTALL, "find_package", "tests/system/test_install.py"),
    (INSTALL, "make deb", "debian/tests/installed"),
    (INSTALL, "cp -r /usr/share/doc", "debian/tests/installed"),
    (RUN, "$ ivshmem-run mps2-an385=one.elf microbit", "tests/system/test_run.py"),
    (RUN, "ivshmem-run 'mps2-an385=one.elf,options=", "tests/system/test_run.py"),
    (RUN, "ivshmem-run mps2-an385=one.elf linux=", "tests/system/test_run.py"),
    (RUN, "$ ivshmem-run --print", "tests/system/test_run.py"),
    (LINUX, "# make -C guest/linux", "tests/system/test_linux.py"),
    (LINUX, "cc -o your-program", "tests/guest/test_linux_library.py"),
    (LINUX, "# ivshmem-rpmsg ping", "tests/system/test_rpmsg_linux.py"),
    (LINUX, "git clone https", "tests/system/test_rpmsg_linux.py"),
    (LINUX, "build/server/ivshmemd", "tests/system/test_rpmsg_linux.py"),
    (LINUX, "make demo-rpmsg", "tests/system/test_rpmsg.py"),
    (ZEPHYR, "export QEMU_BIN_PATH", "tests/system/test_zephyr.py"),
    (ZEPHYR, "ivshmem0: ivshmem@400ff000", "tests/system/test_zephyr.py"),
    (TIMELINE, "$ ivshmem-run --timeline", "tests/system/test_run.py"),
    (TIMELINE, "$ ivshmemctl peers --watch", "tests/system/test_timeline.py"),
]


def test_every_block_is_tried() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    elsewhere = {block for page, start, _ in ELSEWHERE for block in found
                 if block.page == page and block.text.startswith(start)}

    missing = [str(block) for block in found
               if block not in taken | elsewhere]
    assert not missing, ("no test runs these blocks: take() them in tests/docs, "
                         "or add them to ELSEWHERE with the test that does:\n" +
                         "\n".join(missing))
    assert not taken & elsewhere


@pytest.mark.parametrize("page, start, where", ELSEWHERE)
def test_elsewhere_is_right(page: str, start: str, where: str) -> None:
    assert any(block.text.startswith(start) for block in blocks(page)), (
        f"{page} no longer has this block: remove it from ELSEWHERE")
    assert (TOP / where).exists()


def test_pages_hide_no_code() -> None:
    """Indented code in the README, and code after "::" in the manual, would be
    missed by pages.py."""
    for page in PAGES:
        text = (TOP / page).read_text()
        if page == README:
            text = re.sub("^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
            assert not re.search("\n\n    ", text), page
        elif page != PYTHON:
            assert not re.search(r"::\n\n +\S", re.sub(
                r"\.\. code-block:: .*", "", text)), page


@pytest.mark.parametrize("builder, made", [
    ("html", "index.html"), ("man", "ivshmem-flat.7")])
def test_sphinx_has_no_warning(tmp_path: Path, builder: str, made: str) -> None:
    done = subprocess.run(
        ["sphinx-build", "-q", "-W", "--keep-going", "-b", builder, "-d",
         tmp_path / "doctrees", TOP / "docs", tmp_path / "out"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=3 * SECONDS)

    assert done.returncode == 0, done.stdout
    assert (tmp_path / "out" / made).exists()


def test_page_of_the_device_is_for_qemu() -> None:
    """The page can be added to QEMU's manual unchanged."""
    page = (TOP / DEVICE).read_text()

    assert "make " not in page and "guest/" not in page
