# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine code of the driver in generated.c, as objdump prints it.

An optimizer may move an ordinary store past the store that enables an
interrupt, and may move a load out of a loop that waits for a word to change.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivshmem import artifacts

HERE = Path(__file__).parent
GUEST = artifacts.CHECKOUT / "guest"
SECONDS = 60.0

ENABLE, DISABLE = "0xe000e100", "0xe000e180"  # NVIC registers

FUNCTION = re.compile(r"^[0-9a-f]+ <(\w+)>:$")
INSTRUCTION = re.compile(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t(\S+)(?:\t([^@]*))?")
# With the name of the symbol, or of its own section
RELOCATION = re.compile(r"^\t+([0-9a-f]+): R_ARM_\w+\t(?:\.bss\.)?(\w+)")
CONSTANT = re.compile(r"^(\w+), #(\d+)\s*$")
COPY = re.compile(r"^(\w+), (r\d+|ip|lr)\s*$")
ADDRESS = re.compile(r"\[(\w+)(?:, #(\d+))?\]\s*$")
SEVERAL = re.compile(r"^(\w+)(), {")
BRANCH = re.compile("^b(eq|ne|cs|cc|mi|pl|hi|ls|ge|lt|gt|le)?$")
LITERAL = re.compile(r"\[pc, #(\d+)\]")


@dataclass(frozen=True)
class Instruction:
    address: int
    name: str  # without .n or .w
    operands: str


@dataclass(frozen=True)
class Code:
    """An object file. `symbols` are those that its relocations refer to."""

    functions: dict[str, list[Instruction]]
    symbols: dict[int, str]

    def accesses(self, function: str) -> list[str]:
        """The function's accesses, in order: "fence", or "load" or "store" with
        a symbol, an address, or the register of a pointer argument."""
        found = []
        held: dict[str, int | str] = {f"r{n}": f"r{n}" for n in range(4)}
        held["sp"] = "stack"
        for each in self.functions[function]:
            name, operands = each.name, each.operands
            target = operands.partition(",")[0]
            if name == "dmb":
                found.append("fence")
            elif literal := LITERAL.search(operands):
                place = (each.address & ~3) + 4 + int(literal[1])
                held[target] = self.symbols.get(place) or self.word(place)
            elif name.startswith(("ldr", "str", "stm")):
                address = ADDRESS.search(operands) or SEVERAL.match(operands)
                assert address and (name[0] == "l" or address[1] in held), \
                    f"cannot tell where this stores: {each}"
                base = held.get(address[1], "elsewhere")
                if isinstance(base, int):
                    base = f"{base + int(address[2] or 0):#x}"
                found.append(f"{'load' if name[0] == 'l' else 'store'} {base}")
                if name[0] == "l":
                    held.pop(target, None)
            elif name == "movt":
                if each.address not in self.symbols:
                    low = held[target]
                    assert isinstance(low, int)
                    held[target] = low | int(operands.partition("#")[2]) << 16
            elif (constant := CONSTANT.match(operands)) and name[:3] == "mov":
                held[target] = self.symbols.get(each.address, int(constant[2]))
            elif (copy := COPY.match(operands)) and name == "mov":
                held[target] = held[copy[2]]
            elif name not in ("cmp", "push", "pop") and name[0] != "b":
                held.pop(target, None)
        return found

    def word(self, address: int) -> int:
        """A word of the literal pool."""
        return next(int(each.operands, 16)
                    for instructions in self.functions.values()
                    for each in instructions if each.address == address)

    def loop(self, function: str) -> list[Instruction]:
        """The function's last loop: from the target of the last backward jump
        to the jump."""
        code = self.functions[function]
        start, end = [
            (int(each.operands.split()[0], 16), each.address) for each in code
            if BRANCH.match(each.name)
            and int(each.operands.split()[0], 16) <= each.address][-1]
        return [each for each in code if start <= each.address <= end]


def parse(text: str) -> Code:
    functions: dict[str, list[Instruction]] = {}
    symbols = {}
    for line in text.splitlines():
        if function := FUNCTION.match(line):
            functions[function[1]] = []
        elif instruction := INSTRUCTION.match(line):
            address, name, operands = instruction.groups(default="")
            functions[list(functions)[-1]].append(Instruction(
                int(address, 16), re.sub(r"\.[nw]$", "", name), operands))
        elif relocation := RELOCATION.match(line):
            symbols[int(relocation[1], 16)] = relocation[2]
    return Code(functions, symbols)


@pytest.fixture(scope="module", params=[
    f"{compiler} {level}" for compiler in
    ("arm-none-eabi-gcc", "clang --target=arm-none-eabi")
    for level in ("-Os", "-O2", "-O3")])
def code(request: pytest.FixtureRequest,
         tmp_path_factory: pytest.TempPathFactory) -> Code:
    result = tmp_path_factory.mktemp("code") / "generated.o"
    subprocess.run(
        [*request.param.split(), "-mcpu=cortex-m3", "-mthumb", "-std=c99",
         "-ffreestanding", "-fdata-sections", "-Wall", "-Wextra",
         "-Wpedantic", "-Werror", f"-I{GUEST}", "-c", "-o", result,
         HERE / "generated.c"],
        check=True, timeout=SECONDS)
    text = subprocess.run(["arm-none-eabi-objdump", "-dr", result], check=True,
                          capture_output=True, text=True, timeout=SECONDS)
    print(text.stdout)
    return parse(text.stdout)


def stores_and_fences(code: Code, function: str) -> list[str]:
    return [each for each in code.accesses(function)
            if not each.startswith("load")]


def test_handler_is_set_before_the_line_is_enabled(code: Code) -> None:
    stores = stores_and_fences(code, "listen")

    enabled = stores.index(f"store {ENABLE}")
    assert "store shm" not in stores[enabled:]
    assert "store shm" in stores[:enabled]
    assert stores[enabled - 1] == "fence"


def test_handler_changes_after_the_line_is_disabled(code: Code) -> None:
    stores = stores_and_fences(code, "stop_listening")

    disabled = stores.index(f"store {DISABLE}")
    assert "store shm" not in stores[:disabled]
    assert "store shm" in stores[disabled:]
    assert stores[disabled + 1] == "fence"


def test_waiting_reads_again(code: Code) -> None:
    """It reads the whole word, even if one byte would do."""
    loads = {each.name for each in code.loop("wait_for_byte")
             if each.name.startswith("ld")}
    assert loads == {"ldr"}


def test_data_is_read_after_the_word_that_announces_it(code: Code) -> None:
    assert code.accesses("receive") == ["load r0", "fence", "load r1"]


def test_data_is_written_before_the_word_that_announces_it(
        code: Code) -> None:
    assert code.accesses("send") == ["store r1", "fence", "store r0"]
