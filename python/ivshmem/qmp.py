# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor protocol, as far as it is needed here."""

import json
import socket
from typing import Any

from .process import TestbedError


class QmpClient:
    """One end of a socket pair whose other end QEMU was given."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rw", encoding="utf-8", newline="\n")
        self._greeted = False

    def command(self, name: str, timeout: float = 30.0,
                **arguments: Any) -> Any:
        """Returns what the command returns; raises where QEMU refuses it."""
        self._socket.settimeout(timeout)
        try:
            if not self._greeted:
                self._receive()
                self._greeted = True
                self.command("qmp_capabilities", timeout)
            json.dump({"execute": name, "arguments": arguments}, self._file)
            self._file.write("\n")
            self._file.flush()
            answer = self._receive()
            while "event" in answer:
                answer = self._receive()
        except (TimeoutError, ConnectionError) as error:
            raise TestbedError(f"QMP command {name}: {error}") from error
        if "error" in answer:
            raise TestbedError(
                f"QMP command {name}: {answer['error']['desc']}")
        return answer["return"]

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _receive(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise ConnectionError("QEMU closed its monitor")
        message: dict[str, Any] = json.loads(line)
        return message
