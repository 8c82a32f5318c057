# SPDX-License-Identifier: GPL-2.0-or-later
"""`make install` and `make uninstall` in a temporary folder.

All that is installed must work there: the server, QEMU, headers (also with
CMake), the Linux library and the Python package. `make check-deb` tests the
Debian packages.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem import Testbed, artifacts

pytestmark = [
    pytest.mark.xdist_group("install"),
    pytest.mark.skipif("IVSHMEMD" in os.environ,
                       reason="IVSHMEMD names another server")]

SECONDS = 120.0
PREFIX = "usr/local"
QEMU = artifacts.qemu_system("arm")
EXAMPLE = artifacts.CHECKOUT / "python/example/firmware.c"
ARM = ["-mcpu=cortex-m3", "-mthumb", "-ffreestanding", "-Werror"]


def run(*argv: object, folder: Path = artifacts.CHECKOUT, typed: str = "",
        **environment: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items()
              if name not in ("QEMU_BUILD", "QEMU_SYSTEM_ARM")}
    return subprocess.run(list(map(str, argv)), text=True, timeout=SECONDS,
                          cwd=folder, env={**others, **environment},
                          input=typed, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def make(target: str, root: Path, folder: Path = artifacts.CHECKOUT,
         **environment: str) -> str:
    done = run("make", "--silent", target, f"DESTDIR={root}", folder=folder,
               **environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a user's file, where all is installed. After uninstalling,
    only the user's file must be left."""
    root = tmp_path_factory.mktemp("root")
    users = root / PREFIX / "bin/mine"
    users.parent.mkdir(parents=True)
    users.touch()
    before = everything(root)
    run("make", "--silent", "linux-library")
    make("install", root, QEMU_BUILD=str(QEMU.parent))

    yield root

    make("uninstall", root)
    assert everything(root) == before


@pytest.fixture(scope="module")
def there(root: Path) -> Path:
    return root / PREFIX


def test_all_is_where_it_belongs(root: Path) -> None:
    build = QEMU.parent.name
    listed = (root / PREFIX / "share/ivshmem-flat/installed").read_text()
    files = {line for line in listed.splitlines() if not line.endswith("/")}

    assert {f"/{PREFIX}/{name}" for name in (
        "bin/ivshmem", "bin/ivshmem-run", "bin/ivshmem-timeline", "bin/ivshmemctl",
        "bin/qemu-system-arm-ivshmem", "sbin/ivshmemd",
        f"libexec/ivshmem-flat/{build}/bin/qemu-system-arm",
        "include/ivshmem-flat/ivshmem-fifo.h",
        "include/ivshmem-flat/ivshmem-flat.h",
        "include/ivshmem-flat/ivshmem-names.h",
        "include/ivshmem-flat/ivshmem-pci.h",
        "include/ivshmem-flat/ivshmem-rpmsg.h", "lib/libivshmem-pci.a",
        "lib/pkgconfig/ivshmem-pci.pc", "share/pkgconfig/ivshmem-flat.pc",
        "share/cmake/ivshmem-flat/ivshmem-flatConfig.cmake",
        "lib/systemd/system/ivshmemd@.service",
        "share/bash-completion/completions/ivshmemctl",
        "share/man/man1/ivshmem.1", "share/man/man1/ivshmemctl.1",
        "share/man/man1/ivshmem-run.1", "share/man/man1/ivshmem-timeline.1",
        "share/man/man1/qemu-system-arm-ivshmem.1",
        "share/man/man5/ivshmemd.conf.5", "share/man/man8/ivshmemd.8",
        "share/doc/python3-ivshmem/examples/test_firmware.py")} <= files
    assert files == {f"/{path}" for path in everything(root)
                     if not (root / path).is_dir() or
                     (root / path).is_symlink()} - {f"/{PREFIX}/bin/mine"}
    for file in files:
        assert str(root) not in (root / file[1:]).read_bytes().decode("latin1")


def test_units_start_what_is_installed(there: Path) -> None:
    unit = (there / "lib/systemd/system/ivshmemd@.service").read_text()
    assert f"ExecStart=/{PREFIX}/sbin/ivshmemd " in unit


def test_server_runs(there: Path, bed: Testbed,
                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVSHMEMD", str(there / "sbin/ivshmemd"))
    server = bed.server()
    ctl = [there / "bin/ivshmemctl", "-S", server.socket]

    assert run(*ctl, "write", "0", "hello").returncode == 0
    assert run(*ctl, "read", "0", "5").stdout == "hello"


def test_qemu_has_the_device_and_its_roms(there: Path) -> None:
    qemu = there / "bin/qemu-system-arm-ivshmem"

    assert "x-bus-qompath" in run(qemu, "-device", "ivshmem-flat,help").stdout
    if not artifacts.is_stock(QEMU):
        rom = "share/qemu-firmware/efi-virtio.rom"
        assert (qemu.resolve().parents[1] / rom).stat().st_size > 0
    # This network card needs a ROM.
    done = run(qemu, "-M", "virt", "-display", "none", "-monitor", "stdio",
               "-device", "virtio-net-pci", "-S", typed="quit\n")
    assert done.returncode == 0, done.stdout
    assert "failed to find romfile" not in done.stdout


def pkg_config(root: Path, name: str) -> list[str]:
    done = run("pkg-config", "--cflags", "--libs", name,
               PKG_CONFIG_SYSROOT_DIR=str(root), PKG_CONFIG_PATH=":".join(
                   str(root / PREFIX / folder / "pkgconfig")
                   for folder in ("lib", "share")))
    assert done.returncode == 0, done.stdout
    return done.stdout.split()


def test_firmware_with_pkg_config(root: Path, tmp_path: Path) -> None:
    done = run("arm-none-eabi-gcc", *ARM, *pkg_config(root, "ivshmem-flat"),
               "-c", "-o", tmp_path / "firmware.o", EXAMPLE)
    assert done.returncode == 0, done.stdout


def cmake(project: Path, there: Path, version: str) -> str:
    """Configures a project that needs this version. Returns CMake's output."""
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\n"
        "project(firmware C)\n"
        f"find_package(ivshmem-flat {version} REQUIRED)\n"
        f"add_library(firmware OBJECT {EXAMPLE})\n"
        f"target_compile_options(firmware PRIVATE {' '.join(ARM)})\n"
        "target_link_libraries(firmware PRIVATE ivshmem-flat::ivshmem-flat)\n")
    return run("cmake", "-S", project, "-B", project / "build",
               "-DCMAKE_SYSTEM_NAME=Generic", f"-DCMAKE_PREFIX_PATH={there}",
               "-DCMAKE_C_COMPILER=arm-none-eabi-gcc",
               "-DCMAKE_C_COMPILER_WORKS=1").stdout


def test_firmware_with_cmake(there: Path, tmp_path: Path) -> None:
    header = (there / "include/ivshmem-flat/ivshmem-flat.h").read_text()
    version = int(re.findall(r"DRIVER_VERSION (\d+)\n", header)[0])
    assert "Generating done" in cmake(
        tmp_path, there, f"{version // 100}.{version % 100}")
    done = run("cmake", "--build", tmp_path / "build")
    assert done.returncode == 0, done.stdout


def test_cmake_refuses_another_major_version(there: Path,
                                             tmp_path: Path) -> None:
    assert 'compatible with requested version "99.0"' in " ".join(
        cmake(tmp_path, there, "99.0").split())


def test_linux_program_with_pkg_config(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "mine.c"
    source.write_text(
        "#include <ivshmem-pci.h>\n"
        "int main(void) { struct ivshmem_pci dev;\n"
        "return ivshmem_pci_open(&dev, \"none\") != -1; }\n")
    done = run("cc", source, *pkg_config(root, "ivshmem-pci"),
               "-o", tmp_path / "mine")
    assert done.returncode == 0, done.stdout
    assert run(tmp_path / "mine").returncode == 0


def test_python_package_finds_what_is_installed(
        there: Path, tmp_path: Path) -> None:
    package = next(there.glob("lib/python3*/*-packages"))
    found = run(
        sys.executable, "-c", "from ivshmem import artifacts as a;"
        "print(a.qemu_system('arm'), a.ivshmemd(), a.ivshmemctl())",
        folder=tmp_path, PYTHONPATH=str(package),
        PYTHONDONTWRITEBYTECODE="",  # uninstall must remove bytecode, too
        PATH=f"{there / 'bin'}:{there / 'sbin'}:{os.environ['PATH']}")
    assert found.stdout.split() == [
        str(there / name) for name in ("bin/qemu-system-arm-ivshmem",
                                       "sbin/ivshmemd", "bin/ivshmemctl")]
    plugin = run(sys.executable, "-c", "from importlib.metadata import "
                 "entry_points as e; print(e(group='pytest11')['ivshmem'])",
                 folder=tmp_path, PYTHONPATH=str(package))
    assert "ivshmem.pytest_plugin" in plugin.stdout
    command = run(there / "bin/ivshmem-timeline", "--help",
                  PYTHONPATH=str(package))
    assert command.stdout.startswith("usage: ivshmem-timeline")


def test_tests_use_the_checkout(there: Path) -> None:
    """Not the pytest plugin of the installed package."""
    package = next(there.glob("lib/python3*/*-packages"))

    done = run(sys.executable, "-m", "pytest", "--collect-only", "tests/style",
               PYTHONPATH=str(package))

    assert done.returncode == 0, done.stdout
    assert not re.search("^plugins: .*ivshmem", done.stdout, re.MULTILINE)


def test_uninstall_reports_nothing_installed(tmp_path: Path) -> None:
    done = run("make", "--silent", "uninstall", f"DESTDIR={tmp_path}")
    assert done.returncode != 0
    assert f"{tmp_path}/{PREFIX}/share/ivshmem-flat/installed is missing" in (
        done.stdout)


@pytest.mark.parametrize("prefix", ["relative", "/"])
def test_wrong_prefix_is_refused(prefix: str) -> None:
    done = run("make", "--silent", "install", f"PREFIX={prefix}")
    assert done.returncode != 0
    assert f"PREFIX={prefix}: must be an absolute path other than /" in (
        done.stdout)


@pytest.mark.parametrize("build, complaint", [
    ("/no/such/build", "is not a directory"), ("/etc", "has no qemu-system-*")])
def test_wrong_build_is_refused(tmp_path: Path, build: str,
                                complaint: str) -> None:
    done = run("make", "--silent", "install", f"DESTDIR={tmp_path}",
               QEMU_BUILD=build)
    assert done.returncode != 0
    assert f"QEMU_BUILD={build} {complaint}" in done.stdout
    assert everything(tmp_path) == set()


def test_what_is_not_built_is_left_out(tmp_path: Path) -> None:
    """In a checkout without builds, parts that are not built are left out.
    Installing again removes files that the checkout no longer has."""
    checkout = tmp_path / "checkout"
    shutil.copytree(artifacts.CHECKOUT, checkout,
                    ignore=shutil.ignore_patterns(".git", "build", "results"))
    root = tmp_path / "root"
    header = root / PREFIX / "include/ivshmem-flat/ivshmem-names.h"

    printed = make("install", root, checkout)

    for target in ("make server", "make qemu", "make linux-library"):
        assert f"'{target}'" in printed
    assert header.exists() and not (root / PREFIX / "sbin").exists()

    (checkout / "guest/ivshmem-names.h").unlink()
    make("install", root, checkout)
    assert header.with_name("ivshmem-flat.h").exists()
    assert not header.exists()

    make("uninstall", root, checkout)
    assert everything(root) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owner_of_the_checkout_keeps_it(tmp_path: Path) -> None:
    """After 'sudo make install', all files of the checkout still belong to its
    owner."""
    checkout = tmp_path / "checkout"
    shutil.copytree(artifacts.CHECKOUT, checkout,
                    ignore=shutil.ignore_patterns(".git", "build", "results"))
    subprocess.run(["chown", "--recursive", "nobody", checkout], check=True)
    root = tmp_path / "root"

    make("install", root, checkout)

    assert (checkout / "build/log").is_dir()
    assert {path.owner() for path in checkout.rglob("*")} == {"nobody"}
    assert {path.owner() for path in root.rglob("*")} == {"root"}
