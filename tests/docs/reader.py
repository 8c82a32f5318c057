# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the commands of the pages as a reader would type them."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from ivshmem import artifacts
from .pages import TOP, Block, commands

SECONDS = 60.0  # the longest wait here
SOCKET = "/tmp/ivshmem_socket"

# Commands that run until they are stopped
LASTING = re.compile(r"qemu-system-|ivshmem-run|ivshmemd\b|&$")


class Reader:
    """A folder that looks like a checkout after a full build. It also has the
    server's default socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self._started: list[subprocess.Popen[bytes]] = []
        self._outputs: list[Path] = []
        build = folder / "build"
        (build / "server").mkdir(parents=True)
        for program in (artifacts.ivshmemd(), artifacts.ivshmemctl()):
            wrapper = build / "server" / program.name
            wrapper.write_text(f'#!/bin/sh\nexec {program} -S {self.socket} "$@"\n')
            wrapper.chmod(0o755)
        qemu = artifacts.qemu_system("arm").parent
        for name, target in (("guest", TOP / "guest"),
                             ("python", TOP / "python"),
                             ("build/firmware", TOP / "build/firmware"),
                             ("build/qemu-10.0", qemu)):
            (folder / name).symlink_to(target)
        self._environment = {
            **os.environ, "PYTHONPATH": str(TOP / "python"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{qemu}:{build / 'server'}:{TOP / 'python'}:"
                    f"{os.environ['PATH']}"}

    def provide(self, name: str, board: str, program: str) -> None:
        """Copies firmware to the name used in the page."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).symlink_to(artifacts.firmware(board, program))

    def run(self, command: str) -> str:
        """Runs a command, which must succeed, and returns its output."""
        done = subprocess.run(
            ["sh", "-euc", self._here(command)], cwd=self.folder, text=True,
            env=self._environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=SECONDS)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def start(self, *texts: Block | str) -> None:
        """Runs a script. Servers and QEMUs run in the background, with output
        to files. It skips make, as everything is already built."""
        script = []
        for text in texts:
            for command in commands(text.text if isinstance(text, Block)
                                    else text):
                if command.startswith("make "):
                    continue
                if not LASTING.search(command):
                    script.append(command)
                    continue
                output = self.folder / f"output-{len(self._outputs)}"
                self._outputs.append(output)
                script.append(f"{command.rstrip('& ')} </dev/null "
                              f">{output} 2>&1 &")
                if "ivshmemd " in command:
                    script.append(f"until grep -qs 'is ready' {output}; "
                                  "do sleep 0.05; done")
        script.append("wait")
        self._started.append(subprocess.Popen(
            ["sh", "-euc", self._here("\n".join(script))], cwd=self.folder,
            env=self._environment, start_new_session=True))

    def wait_for(self, number: int, pattern: str) -> re.Match[str]:
        """Waits until the command with this number, from 0, has printed
        this."""
        deadline = time.monotonic() + SECONDS
        while True:
            text = self._text(number).replace("\r", "")
            if found := re.search(pattern, text, re.MULTILINE):
                return found
            assert time.monotonic() < deadline, (
                f"no {pattern!r} within {SECONDS:.0f} s:\n{self.everything()}")
            assert self._started[-1].poll() is None, self.everything()
            time.sleep(0.05)

    def everything(self) -> str:
        return "\n".join(f"--- {output.name}\n{self._text(number)}"
                         for number, output in enumerate(self._outputs))

    def close(self) -> None:
        for process in self._started:
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            process.wait(SECONDS)

    def _text(self, number: int) -> str:
        output = self._outputs[number]
        return output.read_text(errors="replace") if output.exists() else ""

    def _here(self, command: str) -> str:
        return command.replace(SOCKET, str(self.socket))
