# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about a running process, mostly from proc(5)."""

import os
import re
import resource
import time
from collections import Counter
from pathlib import Path


def open_files(pid: int) -> Counter[str]:
    """Which files the fds of a process refer to, and how many fds each has. All
    sockets count as one file, and so do all pipes."""
    files: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            files[re.sub(r"^(socket|pipe):.*", r"\1", os.readlink(link))] += 1
        except FileNotFoundError:
            pass  # closed in the meantime
    return files


def leave_room_for_files(pid: int, room: int) -> None:
    """Sets the process's limit so that it can open this many more files."""
    used = {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    limit = 0
    while room or limit in used:
        room -= limit not in used
        limit += 1
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))


def anonymous_bytes(pid: int) -> int:
    """Memory in use that is not backed by a file."""
    status = Path(f"/proc/{pid}/status").read_text()
    kib = re.search(r"^RssAnon:\s*(\d+) kB$", status, re.M)
    return int(kib[1]) * 1024 if kib else 0  # 0 if it has ended


def cpu_share(pid: int, seconds: float) -> float:
    """Watches a process for this time. Returns how many CPUs it kept busy."""
    start, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - start)


def cpu_seconds(pid: int) -> float:
    """CPU time that all threads have used so far. The clock's number is that of
    clock_getcpuclockid(3)."""
    scheduler = 2
    return time.clock_gettime(~pid << 3 | scheduler)
