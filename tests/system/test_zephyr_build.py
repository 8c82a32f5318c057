# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/build-zephyr in workspaces with different modules.

Nothing is built: a fake cmake records how it was called.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts


class Workspace:
    """A fake Zephyr workspace, with only the files that build-zephyr looks
    for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = path / "calls"
        self.calls.touch()
        self.add("zephyr/share/zephyr-package/cmake/ZephyrConfig.cmake")
        self.add_module("hal/cmsis")
        shutil.copytree(artifacts.CHECKOUT / "scripts", path / "ours/scripts")
        self.add_program("ours/scripts/install-packages", "")
        self.add_program("ours/scripts/build-rpmsg",
                         f'echo "build-rpmsg $XDG_CACHE_HOME" >>{self.calls}')
        self.add_program("tools/arm-none-eabi-gcc", "")
        # ninja -C IMAGE
        self.add_program("tools/ninja",
                         'mkdir -p "$2/zephyr"; : >"$2/zephyr/zephyr.elf"')
        self.add_program("tools/aarch64-linux-gnu-gcc", 'echo "$@"')
        # cmake -G Ninja -S SOURCE -B IMAGE ...
        self.add_program("tools/cmake", 'echo "$ZEPHYR_TOOLCHAIN_VARIANT" '
                         f'"$@" >>{self.calls}; mkdir -p "$6"')

    def add(self, name: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    def add_module(self, name: str) -> None:
        self.add(f"modules/{name}/zephyr/module.yml")

    def add_program(self, name: str, body: str) -> None:
        file = self.add(name)
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def build(self, *programs: str,
              **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("ZEPHYR", "OPENAMP"))}
        environment |= {
            "ZEPHYR_BASE": str(self.path / "zephyr"),
            "PATH": f"{self.path / 'tools'}:{environment['PATH']}",
            "XDG_CACHE_HOME": str(self.path / "cache"), **settings}
        return subprocess.run(
            [self.path / "ours/scripts/build-zephyr", *programs],
            env=environment, capture_output=True, text=True, timeout=60)

    def has_built_rpmsg_for_linux(self) -> bool:
        """Its downloads belong in the user's cache, not in Zephyr's."""
        return (f"build-rpmsg {self.path / 'cache'}" in
                self.calls.read_text().splitlines())

    def built(self, program: str) -> list[str]:
        """The calls of cmake for this program, one for each board."""
        return [call for call in self.calls.read_text().splitlines()
                if f"/{program} -DBOARD=" in call]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize("there, missing", [
    (None, "lib/open-amp"), ("lib/open-amp", "hal/libmetal"),
    ("hal/libmetal", "lib/open-amp")])
def test_without_openamp(workspace: Workspace, there: str | None,
                         missing: str) -> None:
    if there:
        workspace.add_module(there)

    result = workspace.build()

    assert result.returncode == 0, result.stderr
    notes = [line for line in result.stderr.splitlines() if "RPMsg" in line]
    assert notes == [
        f"skipping the RPMsg programs, because {workspace.path}/modules/{missing} "
        "is missing. Get it with 'west update open-amp libmetal'"]
    assert len(workspace.built("icmsg_echo_remote")) == 2
    assert not workspace.built("rpmsg_echo_remote")
    assert not workspace.built("static_vrings_host")
    assert not workspace.has_built_rpmsg_for_linux()


@pytest.mark.parametrize("given", ["ZEPHYR_BASE", "OPENAMP_DIR", ""])
def test_rpmsg_for_linux_without_openamp(tmp_path: Path, given: str) -> None:
    """scripts/build-rpmsg says what it needs."""
    result = subprocess.run(
        [artifacts.CHECKOUT / "scripts/build-rpmsg"], capture_output=True,
        text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
             **({given: str(tmp_path)} if given else {})})

    assert result.returncode == 1
    if given == "ZEPHYR_BASE":
        assert f"no open-amp in {tmp_path}/../modules/lib/" in result.stderr
    else:
        assert "set ZEPHYR_BASE to a Zephyr tree, or OPENAMP_DIR and " \
            "LIBMETAL_DIR to copies" in result.stderr


def test_named_programs(workspace: Workspace) -> None:
    workspace.add_module("lib/open-amp")
    workspace.add_module("hal/libmetal")

    result = workspace.build("mps2-an385/demo", "virt/ipm_ivshmem")

    assert result.returncode == 0, result.stderr
    assert len(workspace.calls.read_text().splitlines()) == 2
    assert len(workspace.built("demo")) == 1
    assert len(workspace.built("ipm_ivshmem")) == 1

    result = workspace.build("mps2-an385/rpmsg_echo_remote")

    assert result.returncode == 0, result.stderr
    assert len(workspace.built("rpmsg_echo_remote")) == 1
    assert workspace.has_built_rpmsg_for_linux()


@pytest.mark.parametrize("name", [
    "mps2-an385/nothing", "demo", "mps2-an385/rpmsg_echo_remote"])
def test_named_program_that_is_not_built(workspace: Workspace,
                                         name: str) -> None:
    """The last one needs open-amp."""
    result = workspace.build(name)

    assert result.returncode == 1
    assert f"build-zephyr: {name} was not built: " in result.stderr


def test_with_openamp(workspace: Workspace) -> None:
    workspace.add_module("lib/open-amp")
    workspace.add_module("hal/libmetal")

    result = workspace.build()

    assert result.returncode == 0, result.stderr
    assert "RPMsg" not in result.stderr
    for program in ("rpmsg_echo_host", "rpmsg_echo_remote",
                    "static_vrings_host", "static_vrings_remote"):
        calls = workspace.built(program)
        assert len(calls) == 2
        assert all("/lib/open-amp;" in call and "/hal/libmetal;" in call
                   for call in calls)
    assert not workspace.built("openamp_host")
    assert workspace.has_built_rpmsg_for_linux()


def test_openamp_sample(workspace: Workspace) -> None:
    workspace.add_module("lib/open-amp")
    workspace.add_module("hal/libmetal")
    workspace.add("sample/host/CMakeLists.txt")
    workspace.add("older/zephyr/module.yml")

    result = workspace.build(OPENAMP_SAMPLE=str(workspace.path / "sample"),
                             OPENAMP_2023=str(workspace.path / "older"))

    assert result.returncode == 0, result.stderr
    for call in workspace.built("openamp_host"):
        assert "/older;" in call and "/lib/open-amp;" not in call
    assert len(workspace.built("openamp_remote")) == 2


def test_openamp_sample_elsewhere(workspace: Workspace) -> None:
    nowhere = str(workspace.path / "nowhere")

    sample = workspace.build(OPENAMP_SAMPLE=nowhere)
    workspace.add("sample/host/CMakeLists.txt")
    older = workspace.build(OPENAMP_SAMPLE=str(workspace.path / "sample"))

    assert sample.returncode and older.returncode
    assert f"OPENAMP_SAMPLE={nowhere} is not OpenAMP's sample" in sample.stderr
    assert "OPENAMP_2023= is not a Zephyr module" in older.stderr


@pytest.mark.parametrize("chosen", ["", "gnuarmemb", "cross-compile"])
def test_zephyr_with_pcie(workspace: Workspace, chosen: str) -> None:
    """The sample for Zephyr's PCIe board is built with a wrapper around
    Debian's aarch64 compiler, even if the user has chosen one of Debian's
    compilers as in zephyr/README.rst."""
    result = workspace.build(
        ZEPHYR_TOOLCHAIN_VARIANT=chosen, GNUARMEMB_TOOLCHAIN_PATH="/usr",
        CROSS_COMPILE=f"{workspace.path}/ours/build/zephyr/aarch64/"
        "aarch64-linux-gnu-")

    assert result.returncode == 0, result.stderr
    assert sorted(re.findall(r"^(\S+) .* -DBOARD=(\S+)", "\n".join(
        workspace.built("ipm_ivshmem")), re.MULTILINE)) == [
            ("cross-compile", "qemu_cortex_a53"), ("gnuarmemb", "mps2/an385"),
            ("gnuarmemb", "qemu_cortex_m3")]
    compiler = workspace.path / "ours/build/zephyr/aarch64/aarch64-linux-gnu-gcc"

    def ask(*arguments: str) -> str:
        return subprocess.run([compiler, *arguments], check=True, text=True,
                              capture_output=True).stdout.rstrip("\n")

    folder = Path(ask("--print-file-name=include-fixed/limits.h")).parent
    assert folder.is_absolute() and folder.is_dir()
    assert ask("-c", "a b.c") == "-mno-outline-atomics -c a b.c"


def test_zephyr_with_pcie_and_another_compiler(workspace: Workspace) -> None:
    result = workspace.build(ZEPHYR_TOOLCHAIN_VARIANT="zephyr")

    assert result.returncode == 0, result.stderr
    assert all(call.startswith("zephyr ")
               for call in workspace.built("ipm_ivshmem"))
    assert not (workspace.path / "ours/build/zephyr/aarch64").exists()


def test_samples_name_snippets_that_exist() -> None:
    """The samples' snippets exist, and are named in a way that twister also
    finds with ZEPHYR_EXTRA_MODULES."""
    top = artifacts.CHECKOUT / "zephyr"
    text = "".join(file.read_text() for file in top.glob("*/*/*.yaml"))

    assert "required_snippets:" not in text
    names = ";".join(re.findall("SNIPPET=(.*)", text)).split(";")
    assert "ivshmem-rpmsg-remote" in names
    for name in names:
        assert (top / "snippets" / name / "snippet.yml").exists(), name
