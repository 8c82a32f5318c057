# SPDX-License-Identifier: GPL-2.0-or-later
"""What cmake says when it configures a program with the module, and the QEMU
command line that it makes. Nothing is built."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts
from ivshmem.board import BOARDS
from zephyr_run import run_command

pytestmark = [
    pytest.mark.zephyr,
    # cmake takes minutes on a busy host.
    pytest.mark.timeout(1200),
    pytest.mark.skipif("ZEPHYR_BASE" not in os.environ,
                       reason="ZEPHYR_BASE names no Zephyr tree")]

TARGETS = {"mps2-an385": "mps2/an385", "lm3s6965evb": "qemu_cortex_m3"}


class Program:
    """zephyr/samples/ipc_echo for a board, with its own build directory."""

    def __init__(self, board: str, path: Path, *settings: str) -> None:
        self.build = path / "build"
        self._settings = (f"-DBOARD={TARGETS[board]}", *settings)
        self._base = Path(os.environ["ZEPHYR_BASE"]).resolve()
        self._caches = str(path)

    def configure(self, qemu_bin_path: Path) -> str:
        """Runs cmake, and returns what it prints."""
        cmsis = self._base.parent / "modules" / "hal" / "cmsis"
        modules = f"{os.environ.get('ZEPHYR_MODULES', cmsis)};{artifacts.CHECKOUT}"
        done = subprocess.run(
            ["cmake", "-G", "Ninja", "-B", self.build,
             "-S", artifacts.CHECKOUT / "zephyr" / "samples" / "ipc_echo",
             "-DSNIPPET=ivshmem-flat;ivshmem-icmsg-host",
             f"-DZEPHYR_MODULES={modules}", *self._settings],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={
                "PATH": "/usr/bin:/bin", "ZEPHYR_BASE": str(self._base),
                "ZEPHYR_TOOLCHAIN_VARIANT": "gnuarmemb",
                "GNUARMEMB_TOOLCHAIN_PATH": "/usr",
                "QEMU_BIN_PATH": str(qemu_bin_path),
                "XDG_CACHE_HOME": self._caches,
                "PYTHONPYCACHEPREFIX": self._caches})
        print(done.stdout)
        assert done.returncode == 0
        return done.stdout


def warnings(printed: str) -> list[str]:
    """Each warning, with its text in one line."""
    return [" ".join(match[1].split()) for match in re.finditer(
        r"warning[: ]((?:.+\n)+(?:\n(?:  .+\n)+)*)", printed, re.IGNORECASE)]


@pytest.mark.parametrize("board", BOARDS)
def test_warns_only_of_a_wrong_qemu_bin_path(tmp_path: Path,
                                             board: str) -> None:
    program = Program(board, tmp_path)

    found = warnings(program.configure(tmp_path))
    assert len(found) == 1 and (
        f"QEMU_BIN_PATH={tmp_path} has no qemu-system-arm, so 'west build -t "
        "run' will fail. Set it to the directory that 'make qemu' prints, and "
        "run cmake again: 'west build -c'") in found[0], found

    assert not warnings(program.configure(artifacts.qemu_system("arm").parent))
    assert run_command(program.build)


def test_keeps_the_network_of_a_program_that_has_one(tmp_path: Path) -> None:
    """Zephyr's '-net none', which QEMU warns about, is removed from the
    command line of other programs only."""
    qemu = artifacts.qemu_system("arm").parent
    without = Program("mps2-an385", tmp_path / "without")
    networked = Program("mps2-an385", tmp_path / "networked",
                        "-DCONFIG_NETWORKING=y", "-DCONFIG_NET_L2_ETHERNET=n")

    for program in (without, networked):
        program.configure(qemu)

    assert "-net" not in run_command(without.build)
    command = run_command(networked.build)
    assert command[command.index("-net") + 1] == "none"
    assert any(word.startswith("ivshmem-flat,") for word in command)
