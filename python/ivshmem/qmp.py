# SPDX-License-Identifier: Apache-2.0
"""The parts of QEMU's monitor protocol that are needed here."""

import json
import socket
import time
from collections.abc import Sequence
from typing import Any

from .process import TestbedError


class QmpClient:
    """A client on one end of a socket pair. QEMU has the other end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = b""  # not yet used
        self._sent = 0  # number of commands; each has its number as its ID
        self._greeted = False

    def command(self, name: str, timeout: float = 30.0,
                **arguments: Any) -> Any:
        """Runs a command and returns its result. Raises if QEMU refuses it."""
        return self.commands(name, [arguments], timeout)[0]

    def commands(self, name: str, arguments: Sequence[dict[str, Any]],
                 timeout: float = 30.0) -> list[Any]:
        """Runs it with each of these arguments, without waiting in between."""
        deadline = time.monotonic() + timeout
        try:
            if not self._greeted:
                self._receive(deadline)
                self._greeted = True
                self._run("qmp_capabilities", [{}], deadline)
            answers = self._run(name, arguments, deadline)
        except (TimeoutError, ConnectionError) as error:
            raise TestbedError(f"QMP command {name}: {error}") from error
        for answer in answers:
            if "error" in answer:
                raise TestbedError(
                    f"QMP command {name}: {answer['error']['desc']}")
        return [answer["return"] for answer in answers]

    def close(self) -> None:
        self._socket.close()

    def _run(self, name: str, arguments: Sequence[dict[str, Any]],
             deadline: float) -> list[dict[str, Any]]:
        first = self._sent
        self._sent += len(arguments)
        self._limit(deadline)
        self._socket.sendall(b"".join(
            json.dumps({"execute": name, "arguments": each,
                        "id": number}).encode() + b"\n"
            for number, each in enumerate(arguments, first)))
        return [self._answer(number, deadline)
                for number in range(first, self._sent)]

    def _answer(self, number: int, deadline: float) -> dict[str, Any]:
        """Skips events, and the answers to commands that have timed out."""
        while (message := self._receive(deadline)).get("id") != number:
            pass
        return message

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            self._limit(deadline)
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError("QEMU closed its monitor")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _limit(self, deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
