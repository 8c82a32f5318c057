# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test here is given."""

import resource
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ivshmem import Testbed, TestbedError, artifacts

from .lab import Lab

# Whoever ends pytest with SIGTERM gets the same tidy end as with Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)


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
def bed() -> Iterator[Testbed]:
    """A bed of its own for each test. pytest shows its transcript where the
    test fails."""
    testbed = Testbed()
    yield testbed
    testbed.stop()
    print(testbed.transcript())


@pytest.fixture
def lab(bed: Testbed) -> Iterator[Lab]:
    lab = Lab(bed)
    yield lab
    lab.close()


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """After the test itself, if that has passed: its bed has to end well."""
    bed = getattr(item, "funcargs", {}).get("bed")
    if isinstance(bed, Testbed):
        bed.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says why tests were skipped, each reason once."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(
            report.longrepr[2] for report in skipped).items():
        terminalreporter.write_line(
            f"{count} skipped: {reason.removeprefix('Skipped: ')}")
