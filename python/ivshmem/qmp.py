# SPDX-License-Identifier: Apache-2.0
"""The parts of QEMU's monitor protocol that are needed here."""

import json
import socket
from collections.abc import Sequence
from typing import Any

from .process import TestbedError


class QmpClient:
    """A client on one end of a socket pair. QEMU has the other end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rw", encoding="utf-8", newline="\n")
        self._greeted = False

    def command(self, name: str, timeout: float = 30.0,
                **arguments: Any) -> Any:
        """Runs a command and returns its result. Raises if QEMU refuses it."""
        return self.commands(name, [arguments], timeout)[0]

    def commands(self, name: str, arguments: Sequence[dict[str, Any]],
                 timeout: float = 30.0) -> list[Any]:
        """Runs it with each of these arguments, without waiting in between."""
        self._socket.settimeout(timeout)
        try:
            if not self._greeted:
                self._receive()
                self._greeted = True
                self.command("qmp_capabilities", timeout)
            for each in arguments:
                json.dump({"execute": name, "arguments": each}, self._file)
                self._file.write("\n")
            self._file.flush()
            answers = [self._answer() for _ in arguments]
        except (TimeoutError, ConnectionError) as error:
            raise TestbedError(f"QMP command {name}: {error}") from error
        for answer in answers:
            if "error" in answer:
                raise TestbedError(
                    f"QMP command {name}: {answer['error']['desc']}")
        return [answer["return"] for answer in answers]

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _answer(self) -> dict[str, Any]:
        """The next message that is not an event."""
        while "event" in (message := self._receive()):
            pass
        return message

    def _receive(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("QEMU closed its monitor")
        message: dict[str, Any] = json.loads(line)
        return message
