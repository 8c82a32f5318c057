# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's QEMU with the device preloaded: `make qemu QEMU=stock`.

Runs only with such a QEMU: see conftest.py.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from ivshmem import Testbed, artifacts
from ivshmem.board import flat_device

STOCK = artifacts.qemu_system("arm")
BUILD = STOCK.parent
LOADER = BUILD / "ivshmem-flat.so"
DEVICE = "ivshmem-flat-device.so"
OURS = BUILD / "source"
SOURCE = BUILD / "pristine"
TREE = BUILD / "build"
QEMU = Path("/usr/bin/qemu-system-arm")

SECONDS = 60.0  # longest wait for anything here

# Options of QEMU's configuration that affect the device. The first two change
# structures, which are checked when it is loaded. Without the last one, a
# symbol is missing.
MATTER = {"CONFIG_DEBUG_MUTEX", "CONFIG_PLUGIN", "CONFIG_TCG"}

# Options that are the same in all builds for a host: features of its compiler,
# C library and kernel, a TCG that is not the interpreter, and code that is not
# compiled for a single target
GIVEN = {"CONFIG_INT128", "CONFIG_IOVEC", "CONFIG_LINUX",
         "CONFIG_MACHINE_BSWAP_H", "CONFIG_POSIX", "CONFIG_TCG_INTERPRETER",
         "CONFIG_USER_ONLY", "COMPILING_PER_TARGET", "NEED_CPU_H",
         "HAVE_OPTRESET", "HAVE_MADVISE_WITHOUT_PROTOTYPE"}


def run(*argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, argv)), text=True, timeout=SECONDS,
                          env={**os.environ, **environment},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def compile_device(build: Path, target: str = "all", flags: str = "") -> None:
    """Compiles the device as `make qemu QEMU=stock` does, with more flags."""
    build.mkdir(exist_ok=True)
    done = run("make", "-C", artifacts.CHECKOUT / "preload", f"OURS={OURS}",
               f"SOURCE={SOURCE}", f"TREE={TREE}",
               f"PROGRAM={QEMU}", "PACKAGE=a test", f"BUILD={build}",
               f"CPPFLAGS={flags}",
               target if target == "all" else build / target)
    assert done.returncode == 0, done.stderr


def reconfigure(directory: Path, names: Iterable[str]) -> str:
    """Writes a configuration in which these macros are inverted. Returns the
    compiler flags that use it."""
    text = (TREE / "config-host.h").read_text()
    for name in names:
        text, found = re.subn(rf"^#define {name}\b.*$", f"#undef {name}", text,
                              flags=re.MULTILINE)
        if not found:
            text = re.sub(rf"^#undef {name}$", "", text, flags=re.MULTILINE)
            text += f"\n#define {name} 1\n"
    directory.mkdir()
    (directory / "config-host.h").write_text(text)
    # This header may not be installed. Its contents do not matter.
    (directory / "liburing.h").write_text("struct io_uring { char any[99]; };")
    return f"-iquote {directory} -I{directory}"


def configurable_macros(build: Path) -> set[str]:
    """The macros of QEMU's configuration that the device's source tests."""
    compile_device(build, "objects/ivshmem-flat.o",
                   f"-Wp,-dU -save-temps=obj -I{build}")
    text = (build / "objects/ivshmem-flat.i").read_text(errors="replace")
    return set(re.findall(r"^#(?:define|undef) ((?:CONFIG|HAVE|NEED|COMPILING)"
                          r"_\w+)", text, re.MULTILINE))


def object_code(build: Path, flags: str = "") -> bytes:
    """The device's object file, without debug information."""
    compile_device(build, "objects/ivshmem-flat.o", f"{flags} -g0")
    return (build / "objects/ivshmem-flat.o").read_bytes()


def test_device_is_on_the_list() -> None:
    listed = run(STOCK, "-device", "help").stdout
    assert ('name "ivshmem-flat", bus System, desc "Inter-VM shared memory '
            in listed)
    options = run(STOCK, "-device", "ivshmem-flat,help").stdout
    assert "x-bus-qompath=<str>    - Bus of the device" in options


def test_trace_events(bed: Testbed) -> None:
    events = re.findall(r"^(ivshmem_flat_\w+)\(", (
        artifacts.CHECKOUT / "hw/misc/trace-events").read_text(), re.MULTILINE)
    assert set(events) <= set(run(STOCK, "-trace", "help").stdout.split())

    server = bed.server()
    peer = bed.peer(server)
    board = bed.board("mps2-an385", "first-ring", server,
                      [*flat_device(server.socket),
                       "-trace", "ivshmem_flat_*"])
    board.expect_error(r"^ivshmem_flat_\w+ ", most=100)
    bed.wait("its own ID", lambda: any(
        re.search(rf"ivshmem_flat_own_id .*own ID is {peer.id + 1}$", line)
        for line in board.errors))


@pytest.mark.parametrize("program, arguments", [
    ("/bin/true", []),
    ("/usr/bin/qemu-system-aarch64", ["--version"]),
])
def test_refuses_another_program(program: str, arguments: list[str]) -> None:
    refused = run(program, *arguments, LD_PRELOAD=str(LOADER))

    assert (refused.returncode, refused.stdout) == (1, "")
    assert (f"ivshmem-flat.so: {Path(program).resolve()} is not the build of "
            "QEMU that this was compiled for, qemu-system-arm 1:"
            in refused.stderr)
    assert "'make qemu QEMU=stock'" in refused.stderr


def test_missing_symbol_is_reported(tmp_path: Path) -> None:
    shutil.copy(LOADER, tmp_path)
    source = tmp_path / "device.c"
    source.write_text("int not_in_qemu(void);\n"
                      "int device(void) { return not_in_qemu(); }\n")
    assert run("cc", "-shared", "-fPIC", "-o", tmp_path / DEVICE,
               source).returncode == 0

    refused = run(QEMU, "--version", LD_PRELOAD=str(tmp_path / LOADER.name))

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "undefined symbol: not_in_qemu" in refused.stderr
    assert "'make qemu QEMU=stock'" in refused.stderr


@pytest.mark.parametrize("others", [[], ["libm.so.6"],
                                    ["libm.so.6", "libdl.so.2"]])
def test_children_inherit_only_other_preloads(others: list[str]) -> None:
    child = "exec:printenv LD_PRELOAD >&2; kill $PPID"
    done = run(STOCK, "-M", "none", "-display", "none", "-incoming", child,
               LD_PRELOAD=":".join(others))

    inherited = [line for line in done.stderr.splitlines()
                 if not line.startswith("qemu-system-arm:")]
    assert inherited == [":".join(others)] * bool(others)


def assert_misfit(build: Path, flags: str, complaint: str) -> None:
    """Compiles the device with these flags, and expects QEMU to refuse it."""
    compile_device(build, flags=flags)

    refused = run(QEMU, "--version", LD_PRELOAD=str(build / LOADER.name))

    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.search(f"ivshmem-flat.so: .*{complaint}", refused.stderr)
    assert "compiled for another configuration" in refused.stderr


@pytest.mark.parametrize("macro", ["CONFIG_DEBUG_MUTEX", "CONFIG_PLUGIN"])
def test_refuses_another_configuration(tmp_path: Path, macro: str) -> None:
    assert_misfit(tmp_path / "build",
                  reconfigure(tmp_path / "config", [macro]),
                  r"type '[\w-]+' has \d+ bytes")


@pytest.mark.parametrize("lines, instead, complaint", [
    (r"(    uint32_t tcg_cflags;\n)(    uint32_t halted;\n)", r"\2\1",
     r"field 'halted' of a CPU is at offset \d+; the device expects \d+"),
    (r'#define TYPE_CPU "cpu"', '#define TYPE_CPU "central-unit"',
     "QEMU has no type 'central-unit'"),
])
def test_refuses_another_cpu(tmp_path: Path, lines: str, instead: str,
                             complaint: str) -> None:
    """A QEMU with another CPU type or structure is refused, even if the sizes
    are the same."""
    cpu, found = re.subn(lines, instead,
                         (SOURCE / "include/hw/core/cpu.h").read_text())
    assert found == 1
    header = tmp_path / "include/hw/core/cpu.h"
    header.parent.mkdir(parents=True)
    header.write_text(cpu)

    assert_misfit(tmp_path / "build", f"-iquote {tmp_path}/include", complaint)


def test_nothing_else_in_the_configuration_matters(tmp_path: Path) -> None:
    """Inverting all other macros does not change the device's code, so it does
    not matter how Debian sets them."""
    macros = configurable_macros(tmp_path / "asked")
    assert MATTER <= macros

    flags = reconfigure(tmp_path / "config", sorted(macros - MATTER - GIVEN))

    assert (object_code(tmp_path / "other", flags) ==
            object_code(tmp_path / "same"))


def copied(directory: Path, without: str = "") -> Path:
    """Copies the wrapper, loader and device, without the file `without`."""
    directory.mkdir()
    for name in {STOCK.name, LOADER.name, DEVICE} - {without}:
        shutil.copy(BUILD / name, directory)
    return directory / STOCK.name


def test_what_is_copied_elsewhere_works(tmp_path: Path) -> None:
    assert run(copied(tmp_path / "copy"), "-device",
               "ivshmem-flat,help").returncode == 0


@pytest.mark.parametrize("missing", [LOADER.name, DEVICE])
def test_missing_file_is_reported(tmp_path: Path, missing: str) -> None:
    refused = run(copied(tmp_path / "copy", without=missing), "--version")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert missing in refused.stderr and "'make qemu QEMU=stock'" in refused.stderr


@pytest.mark.parametrize("name", ["with space", "with:colon"])
def test_path_that_cannot_be_preloaded(tmp_path: Path,
                                       name: str) -> None:
    refused = run(copied(tmp_path / name), "--version")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "space or a colon" in refused.stderr
