# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test here is given."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivshmem import Testbed, TestbedError, artifacts, server


def pytest_configure() -> None:
    """One message instead of one from each test."""
    try:
        artifacts.qemu_system("arm")
    except TestbedError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """What has no meaning where QEMU has the device built in, or has no source
    to patch, or is the same with every QEMU and need not be tested thrice."""
    stock = artifacts.is_stock(artifacts.qemu_system("arm"))
    unfit = ["test_patches.py" if stock else "test_preload.py"]
    if os.environ.get("QEMU") in ("bookworm", "sid"):
        unfit.append("test_builds.py")
    return True if collection_path.name in unfit else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of speed come last, so that none of the others waits for them."""
    items.sort(key=is_of_speed)


def is_of_speed(item: pytest.Item) -> bool:
    return item.get_closest_marker("speed") is not None


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where pytest-xdist runs tests side by side, a test of speed runs alone.
    Outside of what pytest-timeout limits, as waiting takes no test's time."""
    if not hasattr(item.config, "workerinput"):
        yield
        return
    base: Path = item.config._tmp_path_factory.getbasetemp()  # type: ignore
    with (base.parent / "turns").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if is_of_speed(item)
                    else fcntl.LOCK_SH)
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with the mark both_servers run with ours and with QEMU's."""
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
    """A bed of its own for each test. pytest shows its transcript where the
    test fails. The mark bed_seconds gives it another time limit than the usual
    one."""
    mark = request.node.get_closest_marker("bed_seconds")
    testbed = Testbed(*mark.args if mark else (), server_kind=server_kind)
    yield testbed
    testbed.stop()
    print(testbed.transcript())
