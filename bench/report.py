# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of a benchmark run: tables for the terminal, and JSON for a file."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from measure import Result, Sample, Spread
from ivshmem import artifacts

NAMES = 58  # columns


def table(result: Result) -> str:
    """For people."""
    measurement = result.measurement
    lines = [f"{measurement.name}: {measurement.title} {measurement.scale}",
             f"    {'':{NAMES}}{'median':>10}{'min':>10}{'max':>10}"]
    for name, samples in result.samples.items():
        lines.append(_row(name, samples))
    for comparison in measurement.comparisons:
        goal = ""
        if comparison.goal is not None:
            sign = ">=" if measurement.better == "more" else "<="
            met = "met" if result.is_met(comparison) else "NOT MET"
            goal = f"   goal {sign} {comparison.goal:g}: {met}"
        lines.append(_row(f"  {comparison.of} {comparison.SIGN} "
                          f"{comparison.to}", result.compare(comparison))
                     + goal)
    for failure, times in Counter(result.failures).items():
        lines.append(f"    failed {times} times: {failure}")
    return "\n".join(lines)


def as_data(result: Result) -> dict[str, Any]:
    """For machines."""
    measurement = result.measurement
    return {
        "name": measurement.name,
        "title": measurement.title,
        "unit": measurement.unit,
        "better": measurement.better,
        "scale": measurement.scale,
        "subjects": [
            {"name": name, "samples": samples, **_spread(samples)}
            for name, samples in result.samples.items()],
        "comparisons": [
            {"of": comparison.of, "sign": comparison.SIGN,
             "to": comparison.to, "goal": comparison.goal,
             "met": result.is_met(comparison),
             **_spread(result.compare(comparison))}
            for comparison in measurement.comparisons],
        "failures": result.failures,
    }


def machine() -> dict[str, Any]:
    """The machine and the versions that were measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "qemu": _first_line(str(artifacts.qemu_system("arm")), "--version"),
        "ivshmem-flat": _first_line("git", "-C", str(artifacts.CHECKOUT),
                                    "describe", "--always", "--dirty"),
    }


def load() -> str:
    """The load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{average:.2f}" for average in os.getloadavg())


def _row(name: str, samples: list[Sample]) -> str:
    spread = Spread.of(samples)
    if spread is None:
        return f"    {name:{NAMES}}   no result: every sample failed"
    return f"    {name:{NAMES}}" + "".join(
        f"{_short(number):>10}"
        for number in (spread.median, spread.least, spread.most))


def _short(number: float) -> str:
    """Three significant digits."""
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def _spread(samples: list[Sample]) -> dict[str, Sample]:
    spread = Spread.of(samples)
    if spread is None:
        return {"median": None, "min": None, "max": None}
    return {"median": spread.median, "min": spread.least, "max": spread.most}


def _cpu() -> str:
    model = re.search(r"^model name\s*:\s*(.*)$",
                      Path("/proc/cpuinfo").read_text(), re.M)
    return model[1] if model else platform.machine()


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({error})"
    return (done.stdout.splitlines() or ["unknown"])[0]
