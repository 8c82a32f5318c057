# SPDX-License-Identifier: GPL-2.0-or-later
"""Which build is used if there are several, and the messages if none is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ivshmem import TestbedError, artifacts

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Creates empty programs in an otherwise empty checkout."""
    for variable in ("QEMU_BUILD", "QEMU_SYSTEM_ARM", "IVSHMEM_SERVER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(artifacts, "CHECKOUT", tmp_path)
    monkeypatch.setattr(artifacts, "IS_INSTALLED", False)

    def make(build: str, *names: str) -> Path:
        folder = tmp_path / "build" / build
        folder.mkdir(parents=True, exist_ok=True)
        for name in names or ("qemu-system-arm", "ivshmem-server"):
            (folder / name).touch(0o755)
        return folder

    return make


def test_nothing_is_built(make: Make) -> None:
    make("qemu-10.0", "ivshmem-server")

    with pytest.raises(TestbedError, match="has no QEMU: run `make qemu`"):
        artifacts.qemu_system("arm")
    assert not artifacts.is_built("arm")


def test_the_only_build_is_taken(make: Make) -> None:
    make("qemu-10.0-sanitized")
    build = make("qemu-7.2")

    assert artifacts.qemu_system("arm") == build / "qemu-system-arm"
    assert artifacts.ivshmem_server() == build / "ivshmem-server"
    assert artifacts.is_built("arm") and not artifacts.is_built("sparc")


def test_one_of_several_has_to_be_named(
        make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("qemu-10.0")
    build = make("qemu-7.2")

    with pytest.raises(TestbedError, match="several builds of QEMU, build/"
                       "qemu-10.0, build/qemu-7.2: choose one, such as "
                       "QEMU_BUILD=build/qemu-10.0$"):
        artifacts.qemu_system("arm")

    monkeypatch.setenv("QEMU_BUILD", str(build))
    assert artifacts.qemu_system("arm") == build / "qemu-system-arm"


def test_stock_qemu_is_taken_if_there_is_no_other(make: Make) -> None:
    """`make demo` leaves one, and 'make qemu' then builds another."""
    stock = make("qemu-10.0-stock", "qemu-system-arm", "ivshmem-flat-device.so")
    assert artifacts.qemu_system("arm") == stock / "qemu-system-arm"

    built = make("qemu-10.0")
    assert artifacts.qemu_system("arm") == built / "qemu-system-arm"


def test_named_build_lacks_a_program(
        make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("qemu-7.2")
    build = make("qemu-10.0", "qemu-system-arm")
    monkeypatch.setenv("QEMU_BUILD", str(build))

    with pytest.raises(TestbedError, match=f"{build}/ivshmem-server is missing"
                       f" or not executable: correct QEMU_BUILD={build}, "
                       "run `make qemu`, or set IVSHMEM_SERVER to your own$"):
        artifacts.ivshmem_server()


def test_single_programs_can_be_named(
        make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("qemu-7.2")
    make("qemu-10.0")
    mine = make("mine") / "qemu-system-arm"
    monkeypatch.setenv("QEMU_SYSTEM_ARM", str(mine))

    assert artifacts.qemu_system("arm") == mine
    assert artifacts.is_built("arm")

    mine.unlink()
    with pytest.raises(TestbedError, match="correct or unset QEMU_SYSTEM_ARM"):
        artifacts.qemu_system("arm")


def test_stock_qemu_is_recognized(make: Make) -> None:
    stock = make("qemu-7.2-stock", "qemu-system-arm", "ivshmem-flat-device.so")
    built = make("qemu-7.2")

    assert artifacts.is_stock(stock / "qemu-system-arm")
    assert not artifacts.is_stock(built / "qemu-system-arm")


def test_installed_package_looks_on_path(
        make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("elsewhere")
    monkeypatch.setattr(artifacts, "IS_INSTALLED", True)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(artifacts, "SBIN", "")
    monkeypatch.delenv("IVSHMEMD", raising=False)

    assert artifacts.qemu_system("arm") == folder / "qemu-system-arm"
    with pytest.raises(TestbedError, match="^ivshmemd is missing .*: put it on "
                       "PATH, or set IVSHMEMD to its path$"):
        artifacts.ivshmemd()
