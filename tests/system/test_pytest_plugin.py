# SPDX-License-Identifier: GPL-2.0-or-later
"""python/ivshmem/pytest_plugin.py in users' tests.

The example project's tests pass. A test that fails shows why.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts

PYTHON = artifacts.CHECKOUT / "python"
SECONDS = 120.0


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-p", "no:ivshmem",
         "-p", "ivshmem.pytest_plugin", "-p", "no:cacheprovider", str(folder)],
        env={**os.environ, "PYTHONPATH": str(PYTHON),
             "PYTHONDONTWRITEBYTECODE": "1"},
        text=True, capture_output=True, timeout=SECONDS)


def test_example_project_passes() -> None:
    done = run_pytest(PYTHON / "example")

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


ECHO = artifacts.CHECKOUT / "build/firmware/mps2-an385/echo.elf"
BEGIN = f"board = qemu_board('mps2-an385', '{ECHO}')"


@pytest.mark.parametrize("body, reasons", [
    (f"{BEGIN}; board.expect('id=0'); board.expect('^ready$', 0.5)",
     ["timed out waiting for mps2-an385 to say '\\^ready\\$' \\(limit: 0.5 s\\)",
      "mps2-an385 \\| echo: listening id=0"]),
    (f"{BEGIN}; board.expect('id=0'); board.expect('id=0', 0.5)",
     ["timed out waiting for mps2-an385 to say 'id=0'"]),
    (f"{BEGIN}; board.expect('id=0'); board.qmp.command('quit'); "
     "board.expect('more')", ["mps2-an385 ended with status 0"]),
    ("qemu_board('mps2-an385', 'absent.image')",
     ["there is no image absent.image: build it first"]),
    (f"qemu_board('mps2-an386x', '{ECHO}')",
     ["unknown board 'mps2-an386x': did you mean mps2-an386 ",
      "For another board, pass registers=, memory=, irq= and qemu="]),
    (f"{BEGIN[:-1]}, failure='listening'); board.expect('ready')",
     ["mps2-an385 says: echo: listening id=0"]),
    (f"{BEGIN[:-1]}, irq=None); board.expect('id=0')",
     ["mps2-an385: unexpected line on stderr: .*x-irq-qompath is not set"]),
    ("ivshmem_peer.ring(5)",
     ["peer 0 cannot ring vector 0 of peer 5: the server has not announced it"]),
    ("ivshmem_peer.wait_for_doorbells(0.1)",
     ["peer 0: vector 0 was not rung within 0.1 s"]),
])
def test_failure_is_shown(tmp_path: Path, body: str,
                          reasons: list[str]) -> None:
    (tmp_path / "test_it.py").write_text(
        f"def test_it(qemu_board, request):\n"
        f"    if 'ivshmem_peer' in {body!r}:\n"
        f"        ivshmem_peer = request.getfixturevalue('ivshmem_peer')\n"
        f"    {body}\n")

    done = run_pytest(tmp_path)

    assert done.returncode == 1 and "1 failed" in done.stdout, done.stdout
    for reason in reasons:
        assert re.search(reason, done.stdout), done.stdout
    assert "def wait" not in done.stdout, "lines of the package are shown"


def test_mark_sets_what_the_test_is_given(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.ivshmem(size=65536, vectors=3)\n"
        "def test_it(ivshmem_peer):\n"
        "    assert len(ivshmem_peer.memory) == 65536\n"
        "    ivshmem_peer.ring(0, 2)\n"
        "    assert ivshmem_peer.take_doorbells(2) == 1\n"
        "@pytest.mark.ivshmem(vectors=2)\n"
        "def test_lines(qemu_board):\n"
        f"    {BEGIN}\n"
        "    assert board.qmp.command(\n"
        "        'qom-get', path='/machine/peripheral-anon/device[0]',\n"
        "        property='x-irq-qompath') == (\n"
        "        'nvic/unnamed-gpio-in[29];nvic/unnamed-gpio-in[28]')\n"
        "@pytest.mark.ivshmem(time=3)\n"
        "def test_typo(ivshmem_peer): pass\n")

    done = run_pytest(tmp_path)

    assert "2 passed, 1 error" in done.stdout, done.stdout
    assert ("test_typo: the mark ivshmem has no setting time, only timeout, "
            "size, vectors") in done.stdout
