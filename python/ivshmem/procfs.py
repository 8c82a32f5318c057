# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a running process: mostly proc(5)."""

import os
import re
import resource
import time
from collections import Counter
from pathlib import Path


def open_files(pid: int) -> Counter[str]:
    """What the fds of a process lead to, and how many to each. Sockets and
    pipes are one each, whatever their number."""
    files: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            files[re.sub(r"^(socket|pipe):.*", r"\1", os.readlink(link))] += 1
        except FileNotFoundError:
            pass  # closed meanwhile
    return files


def leave_room_for_files(pid: int, room: int) -> None:
    """Sets the limit of a process so that it can open this many more."""
    used = {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    limit = 0
    while room or limit in used:
        room -= limit not in used
        limit += 1
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))


def anonymous_bytes(pid: int) -> int:
    """Memory that is in use and backed by no file."""
    status = Path(f"/proc/{pid}/status").read_text()
    kib = re.search(r"^RssAnon:\s*(\d+) kB$", status, re.M)
    return int(kib[1]) * 1024 if kib else 0  # it has ended


def cpu_share(pid: int, seconds: float) -> float:
    """Watches a process so long. Returns how many CPUs it kept busy."""
    start, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - start)


def cpu_seconds(pid: int) -> float:
    """What all threads have used so far, by the process's CPU-time clock, whose
    number clock_getcpuclockid(3) would tell."""
    scheduler = 2
    return time.clock_gettime(~pid << 3 | scheduler)
