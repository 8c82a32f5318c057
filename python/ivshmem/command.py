# SPDX-License-Identifier: Apache-2.0
"""How a command that starts a testbed ends."""

import os
import signal
import sys
from collections.abc import Callable

from .process import TestbedError


class Interrupted(BaseException):
    """The user, or the system, wants this to end."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)


def run(name: str, main: Callable[[], bool]) -> int:
    """The exit status of main(), which says whether all was well.

    SIGINT, SIGTERM and SIGHUP end it in order, undisturbed by more of them; the
    status is then 128 and the signal's number, as a shell has it. A reader of
    the output that goes away ends it, too, without a word.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, _: object) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    for number in numbers:
        signal.signal(number, interrupt)
    try:
        return 0 if main() else 1
    except Interrupted as interruption:
        print(f"\n{name}: stopped by {interruption.signal.name}",
              file=sys.stderr)
        return 128 + interruption.signal
    except BrokenPipeError:
        # At exit, Python would write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except TestbedError as error:
        print(f"\n{name}: failed: {error}", file=sys.stderr)
        return 1
