# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for all tests here."""

import os
import signal
from collections import Counter
from typing import Any

import pytest

from ivshmem import Testbed

# `git rebase --exec` and git's hooks name their repository with these. Tests use
# other repositories.
for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
    os.environ.pop(name, None)

# SIGTERM ends pytest as tidily as Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)


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
