# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs in the pages compile without warnings, and work."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts
from .pages import DEVICE, PYTHON, README, TOP, commands, take
from .reader import SECONDS, Reader

FIRMWARE = "docs/firmware.rst"

ANSWER = take(README, '#include "ivshmem-flat.h"')
BOARD = take(README, "make qemu server")
QUESTION = take(README, "build/server/ivshmemctl write")
COMPLETE = take(FIRMWARE, '#include "ivshmem-flat.h"')
NAMES = take(FIRMWARE, '#include "ivshmem-names.h"')
COMPILE = take(FIRMWARE, "arm-none-eabi-gcc")
COPY = take(FIRMWARE, "mkdir your-firmware")
BOARD_CODE = take(DEVICE, "DeviceState *dev")
FIXTURES = take(PYTHON, "def test_answers")
PEER = take(PYTHON, "from pathlib import Path")

BARE = "-ffreestanding -nostdlib"
STRICT = "-Wall -Wextra -Werror -Wl,--fatal-warnings"
# Start-up code that the README's program needs to run
PROJECT = """
#include "board.h"
#include "console.h"
void irq29_vector(void);
void shared_memory_init(void);
void NVIC_EnableIRQ(int line);
void NVIC_EnableIRQ(int line) { irq_enable((unsigned)line, irq29_vector); }
int main(void) { shared_memory_init(); print("ready\\n"); return 0; }
"""
BOARD_FILES = ("board", "console", "cortex-m3", "device", "mps2-an385")


@pytest.mark.parametrize("compiler", [
    f"arm-none-eabi-gcc -std=c99 -mcpu=cortex-m3 {BARE}",
    f"arm-none-eabi-g++ -std=c++11 -mcpu=cortex-m3 {BARE}"])
def test_readme_compiles(reader: Reader, compiler: str) -> None:
    (reader.folder / "sample").write_text(
        f"void NVIC_EnableIRQ(int line);\n{ANSWER.text}\n")
    language = "c++" if "g++" in compiler else "c"

    reader.run(f"{compiler} -Wall -Wextra -Wpedantic -Wconversion -Werror "
               f"-fsyntax-only -Iguest -x {language} sample")


def test_readme_answers(reader: Reader) -> None:
    (reader.folder / "your.c").write_text(
        f"void NVIC_EnableIRQ(int line);\n{ANSWER.text}\n")
    (reader.folder / "project.c").write_text(PROJECT)
    files = " ".join(f"guest/boards/{name}.c" for name in BOARD_FILES)
    reader.run(f"arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -O2 {BARE} -Wall "
               "-Wextra -Werror -ffunction-sections -Wl,--gc-sections "
               "-Wl,--build-id=none -Iguest -Iguest/boards -Lguest/boards "
               f"-T mps2-an385.ld -o your.elf your.c project.c {files}")
    reader.start(BOARD)
    reader.wait_for(1, "^ready$")

    said = reader.run(QUESTION.text)

    assert said == "the board has answered\n"


def test_complete_program(reader: Reader) -> None:
    (reader.folder / "your.c").write_text(COMPLETE.text + "\n")
    compiler, *rest = commands(COMPILE.text)
    assert reader.run(f"{compiler} {STRICT}") == ""

    reader.start("\n".join(rest))

    # It is peer 0 and rings itself.
    reader.wait_for(0, r"\| ready\n.*\| doorbell$")


def test_names(reader: Reader) -> None:
    """Added to the same program, under the name that it looks up, so that it
    rings itself."""
    names = NAMES.text.replace('"sensor"', '"logger"')
    program = COMPLETE.text.replace(
        "void reset(void)", f"{names}\n\nvoid reset(void)"
    ).replace("ivshmem_flat_ring(&shm, 0, 0);", "enter_name(); ring_logger();")
    (reader.folder / "your.c").write_text(program + "\n")
    compiler, *rest = commands(COMPILE.text)
    reader.run(f"{compiler} {STRICT}")

    reader.start("\n".join(rest))

    reader.wait_for(0, r"\| ready\n.*\| doorbell$")


def test_copied_example(reader: Reader) -> None:
    reader.run(f"{COPY.text} {STRICT}")
    (reader.folder / "your.elf").symlink_to("your-firmware/hello.elf")

    reader.start("\n".join(commands(COMPILE.text)[1:]))

    reader.wait_for(0, r"\| hello: id 0, peer 1$")


def test_board_code() -> None:
    """Compiles with the headers and options of the test board."""
    build = artifacts.qemu_system("arm").parent / "build"
    database = build / "compile_commands.json"
    if not database.exists():
        pytest.skip("this QEMU was not built here: no headers for board code")
    entry = next((entry for entry in json.loads(database.read_text())
                  if entry["file"].endswith("/ivshmem-flat-testboard.c")), None)
    if not entry:
        pytest.skip("this is Debian's own QEMU, which takes no board code")
    testboard = Path(entry["directory"], entry["file"])
    includes = re.findall("^#include .*$", testboard.read_text(), re.MULTILINE)
    source = "\n".join([*includes, "void board(DeviceState *armv7m);",
                        "void board(DeviceState *armv7m)", "{",
                        BOARD_CODE.text, "}", ""])
    options = [word for word in shlex.split(entry["command"])
               if word != entry["file"]]
    del options[options.index("-o"):options.index("-o") + 2]

    done = subprocess.run([*options, "-fsyntax-only", "-x", "c", "-"],
                          cwd=entry["directory"], input=source, text=True,
                          capture_output=True, timeout=SECONDS)

    assert (done.returncode, done.stderr) == (0, "")


def test_fixtures(reader: Reader) -> None:
    """The fixtures work with the example project's firmware."""
    (reader.folder / "your.c").write_text(
        (TOP / "python/example/firmware.c").read_text())
    reader.run(f"{commands(COMPILE.text)[0]} {STRICT}")
    (reader.folder / "test_it.py").write_text(FIXTURES.text + "\n")

    said = reader.run("/usr/bin/python3 -m pytest -q -p no:ivshmem "
                      "-p ivshmem.pytest_plugin -p no:cacheprovider test_it.py")

    assert "1 passed" in said


def test_peer(reader: Reader) -> None:
    (reader.folder / "peer.py").write_text(
        PEER.text.replace("/tmp/ivshmem_socket", str(reader.socket)) + "\n")
    reader.start("ivshmemd &\nivshmemctl listen -c 1 &")
    reader.wait_for(1, "^peer 0 is listening")

    reader.run("/usr/bin/python3 peer.py")

    reader.wait_for(1, "vector 0 was rung$")
