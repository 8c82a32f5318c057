# SPDX-License-Identifier: Apache-2.0
"""Runs the main function of a command that starts a testbed."""

import os
import signal
import sys
from collections.abc import Callable

from .process import TestbedError


class Interrupted(BaseException):
    """The program was told to stop by a signal."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)


def run(name: str, main: Callable[[], bool]) -> int:
    """Calls main(), which returns whether it succeeded, and returns the exit
    status.

    SIGINT, SIGTERM and SIGHUP stop it cleanly, and further signals are
    ignored; the status is then 128 plus the signal's number, as in a shell.
    Under nohup, SIGHUP does nothing. If stdout is closed, it stops without a
    message.
    """
    numbers: list[signal.Signals] = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

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
        # Otherwise Python flushes stdout at exit and fails again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except TestbedError as error:
        print(f"\n{name}: failed: {error}", file=sys.stderr)
        return 1
