# SPDX-License-Identifier: Apache-2.0
"""Tests the firmware, with one board and with two."""

import subprocess
from pathlib import Path

import pytest

from ivshmem.peer import Peer
from ivshmem.pytest_plugin import QemuBoards

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1] / "guest"  # has ivshmem-flat.h in a checkout

BOARD = "mps2-an385"
NUMBER, SQUARE, CALLER = 0, 4, 8  # offsets in the shared memory


def header_flags() -> list[str]:
    """Compiler flags to find ivshmem-flat.h."""
    if (CHECKOUT / "ivshmem-flat.h").exists():
        return [f"-I{CHECKOUT}"]
    return subprocess.run(["pkg-config", "--cflags", "ivshmem-flat"],
                          check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split()


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("firmware") / "firmware.elf"
    subprocess.run(
        ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-O2", "-Wall",
         "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", *header_flags(),
         "-Wl,--section-start=.vectors=0,-Ttext=0x400,-Tbss=0x20000000",
         "-Wl,-ereset,--build-id=none", "-o", image, HERE / "firmware.c"],
        check=True)
    return image


@pytest.mark.parametrize("number", [0, 7, 65535])
def test_answers_with_the_square(qemu_board: QemuBoards, ivshmem_peer: Peer,
                                 firmware: Path, number: int) -> None:
    board = qemu_board(BOARD, firmware)
    board.expect("^ready$")
    ivshmem_peer.wait_for_peer(1)

    ivshmem_peer.memory.set_words(NUMBER, number)
    ivshmem_peer.memory.set_words(CALLER, ivshmem_peer.id)
    ivshmem_peer.ring(1)

    ivshmem_peer.wait_for_doorbells()
    assert ivshmem_peer.memory.word(SQUARE) == number * number
    board.expect("^answered$")


def test_two_boards_serve_one_caller(qemu_board: QemuBoards,
                                     ivshmem_peer: Peer,
                                     firmware: Path) -> None:
    for peer in (1, 2):
        board = qemu_board(BOARD, firmware)
        board.expect("^ready$")
        ivshmem_peer.wait_for_peer(peer)
        ivshmem_peer.memory.set_words(NUMBER, peer, 0, ivshmem_peer.id)

        ivshmem_peer.ring(peer)

        ivshmem_peer.wait_for_doorbells()
        assert ivshmem_peer.memory.word(SQUARE) == peer * peer
