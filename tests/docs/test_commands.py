# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands in the pages work as described."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from ivshmem import artifacts
from .pages import DEVICE, PAGES, blocks, commands, take
from .reader import SECONDS, Reader

SERVER = take(DEVICE, "ivshmemd -S /tmp/ivshmem_socket -l 4M -n 1")
TWO_BOARDS = take(DEVICE, "qemu-system-arm -M mps2-an385 -kernel one.elf")
OTHER_CPUS = take(DEVICE, "qemu-system-riscv32")
TWO_LINES = take(DEVICE, '-device "ivshmem-flat,chardev=ivshmem')
QMP = take(DEVICE, "-> {")
DOORBELL = take(DEVICE, "qemu-system-aarch64 -M virt,gic-version=3")
NAMED_MEMORY = take(DEVICE, "ivshmemd -S /tmp/ivshmem_socket -l 4M -M lab")
PLAIN = take(DEVICE, "qemu-system-aarch64 -M virt -cpu")
ZEPHYR = take("docs/zephyr.rst", "ivshmem-run --server")
HOST = take("docs/linux.rst", "$ ivshmemctl -S /tmp/ivshmem_socket info")

THREE_RINGS = r"(hello: peer \d+ rang\s+){3}"
# Adds the chardev, which the page leaves out, and a free address for the memory
ON_A_BOARD = ("qemu-system-arm -M mps2-an385 -S -display none "
              "-global ivshmem-flat.x-bus-address-shmem=0x60000000 -chardev "
              "socket,path=/tmp/ivshmem_socket,id=ivshmem ")
needs_pci = pytest.mark.skipif(not shutil.which("qemu-system-aarch64"),
                               reason="no qemu-system-aarch64: run `make linux`")


def test_two_boards(reader: Reader) -> None:
    reader.provide("one.elf", "mps2-an385", "hello")
    reader.provide("two.elf", "lm3s6965evb", "hello")

    reader.start(SERVER, TWO_BOARDS)

    reader.wait_for(1, THREE_RINGS)
    reader.wait_for(2, THREE_RINGS)


@pytest.mark.skipif(
    not (artifacts.is_built("riscv32") and artifacts.is_built("sparc")),
    reason='no QEMU for riscv32 or sparc: run `make qemu TARGETS="arm riscv32 '
    'sparc"`')
def test_other_cpus(reader: Reader) -> None:
    reader.provide("one.elf", "sifive_e", "hello")
    reader.provide("two.elf", "leon3_generic", "hello")

    reader.start(SERVER, OTHER_CPUS)

    reader.wait_for(1, THREE_RINGS)
    reader.wait_for(2, THREE_RINGS)


def test_board_of_a_zephyr_program(reader: Reader) -> None:
    reader.provide("build/zephyr/zephyr.elf", "mps2-an385", "hello")
    reader.provide("two.elf", "lm3s6965evb", "hello")

    reader.start(SERVER, ZEPHYR, commands(TWO_BOARDS.text)[1])

    reader.wait_for(1, r"(?s)(mps2-an385 \| hello: peer \d+ rang\n.*?){3}")


def test_two_lines(reader: Reader) -> None:
    """QEMU does not warn about an unused line."""
    reader.start(SERVER.text.replace("-n 1", "-n 2"))
    reader.wait_for(0, "ready")

    starts(reader, f"{ON_A_BOARD} -monitor stdio {TWO_LINES.text}")


def test_qmp(reader: Reader) -> None:
    request, answer = re.fullmatch(r"-> (.*)\n<- (.*)", QMP.text,
                                   re.DOTALL).groups()  # type: ignore
    questions = ['{"execute": "qmp_capabilities"}', " ".join(request.split()),
                 '{"execute": "quit"}']
    reader.start(SERVER)
    reader.wait_for(0, "ready")

    said = reader.run(
        f"printf '%s\\n' {' '.join(map(repr, questions))} | {ON_A_BOARD} "
        "-qmp stdio -device ivshmem-flat,id=shm0,chardev=ivshmem,"
        "x-bus-qompath=/sysbus,x-irq-qompath=nvic/unnamed-gpio-in[29]")

    answers = [json.loads(line) for line in said.splitlines()]
    assert json.loads(answer) in answers


@needs_pci
def test_linux_with_pci(reader: Reader) -> None:
    """QEMU accepts the command line. test_linux.py starts Linux with it."""
    reader.start(SERVER)
    reader.wait_for(0, "ready")

    without_linux(reader, DOORBELL.text)


@needs_pci
def test_memory_without_doorbells(reader: Reader) -> None:
    name = f"ivshmem-docs-{reader.folder.parent.name}-{reader.folder.name}"
    memory = Path("/dev/shm", name)
    reader.start(NAMED_MEMORY.text.replace("-M lab", f"-M {name}"))
    reader.wait_for(0, "ready")

    try:
        without_linux(reader, PLAIN.text.replace("/dev/shm/lab", str(memory)))
    finally:
        reader.close()
        memory.unlink()


def without_linux(reader: Reader, command: str) -> None:
    """Starts QEMU without a guest."""
    for name in ("Image", "initrd"):
        (reader.folder / name).write_bytes(bytes(4096))
    command = command.replace("-nographic", "-S -display none -monitor stdio")

    starts(reader, command)


def starts(reader: Reader, command: str) -> None:
    """The monitor answers, and QEMU prints nothing else."""
    said = reader.run(f"echo quit | {command}")

    assert "(qemu)" in said and "qemu-system" not in said, said


def test_peer_on_the_host(reader: Reader) -> None:
    """Each command prints what the page shows, except for the time."""
    shown = [entry.partition("\n")[::2] for entry in
             re.split(r"^\$ ", HOST.text, flags=re.MULTILINE)[1:]]
    reader.start(SERVER)
    reader.wait_for(0, "ready")
    # The peer that is rung
    reader.start("ivshmemctl listen -c 1 &")
    reader.wait_for(1, "^peer 0 is listening")

    for command, output in shown[:-1]:
        assert reader.run(command) == general(output, reader)
    reader.wait_for(1, "vector 0 was rung$")

    [listen, output] = shown[-1]
    reader.start(f"{listen} &")
    first, second = output.splitlines()
    listener = reader.wait_for(2, f"^{first}$")[0].split()[1]
    reader.run(f"ivshmemctl ring {listener}")
    reader.wait_for(2, "^" + re.sub(r"\d", r"\\d", second) + "$")


def general(output: str, reader: Reader) -> str:
    return output.replace("/tmp/ivshmem_socket", str(reader.socket))


@pytest.mark.parametrize("command", sorted({
    line for page in PAGES for block in blocks(page)
    for line in block.text.splitlines() if re.match("make (?!-C)", line)}))
def test_make(command: str) -> None:
    """The target exists. Other tests cover what it does."""
    words = shlex.split(command, comments=True)

    done = subprocess.run([*words, "-n"], cwd=artifacts.CHECKOUT, text=True,
                          capture_output=True, timeout=SECONDS)

    assert done.returncode == 0, done.stderr
