# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks for tests with many fds in flight: sent, and not read yet.

The kernel counts those of all processes of an ordinary user together. It does not
let a process send more if they are as many as its RLIMIT_NOFILE.
"""

import os
import resource

import pytest

# Tests that would hold each other up
ONE_AT_A_TIME = pytest.mark.xdist_group("fds-in-flight")


def in_flight(number: int) -> pytest.MarkDecorator:
    """The test has up to this many fds in flight."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return pytest.mark.skipif(
        os.geteuid() != 0 and hard < number,
        reason=f"'ulimit -Hn' is {hard}, this needs {number} fds in flight")
