# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the tests here."""

import resource
from collections.abc import Iterator

import pytest

from ivshmem import Testbed, TestbedError, artifacts

from .lab import Lab


def pytest_configure() -> None:
    """Fails once if the server is missing, instead of in each test, and raises
    the limit of open files."""
    try:
        artifacts.ivshmemd()
        artifacts.ivshmemctl()
    except TestbedError as error:
        raise pytest.UsageError(str(error)) from error
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    """A new bed for each test. If the test fails, pytest shows its transcript.
    The mark bed_seconds changes its timeout."""
    mark = request.node.get_closest_marker("bed_seconds")
    testbed = Testbed(*mark.args if mark else ())
    yield testbed
    testbed.stop()
    print(testbed.transcript())


@pytest.fixture
def lab(bed: Testbed) -> Iterator[Lab]:
    lab = Lab(bed)
    yield lab
    lab.close()
