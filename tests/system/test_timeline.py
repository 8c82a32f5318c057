# SPDX-License-Identifier: GPL-2.0-or-later
"""Timelines of real machines, and of written traces for rare cases."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import trace_event_format
from boards import expect_returns, returning_device
from ivshmem import (Testbed, TestbedError, artifacts, demo, timeline,
                     timeline_svg)
from ivshmem.board import BOARDS, Board, flat_device
from ivshmem.boards import CORTEX_M
from ivshmem.process import Process
from ivshmem.server import IvshmemServer
from ivshmem.timeline import Timeline
from ivshmem.timeline_json import DOORBELLS, INTERRUPTS, SESSIONS, TROUBLE
from ring_on_command import RingCommands

DOORBELL_VECTORS = 2

Event = dict[str, Any]


def watch(bed: Testbed, server: IvshmemServer) -> Process:
    process = bed.program("ivshmemctl", [
        str(artifacts.ivshmemctl()), "-S", str(server.socket), "peers",
        "--watch", "--json"])
    bed.wait("ivshmemctl to watch", lambda: process.said("watching"))
    return process


def told(process: Process, file: Path) -> Path:
    """Writes the process's output to a file."""
    file.write_text("\n".join(process.output))
    return file


def events(line: Timeline, tmp_path: Path, kind: str) -> list[dict[str, Any]]:
    """Writes the timeline, checks it, and returns its events of one kind."""
    file = tmp_path / "timeline.json"
    timeline.write(line, file, None)
    return [event for event in trace_event_format.load(file)
            if event["ph"] == kind]


def names(written: Sequence[dict[str, Any]], tid: int) -> list[str]:
    return [event["name"] for event in written if event["tid"] == tid]


# --- real machines


def test_demo(bed: Testbed, tmp_path: Path) -> None:
    """Each doorbell of the demo has an interrupt."""
    server = bed.server()
    watching = watch(bed, server)
    members = demo.start(bed, server, BOARDS, in_order=True, traces=tmp_path)
    demo.finish(bed, members)
    for member in members:
        member.stop()
    bed.wait("the boards to leave",
             lambda: watching.count('"left"') == len(BOARDS))
    line = timeline.read([
        ("server", told(watching, tmp_path / "peers.json")),
        *((name, tmp_path / f"{slot}-{name}.trace")
          for slot, name in enumerate(BOARDS))])

    ids = [[session.own_id for session in each.sessions]
           for each in line.participants]
    assert ids == [[1], [2]]
    assert [(life.id, life.joined, life.left)
            for life in line.servers[0].lives] == [(1, True, True),
                                                   (2, True, True)]
    doorbells = list(line.doorbells())
    # Each sends 5 messages, but may ring once for a message and an
    # acknowledgement.
    assert len(doorbells) >= 2 * demo.MESSAGES
    assert all(each.interrupt for each in doorbells)
    assert not any(notice.is_error for each in line.participants
                   for notice in each.notices)
    arrows = events(line, tmp_path, "s")
    assert len(arrows) == len(doorbells)
    assert timeline.summary(line).startswith("lm3s6965evb, mps2-an385: ")
    assert "lost" not in timeline.summary(line)


def ring_from_board(bed: Testbed, server: IvshmemServer, trace: Path,
                    rings: Sequence[tuple[int, int]]) -> Board:
    """A board that has rung each of these (peer, vector) once."""
    peer = bed.peer(server, DOORBELL_VECTORS)
    board = bed.board("mps2-an385", "ring-on-command", server, trace=trace)
    board_id = peer.id + 1
    bed.wait("the board to be up", lambda: board.output)
    peer.wait_for_peer(board_id, bed.remaining())
    commands = RingCommands(server.memory)
    commands.order(rings)
    peer.ring(board_id)
    bed.wait("the board to ring", commands.done)
    return board


def test_ignored_and_lost(bed: Testbed, tmp_path: Path) -> None:
    """Doorbells to a missing peer, to a vector without a line and to a peer
    without a trace are reported differently."""
    server = bed.server(vectors=DOORBELL_VECTORS)
    target = bed.board("lm3s6965evb", "echo", server,
                       trace=tmp_path / "target.trace")
    bed.wait("the board to listen", lambda: target.said("listening id=0"))
    board = ring_from_board(bed, server, tmp_path / "board.trace",
                            [(9, 0), (0, 1), (1, 1), (0, 0)])
    board.stop()
    target.stop()
    line = timeline.read([(name, tmp_path / f"{name}.trace")
                          for name in ("board", "target")])

    rung = {(each.peer, each.vector): each
            for each in line.participants[0].doorbells}
    assert rung[9, 0].ignored == "not connected"
    assert rung[0, 1].lost == "no interrupt of target followed"
    assert rung[0, 0].interrupt and rung[0, 0].interrupt.vector == 0
    assert not (rung[1, 1].interrupt or rung[1, 1].lost or rung[1, 1].ignored)
    trouble = names(events(line, tmp_path, "i"), TROUBLE)
    assert "ignored: peer 9, vector 0: not connected" in trouble
    assert ("lost: peer 0, vector 1: no interrupt of target followed"
            in trouble)
    # The target answers one doorbell by ringing its own vector 1: it takes the
    # command's number in word 0 for the value to write to DOORBELL.
    assert ("\ndoorbells: 5, their interrupts: 1, lost: 2, ignored: 1, to "
            "peers that were not traced: 1\nfrom write to interrupt: median "
            in timeline.summary(line))


def test_sessions(bed: Testbed, tmp_path: Path) -> None:
    """The server restarts, so the board has two sessions."""
    socket = bed.directory() / "socket"
    server = bed.server(socket=socket)
    trace = tmp_path / "board.trace"
    board = bed.board("mps2-an385", "echo", trace=trace,
                      device=returning_device("mps2-an385", socket))
    expect_returns(board, 1)
    bed.wait("the board to listen", lambda: board.said("listening"))
    server.stop()
    server.excuse()
    bed.server(socket=socket)
    bed.wait("the board to reconnect", lambda: trace.read_text().count(
        "ivshmem_flat_own_id") == 2)
    board.stop()

    participant, = timeline.read([("board", trace)]).participants
    first, last = participant.sessions
    assert first.reason and "server" in first.reason and last.reason is None
    assert first.end < last.begin


def test_guest_errors(bed: Testbed, tmp_path: Path) -> None:
    server = bed.server()
    trace = tmp_path / "board.trace"
    board = bed.board("mps2-an385", "echo", server, trace=trace)
    bed.wait("the board to listen", lambda: board.said("listening"))
    for line in ("xp /1xb 0x400ff001", "xp /1xw 0x400ff00c"):
        arguments: dict[str, Any] = {"command-line": line}
        board.qmp.command("human-monitor-command", **arguments)
    board.stop()
    told_of = timeline.read([("board", trace)])
    errors = [notice.text for notice in told_of.participants[0].notices
              if notice.is_error]
    assert errors == ["read at offset 0x1, size 1",
                      "read of write-only DOORBELL"]
    assert names(events(told_of, tmp_path, "i"), TROUBLE) == errors


def interrupts(board: Board, slot: int) -> int:
    """The number of interrupts from this device."""
    return int(board.qmp.command(
        "qom-get", path=f"/machine/peripheral-anon/device[{slot}]",
        property="interrupts"))


def test_devices_of_one_machine(bed: Testbed, tmp_path: Path) -> None:
    """Two devices of a machine have the same ID, from two servers. Each has
    its own interrupts in the timeline."""
    trace = tmp_path / "board.trace"
    left, right = bed.server(), bed.server()
    peers = [bed.peer(left), bed.peer(right)]
    board = bed.board("mps2-an385", "echo", trace=trace, device=[
        *flat_device(left.socket), *flat_device(
            right.socket, 0x400FE000, 0x70000000, CORTEX_M.lines[1])])
    bed.wait("the board to listen", lambda: board.said("listening id=1"))
    for peer in peers:
        peer.wait_for_peer(1, bed.remaining())
    for slot in (0, 1, 1, 1):
        before = interrupts(board, slot)
        peers[slot].ring(1)
        bed.wait("the interrupt", lambda: interrupts(board, slot) > before)
    board.stop()
    line = timeline.read([("board", trace)])

    assert {each.name: ([session.own_id for session in each.sessions],
                        len(each.interrupts))
            for each in line.participants} == {
                "board/iv400fe000": ([1], 3), "board/iv400ff000": ([1], 1)}
    memories = {each.sessions[0].memory for each in line.participants}
    assert len(memories) == 2 and None not in memories
    assert {event["args"]["name"] for event in events(line, tmp_path, "M")
            if event["name"] == "process_name"} == {
                "board/iv400fe000, ID 1", "board/iv400ff000, ID 1"}


def test_host_peer(bed: Testbed, tmp_path: Path) -> None:
    """A board's doorbell to `ivshmemctl listen` has an interrupt there."""
    server = bed.server()
    listen = bed.program("ivshmemctl", [
        str(artifacts.ivshmemctl()), "-S", str(server.socket), "listen",
        "--json"])
    bed.wait("ivshmemctl to listen", lambda: listen.said("listening"))
    server.memory.set_words(0, 0)  # to ring peer 0
    trace = tmp_path / "board.trace"
    board = bed.board("mps2-an385", "echo", server, trace=trace)
    bed.wait("the board to listen", lambda: board.said("listening id=1"))
    subprocess.run([str(artifacts.ivshmemctl()), "-S", str(server.socket),
                    "ring", "1"], check=True, timeout=30)
    bed.wait("the board's answer", lambda: listen.said('"rung"'))
    board.stop()
    line = timeline.read([("board", trace),
                          ("host", told(listen, tmp_path / "host.json"))])
    answer, = line.doorbells()
    assert answer.interrupt in line.participants[1].interrupts


def test_command(bed: Testbed, tmp_path: Path) -> None:
    """ivshmem-timeline as users run it, with --svg if matplotlib is there."""
    demo.finish(bed, demo.start(bed, bed.server(), BOARDS, in_order=True,
                                traces=tmp_path))
    svg = ["--svg", "timeline.svg", "--between", "-1",
           "1e6"] if timeline_svg.is_possible() else []
    traces = [f"VM {slot}={slot}-{name}.trace"
              for slot, name in enumerate(BOARDS)]
    ended = command(tmp_path, *traces, *svg)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("VM 0, VM 1: ")
    assert "Open timeline.json in ui.perfetto.dev" in ended.stdout
    assert ("timeline.svg is a picture" in ended.stdout) == bool(svg)
    trace_event_format.load(tmp_path / "timeline.json")
    if svg:
        text = (tmp_path / "timeline.svg").read_text()
        # matplotlib draws text as shapes, with the text in a comment.
        for word in ("VM 0", "VM 1", "milliseconds", "doorbell rung"):
            assert f"<!-- {word} -->" in text


@pytest.mark.parametrize("with_matplotlib", [
    False, pytest.param(True, marks=pytest.mark.skipif(
        not timeline_svg.is_possible(), reason=timeline_svg.NO_PICTURE))])
def test_demo_draws_a_timeline(tmp_path: Path, with_matplotlib: bool) -> None:
    """scripts/demo --timeline, which `make demo TIMELINE=1` runs."""
    drawn = tmp_path / "some/where"
    # Without site-packages, Python finds no matplotlib.
    isolated = [] if with_matplotlib else ["-S", "-E"]
    ended = subprocess.run(
        [sys.executable, *isolated,
         str(artifacts.CHECKOUT / "scripts/demo"), "--timeline", str(drawn)],
        text=True, capture_output=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "All verified" in ended.stdout
    assert f"{drawn}/timeline.json in ui.perfetto.dev" in ended.stdout
    trace_event_format.load(drawn / "timeline.json")
    assert (drawn / "timeline.svg").exists() == with_matplotlib
    assert ("is a picture of it" if with_matplotlib else
            "There is no picture: matplotlib is missing: install"
            ) in ended.stdout


@pytest.mark.parametrize("target", ["demo", "demo-linux"])
@pytest.mark.parametrize("variable", ["", "1"])
def test_target_that_draws(target: str, variable: str) -> None:
    ended = subprocess.run(
        ["make", "--dry-run", target, f"TIMELINE={variable}"], text=True,
        check=True, capture_output=True, cwd=artifacts.CHECKOUT, timeout=60)
    assert ("--timeline build/timeline" in ended.stdout) == bool(variable)
    assert ("install-packages timeline" in ended.stdout) == bool(variable)


def command(directory: Path,
            *arguments: str) -> subprocess.CompletedProcess[str]:
    program = artifacts.CHECKOUT / "python/ivshmem-timeline"
    return subprocess.run([sys.executable, str(program), *arguments], text=True,
                          capture_output=True, timeout=60, cwd=directory)


# --- traces as text


OWN_ID = "own_id iv: own ID is {}"
SHMEM = "shmem iv: fd 20, 4194304 bytes, dev 0x1 inode {}"
RING = "ring iv: ID {} rings peer {}, vector 0"
WRITE = "write iv: offset 0xc value {:#x}"
INTERRUPT = "interrupt iv: vector 0"
READ = "read iv: offset 0x8 value 0x1"


def trace(tmp_path: Path, name: str,
          *lines: tuple[int, str]) -> tuple[str, Path]:
    """Writes a trace file with events at these times in microseconds."""
    file = tmp_path / f"{name}.trace"
    file.write_text("".join(f"77@1700000000.{time:06}:ivshmem_flat_{text}\n"
                            for time, text in lines))
    return name, file


def pair(tmp_path: Path, rings: Sequence[tuple[int, int]],
         interrupts: Sequence[int]) -> Timeline:
    """Machine a rings b, with these begin and end times. b has interrupts at
    these times."""
    written = [event for begin, end in rings for event in (
        (begin, WRITE.format(1 << 16)), (end, RING.format(0, 1)))]
    return timeline.read([
        trace(tmp_path, "a", (0, OWN_ID.format(0)), *written),
        trace(tmp_path, "b", (0, OWN_ID.format(1)), *(
            (time, INTERRUPT) for time in interrupts),
              (999_999, READ))])


def matched(line: Timeline) -> list[int | None]:
    """The time of each doorbell's interrupt, or None."""
    begin = line.begin
    return [each.interrupt.time - begin if each.interrupt else None
            for each in line.doorbells()]


@pytest.mark.parametrize("rings, interrupts, expected", [
    # One after the other
    ([(10, 12), (20, 22)], [15, 25], [15, 25]),
    # Traced only after the interrupt
    ([(10, 50)], [30], [30]),
    ([(10, 50), (60, 61)], [30, 70], [30, 70]),
    # A peer that was not traced rang soon after, and much later
    ([(10, 12)], [15, 25], [15]),
    ([(10, 12), (20, 22)], [24, 500_000], [24, 24]),
    # Two doorbells, one interrupt
    ([(10, 12), (20, 22)], [30], [30, 30]),
    # The second came too late for the first interrupt
    ([(10, 12), (20, 22)], [24, 40], [24, 40]),
    # Two doorbells, one interrupt, though the second was traced after it
    ([(10, 12), (20, 50)], [30], [30, 30]),
    # Lost at the end, and lost before one that was rung much later
    ([(10, 12), (20, 22)], [15], [15, None]),
    ([(10, 12), (500_000, 500_002)], [500_010], [None, 500_010]),
    # Late because the machine was paused; nothing else was rung
    ([(10, 12)], [500_000], [500_000]),
])
def test_matching(tmp_path: Path, rings: list[tuple[int, int]],
                  interrupts: list[int], expected: list[int | None]) -> None:
    line = pair(tmp_path, rings, interrupts)
    assert matched(line) == expected
    assert [bool(each.lost) for each in line.doorbells()] == [
        time is None for time in expected]
    events(line, tmp_path, "s")


def test_writes_that_were_not_traced(tmp_path: Path) -> None:
    line = timeline.read([
        trace(tmp_path, "a", (0, OWN_ID.format(0)), (100, RING.format(0, 1))),
        trace(tmp_path, "b", (0, OWN_ID.format(1)), (90, INTERRUPT),
              (200, READ))])
    assert matched(line) == [90]
    events(line, tmp_path, "s")


def test_lines_out_of_order(tmp_path: Path) -> None:
    """Several threads of QEMU write to one trace."""
    line = timeline.read([trace(
        tmp_path, "a", (0, OWN_ID.format(0)), (12, RING.format(0, 1)),
        (10, WRITE.format(1 << 16)))])
    doorbell, = line.doorbells()
    assert (doorbell.begin - line.begin, doorbell.end - line.begin) == (10, 12)


def test_two_cpus_that_ring(tmp_path: Path) -> None:
    line = timeline.read([trace(
        tmp_path, "a", (0, OWN_ID.format(0)), (10, WRITE.format(1 << 16)),
        (20, WRITE.format(2 << 16)), (40, RING.format(0, 2)),
        (50, RING.format(0, 1)))])
    assert [(event["ts"], event["dur"]) for event in events(
        line, tmp_path, "X") if event["tid"] == DOORBELLS] == [
            (10, 10), (20, 20)]


def test_ids_that_change_hands(tmp_path: Path) -> None:
    """A doorbell belongs to the machine that had the ID at that time."""
    gone = "server_error iv: server has gone"
    line = timeline.read([
        trace(tmp_path, "a", (0, OWN_ID.format(0)),
              (10, RING.format(0, 1)), (2010, RING.format(0, 1))),
        trace(tmp_path, "b", (0, OWN_ID.format(1)), (12, INTERRUPT),
              (1000, gone), (3000, "connected iv: connected to server")),
        trace(tmp_path, "c", (2000, OWN_ID.format(1)),
              (2012, INTERRUPT))])
    assert matched(line) == [12, 2012]
    assert [session.reason for session in line.participants[1].sessions] == [
        "server has gone"]


def test_id_that_is_traced_only_later(tmp_path: Path) -> None:
    """Who had the ID is not known, so the doorbell is not lost."""
    line = timeline.read([
        trace(tmp_path, "a", (0, OWN_ID.format(0)), (10, RING.format(0, 1))),
        trace(tmp_path, "b", (2000, OWN_ID.format(1)), (3000, READ))])
    doorbell, = line.doorbells()
    assert (doorbell.interrupt, doorbell.lost) == (None, None)


VECTOR = "vector iv: ID {}: ID {} has vector 0, fd 21"


def test_server_that_returns(tmp_path: Path) -> None:
    """The new session has other memory, so the same ID is another machine."""
    gone = "server_error iv: server has gone"
    line = timeline.read([
        trace(tmp_path, "a", (0, OWN_ID.format(0)), (1, SHMEM.format(7)),
              (2, VECTOR.format(0, 1)), (10, RING.format(0, 1)), (100, gone),
              (200, OWN_ID.format(0)), (201, SHMEM.format(8)),
              (202, VECTOR.format(0, 1)), (210, RING.format(0, 1)),
              (300, OWN_ID.format(2))),
        trace(tmp_path, "b", (0, OWN_ID.format(1)), (1, SHMEM.format(7)),
              (12, INTERRUPT), (100, gone)),
        trace(tmp_path, "c", (190, OWN_ID.format(1)), (191, SHMEM.format(8)),
              (212, INTERRUPT))])
    a = line.participants[0]
    assert matched(line) == [12, 212]
    assert [(session.own_id, session.end - line.begin, session.reason)
            for session in a.sessions] == [
                (0, 100, "server has gone"), (0, 300, None), (2, 300, None)]
    assert [(notice.text, notice.is_error) for notice in a.notices] == [
        ("peer 1 joined", False), ("server has gone", True),
        ("peer 1 joined", False)]


def test_ids_of_two_servers(tmp_path: Path) -> None:
    """A machine with a device on each server rings peer 1 of each."""
    def of(chardev: str, text: str) -> str:
        return text.replace(" iv:", f" {chardev}:")

    line = timeline.read([
        trace(tmp_path, "gateway",
              (0, of("left", OWN_ID.format(0))), (1, of("left", SHMEM.format(7))),
              (2, of("right", OWN_ID.format(0))),
              (3, of("right", SHMEM.format(8))),
              (10, of("right", RING.format(0, 1))),
              (20, of("left", RING.format(0, 1)))),
        *(trace(tmp_path, name, (0, OWN_ID.format(1)), (1, SHMEM.format(inode)),
                (time, INTERRUPT), (40, READ))
          for name, inode, time in (("a", 7, 21), ("b", 8, 11)))])
    assert [each.name for each in line.participants] == [
        "gateway/left", "gateway/right", "a", "b"]
    assert matched(line) == [21, 11]
    assert len(events(line, tmp_path, "s")) == 2


def test_notation_of_newer_qemus(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_text(
        "2026-11-26T03:33:16.614164Z ivshmem_flat_own_id iv: own ID is 4\n"
        "2026-11-26T03:33:17Z ivshmem_flat_interrupt iv: vector 3\n")
    participant, = timeline.read([("vm", file)]).participants
    assert participant.sessions[0].begin == 1795663996614164
    assert participant.interrupts[0].time == 1795663997000000
    assert participant.interrupts[0].vector == 3


def test_log_of_the_server(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(
        "1700000000.000100 host ivshmemd[7]: default: peer 0 joined at /s "
        "(PID 1, UID 0, qemu)\n"
        "1700000000.000200 host ivshmemd[7]: default: peer 1 joined at /s\n"
        "1700000000.000250 host ivshmemd[7]: default: peer 5 (PID 3) left\n"
        "1700000000.000300 host ivshmemd[7]: default: peer 0 (PID 1) left\n"
        "1700000000.000350 host ivshmemd[7]: default: peer 1 (PID 2, x) sent "
        "data, which clients must not do: disconnected\n"
        "1700000000.000400 host ivshmemd[7]: exiting on signal 15\n")
    line = timeline.read([("server", file)])
    lives = line.servers[0].lives
    assert [(life.id, life.end - life.begin, life.joined, life.left)
            for life in lives] == [(0, 200, True, True), (5, 150, False, True),
                                   (1, 150, True, True)]
    assert timeline.summary(line).startswith("the server alone: ")
    assert [event["name"] for event in events(line, tmp_path, "X")] == [
        "peer 0", "peer 5", "peer 1"]


def without(field: str) -> Callable[[Event], object]:
    return lambda event: event.pop(field)


def with_field(field: str, value: object) -> Callable[[Event], object]:
    return lambda event: event.update({field: value})


@pytest.mark.parametrize("kind, spoil", [
    ("X", without("dur")), ("X", with_field("ts", 0.5)),
    ("X", with_field("ts", -1)), ("X", with_field("dur", 50)),
    ("X", with_field("tid", 77)), ("X", with_field("cname", "red")),
    ("i", without("s")), ("i", with_field("s", "x")),
    ("s", without("id")), ("s", with_field("cat", "other")),
    ("s", with_field("id", 99)), ("s", with_field("ts", 40)),
    ("f", without("bp")), ("f", with_field("bp", "s")),
    ("f", with_field("ts", 40)), ("f", with_field("tid", DOORBELLS)),
    ("M", without("pid")), ("M", with_field("name", "thread")),
    ("M", with_field("args", {"name": 7})), ("B", lambda event: None)])
def test_invalid_events_are_noticed(tmp_path: Path, kind: str,
                                    spoil: Callable[[Event], object]) -> None:
    line = pair(tmp_path, [(10, 12), (20, 22), (500_000, 500_001)], [15, 24])
    file = tmp_path / "timeline.json"
    timeline.write(line, file, None)
    written = trace_event_format.load(file)
    if kind == "B":
        written.append({"ph": "B", "pid": 1, "tid": 1, "name": "x", "ts": 0})
    else:
        spoil(next(event for event in written if event["ph"] == kind and
                   event["tid" if "tid" in event else "pid"] != SESSIONS))
    with pytest.raises((AssertionError, KeyError)):
        trace_event_format.check(written)


def test_tracks(tmp_path: Path) -> None:
    line = pair(tmp_path, [(10, 12)], [15])
    slices = events(line, tmp_path, "X")
    assert {(event["pid"], event["tid"]) for event in slices} == {
        (1, SESSIONS), (1, DOORBELLS), (2, SESSIONS), (2, INTERRUPTS)}
    assert names(slices, DOORBELLS) == ["peer 1, vector 0"]


@pytest.mark.parametrize("content, message", [
    ("", "has no ivshmem-flat events, and is not a server's log: start QEMU"),
    ("ivshmem_flat_interrupt iv: vector 0\n", "has no timestamps: start QEMU with "
     "-trace 'ivshmem_flat_*' -msg timestamp=on -D FILE"),
    *((f"1@1700000000.000000:ivshmem_flat_{event}\n",
       f"'ivshmem_flat_{event}' is not an event of this version of the device")
      for event in ("ring iv: nonsense", "interrupt vector 0",
                    "own_id chardev 'iv': own ID is 0",
                    "shmem iv: fd 20, 4096 bytes")),
    ('{"event": "rung"}\n', "line 1: not output of 'ivshmemctl listen --json'"),
    ('{"time_us": 1, "event": "watching", "id": 0}\n{"tim\n', "line 2: not")])
def test_no_trace(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    ended = command(tmp_path, "file")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in ended.stderr
    with pytest.raises(TestbedError):
        timeline.read([("file", file)])


@pytest.mark.parametrize("arguments, status, message", [
    ([], 2, "arguments are required"),
    (["=a.trace"], 2, "'=a.trace': use FILE or NAME=FILE"),
    (["a.trace", "--between", "1", "2"], 2, "--between needs --svg"),
    (["a.trace", "--svg", "x", "--between", "2", "1"], 2,
     "--between 2 1: the first time must be before the second"),
    (["a.trace", "--svg", "x", "--between", "1", "inf"], 2,
     "--between 1 inf: both times must be finite"),
    (["a.trace", "--svg", "x", "--between", "nan", "1"], 2,
     "--between nan 1: both times must be finite"),
    (["missing"], 1, "cannot read missing: No such file"),
    (["a.trace", "-o", "/missing/x"], 1, "cannot write /missing/x")])
def test_command_refused(tmp_path: Path, arguments: list[str], status: int,
                         message: str) -> None:
    trace(tmp_path, "a", (0, OWN_ID.format(0)))
    ended = command(tmp_path, *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert message in ended.stderr
