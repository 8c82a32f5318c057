# SPDX-License-Identifier: Apache-2.0
"""Free addresses and interrupt lines for the device on each board.

The table has all Cortex-M machines of QEMU, one RISC-V and one SPARC board.
tests/system/test_boards.py tries every row, and fails if QEMU has a Cortex-M
machine that is missing here.
"""

from dataclasses import dataclass
from difflib import get_close_matches

from .process import TestbedError


@dataclass(frozen=True)
class Wiring:
    """Addresses and interrupt lines that nothing else on the board uses. The
    defaults suit most Cortex-M boards.

    `lines` are the CPU's interrupt numbers for vectors 0, 1 and so on. `input`
    is the QOM path of an interrupt input in QEMU. In it, {external} is the
    line's number minus the 32 lines of the subsystem around the CPU.
    """

    target: str = "arm"  # of QEMU: the board is in qemu-system-TARGET
    input: str = "nvic/unnamed-gpio-in[{line}]"
    lines: tuple[int, ...] = (29, 28, 27, 26)
    registers: int = 0x400FF000
    memory: int = 0x60000000
    vector_table: int = 0
    since: tuple[int, int] = (7, 2)  # the first QEMU release with the board
    note: str = ""

    @property
    def line(self) -> int:
        return self.lines[0]

    def path(self, line: int) -> str:
        return self.input.format(line=line, external=line - 32)

    def paths(self, vectors: int = 1) -> str:
        """The value of x-irq-qompath. If there are more vectors than lines, the
        rest have none."""
        return ";".join(map(self.path, self.lines[:vectors]))


CORTEX_M = Wiring()

STELLARIS_LINES = (29, 27, 26, 25)
STM32F_LINES = (31, 32, 33, 34)
SSE_LINES = (72, 73, 74, 75)  # Arm's subsystems SSE-200 and SSE-300

SECURE_FLASH = 0x10000000  # has their vector table

# The splitters connect each line to both CPUs.
MPS_SPLITTER = "mps2-irq-splitter{external}/unnamed-gpio-in[0]"
MUSCA_SPLITTER = "musca-irq-splitter{external}/unnamed-gpio-in[0]"
BOTH_CPUS = "a doorbell interrupts both CPUs"

HAS_RAM = "RAM is at the usual address"
HAS_FLASH = "flash is at the usual address"
# Free, non-secure Normal memory: 64 MiB below 0x30000000.
BELOW_DEVICES = 0x2C000000

WIRINGS = {
    "ast1030-evb": CORTEX_M,
    "ast1060-evb": Wiring(since=(11, 0)),
    "b-l475e-iot01a": Wiring(since=(9, 0)),
    "emcraft-sf2": Wiring(memory=0x61000000, note=HAS_FLASH),
    "lm3s6965evb": Wiring(lines=STELLARIS_LINES),
    "lm3s811evb": Wiring(lines=STELLARIS_LINES),
    "max78000fthr": Wiring(since=(10, 1)),
    "microbit": CORTEX_M,
    "mps2-an385": CORTEX_M,
    "mps2-an386": CORTEX_M,
    "mps2-an500": Wiring(memory=0x61000000, note=HAS_RAM),
    "mps2-an505": Wiring(lines=SSE_LINES, vector_table=SECURE_FLASH),
    "mps2-an511": CORTEX_M,
    "mps2-an521": Wiring(input=MPS_SPLITTER, lines=SSE_LINES,
                         vector_table=SECURE_FLASH, note=BOTH_CPUS),
    "mps3-an524": Wiring(input=MPS_SPLITTER, lines=SSE_LINES,
                         memory=BELOW_DEVICES, vector_table=SECURE_FLASH,
                         note=f"{BOTH_CPUS}; {HAS_RAM}; 64 MiB at most"),
    "mps3-an547": Wiring(lines=SSE_LINES, memory=BELOW_DEVICES,
                         note=f"{HAS_RAM}; 64 MiB at most"),
    "musca-a": Wiring(input=MUSCA_SPLITTER, lines=SSE_LINES,
                      vector_table=0x10200000, note=BOTH_CPUS),
    "musca-b1": Wiring(input=MUSCA_SPLITTER, lines=SSE_LINES,
                       vector_table=SECURE_FLASH, note=BOTH_CPUS),
    "netduino2": Wiring(lines=STM32F_LINES),
    "netduinoplus2": Wiring(lines=STM32F_LINES),
    "olimex-stm32-h405": Wiring(lines=STM32F_LINES, since=(8, 0)),
    "stm32vldiscovery": CORTEX_M,
    "sifive_e": Wiring(target="riscv32", lines=(52, 51, 50, 49),
                       input="unattached/device[0]/unnamed-gpio-in[{line}]",
                       note="RISC-V; the PLIC's lines"),
    "leon3_generic": Wiring(target="sparc", lines=(10, 11, 12, 13),
                            input="unattached/device[3]/unnamed-gpio-in[{line}]",
                            registers=0x200FF000,
                            note="SPARC, big-endian; RAM is at the usual "
                            "address of the registers"),
}


def wiring(board: str) -> Wiring:
    """Raises if the board is not in the table."""
    if board in WIRINGS:
        return WIRINGS[board]
    near = get_close_matches(board, WIRINGS)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise TestbedError(f"unknown board '{board}': {hint}`ivshmem-run --boards` "
                       "lists all boards")
