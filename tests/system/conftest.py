# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures and hooks for all tests in this folder."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem import Testbed, TestbedError, artifacts, server


def pytest_configure() -> None:
    """Without QEMU, prints one message instead of failing each test."""
    try:
        artifacts.qemu_system("arm")
    except TestbedError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves out tests that do not fit the QEMU under test. test_builds.py
    gives the same result with each QEMU, so it runs with one only."""
    stock = artifacts.is_stock(artifacts.qemu_system("arm"))
    unfit = ["test_patches.py" if stock else "test_preload.py"]
    if os.environ.get("QEMU") in ("bookworm", "sid"):
        unfit.append("test_builds.py")
    return True if collection_path.name in unfit else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs speed tests last, so that no other test waits for them."""
    items.sort(key=is_of_speed)


def is_of_speed(item: pytest.Item) -> bool:
    return item.get_closest_marker("speed") is not None


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Under pytest-xdist, speed tests run alone. The wait is outside
    pytest-timeout's limit."""
    if not hasattr(item.config, "workerinput"):
        yield
        return
    base: Path = item.config._tmp_path_factory.getbasetemp()  # type: ignore
    with (base.parent / "turns").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if is_of_speed(item)
                    else fcntl.LOCK_SH)
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests marked both_servers with ivshmemd and with QEMU's server."""
    if ("server_kind" in metafunc.fixturenames and
            metafunc.definition.get_closest_marker("both_servers")):
        metafunc.parametrize("server_kind", server.PROGRAMS)


@pytest.fixture
def server_kind() -> str:
    """The program that is the server."""
    return server.IVSHMEMD


@pytest.fixture
def bed(request: pytest.FixtureRequest,
        server_kind: str) -> Iterator[Testbed]:
    """A testbed for each test. If the test fails, pytest shows the testbed's
    transcript. The mark bed_seconds changes the testbed's time limit."""
    mark = request.node.get_closest_marker("bed_seconds")
    testbed = Testbed(*mark.args if mark else (), server_kind=server_kind)
    yield testbed
    testbed.stop()
    print(testbed.transcript())
