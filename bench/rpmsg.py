# SPDX-License-Identifier: GPL-2.0-or-later
"""Round trips of messages from a board to another machine, each checked: over
RPMsg in shared memory, and over UARTs or Ethernet joined by a socket.

The boards run guest/bench/rpmsg-call.c with guest/examples/rpmsg-echo.c,
uart-call.c with uart-echo.c, and ethernet-call.c with ethernet-echo.c;
guest/bench/messages.h explains them. Linux runs guest/linux/rpmsg.c, and is
skipped if scripts/build-rpmsg has not built it. The times are the host's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from board import BOARD
from measure import Group, Measurement, Ratio
from stream import BOARD_WITH_FIFO
from ivshmem import Testbed, artifacts
from ivshmem.board import Board

SIZES = (16, 496)
AT_ONCE = 16

PATIENCE_SECONDS = 120.0
LINUX_MESSAGES = 1000

OURS = "ivshmem-flat"
LINUX = "ivshmem-flat, PCI device in Linux"
UARTS = "UARTs"
ETHERNET = "Ethernet"

HAS_LINUX = (artifacts.CHECKOUT / "build/linux/ivshmem-rpmsg").exists()

# Messages per second, by size
Rates = Mapping[int, float]
RateOf = Callable[[int], Rates]  # with this many in flight


def by_rpmsg(at_once: int) -> Rates:
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server()
        _start_echo(bed, bed.board(BOARD, "rpmsg-echo", server))
        return _rates(bed, bed.board(BOARD, "rpmsg-call", server), at_once)


def by_uarts(at_once: int) -> Rates:
    def uart(server: str) -> list[str]:
        """The second UART of a board. The first is its console."""
        return ["-chardev", f"socket,id=uart,path={socket},{server}",
                "-serial", "chardev:uart"]

    with Testbed(PATIENCE_SECONDS) as bed:
        socket = bed.directory() / "uart.sock"
        caller = bed.board(BOARD, "uart-call",
                           device=uart("server=on,wait=off"))
        _wait_for_caller(bed, caller)
        bed.board(BOARD_WITH_FIFO, "uart-echo", device=uart("server=off"))
        rates = _rates(bed, caller, at_once)
        # A QEMU whose PL011 waits for the other board would not end.
        bed.wait("the caller to finish", lambda: caller.said(
            f"^messages: {SIZES[-1]} bytes, {AT_ONCE} at once: .*came back$"))
        return rates


def by_ethernet(at_once: int) -> Rates:
    def nic(server: str) -> list[str]:
        return ["-netdev", f"stream,id=net,addr.type=unix,addr.path={socket}"
                f",server={server}", "-net", "nic,netdev=net"]

    with Testbed(PATIENCE_SECONDS) as bed:
        socket = bed.directory() / "net.sock"
        caller = bed.board(BOARD, "ethernet-call", device=nic("on"))
        _wait_for_caller(bed, caller)
        bed.board(BOARD, "ethernet-echo", device=nic("off"))
        return _rates(bed, caller, at_once)


def with_linux(at_once: int) -> Rates:
    with Testbed(PATIENCE_SECONDS) as bed:
        server = bed.server()
        _start_echo(bed, bed.board(BOARD, "rpmsg-echo", server))
        linux = bed.linux(" ; ".join(
            f"ivshmem-rpmsg --size {size} --window {at_once} ping echo "
            f"{LINUX_MESSAGES}" for size in SIZES), server)
        came_back = (rf"^{LINUX_MESSAGES} of {LINUX_MESSAGES} messages came "
                     r"back in .*: (\d+) messages a second")
        bed.wait("Linux to finish",
                 lambda: linux.count(came_back) == len(SIZES))
        return {size: float(match[1]) for size, match in
                zip(SIZES, linux.matches(came_back))}


def _start_echo(bed: Testbed, board: Board) -> None:
    # The host may ring before its QEMU knows the peer.
    board.expect_error("DOORBELL rings vector 0 of peer .*: no such",
                       most=100, least=0)
    bed.wait("the board to wait", lambda: board.said("waiting for the host"))


def _wait_for_caller(bed: Testbed, caller: Board) -> None:
    bed.wait("the caller to wait", lambda: caller.said("^messages: waits$"))


def _rates(bed: Testbed, caller: Board, at_once: int) -> Rates:
    rates = {}
    for size in SIZES:
        phase = f"^messages: {size} bytes, {at_once} at once:"
        bed.wait("the caller to begin", lambda: caller.said(f"{phase} begins$"))
        began = time.monotonic()
        number = bed.wait("the messages to come back", lambda: caller.said(
            rf"{phase} (\d+) came back$"))[1]
        rates[size] = int(number) / (time.monotonic() - began)
    return rates


def _sized(name: str, size: int) -> str:
    return f"{name}, {size} bytes"


def _group(name: str, rates: RateOf, at_once: int,
           shown: Callable[[float], float]) -> Group:
    return Group(
        tuple(_sized(name, size) for size in SIZES),
        lambda: {_sized(name, size): shown(rate)
                 for size, rate in rates(at_once).items()})


def _measurement(name: str, title: str, unit: str, better: str, at_once: int,
                 shown: Callable[[float], float]) -> Measurement:
    ways: dict[str, RateOf] = {OURS: by_rpmsg, UARTS: by_uarts,
                               ETHERNET: by_ethernet}
    if HAS_LINUX:
        ways[LINUX] = with_linux
    return Measurement(
        name, title, unit,
        [_group(way, rates, at_once, shown) for way, rates in ways.items()],
        [Ratio(_sized(OURS, size), _sized(other, size))
         for other in ways if other != OURS for size in SIZES],
        better=better, rounds=5)


MEASUREMENTS = [
    _measurement("rpmsg-trip", "round trip of a message, one at a time", "us",
                 "less", 1, lambda rate: 1e6 / rate),
    _measurement("rpmsg", f"round trips of messages, {AT_ONCE} in flight",
                 "messages/s", "more", AT_ONCE, lambda rate: rate),
]
