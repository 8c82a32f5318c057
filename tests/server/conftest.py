# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test here is given."""

import resource
from collections.abc import Iterator

import pytest

from ivshmem import Testbed, TestbedError, artifacts

from .lab import Lab


def pytest_configure() -> None:
    """One message instead of one from each test; and room for many clients."""
    try:
        artifacts.ivshmemd()
        artifacts.ivshmemctl()
    except TestbedError as error:
        raise pytest.UsageError(str(error)) from error
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    """A bed of its own for each test. pytest shows its transcript where the
    test fails. The mark bed_seconds gives it another time limit than the usual
    one."""
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
