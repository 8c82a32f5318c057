# SPDX-License-Identifier: GPL-2.0-or-later
"""Defines and runs measurements.

On a noisy machine, a single time is not reliable, and neither is a ratio of
times measured minutes apart. So the subjects of a measurement take turns: in
each round, each of them gives one sample, and the order rotates. Ratios are
computed within each round, and the result is their median.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ivshmem import TestbedError

Sample = float | None  # None: it failed


@dataclass(frozen=True)
class Subject:
    """Something to measure. `sample` measures it once, in the unit of the
    measurement. It must have a time limit."""

    name: str
    sample: Callable[[], float]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def samples(self) -> Mapping[str, float]:
        return {self.name: self.sample()}


@dataclass(frozen=True)
class Group:
    """Subjects that are measured together. One run of `samples` returns a
    number for each name."""

    names: tuple[str, ...]
    samples: Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Ratio:
    """One subject divided by another. The goal is the upper limit, or the lower
    limit if more is better."""

    of: str
    to: str
    goal: float | None = None

    SIGN = "/"

    def compare(self, of: float, to: float) -> float:
        return of / to


@dataclass(frozen=True)
class Difference(Ratio):
    """One subject minus another, in the unit of the measurement."""

    SIGN = "-"

    def compare(self, of: float, to: float) -> float:
        return of - to


@dataclass(frozen=True)
class Measurement:
    """`name` is one word. Comparisons refer to names of subjects."""

    name: str
    title: str
    unit: str
    subjects: Sequence[Subject | Group]
    comparisons: Sequence[Ratio] = ()
    better: str = "less"  # or "more", or "" if neither is better
    rounds: int = 7

    @property
    def scale(self) -> str:
        """For people."""
        better = f"; {self.better} is better" if self.better else ""
        return f"[{self.unit}{better}]"


@dataclass(frozen=True)
class Spread:
    """Median and range of several numbers."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: Sequence[Sample]) -> Spread | None:
        """Ignores missing numbers. None if all are missing."""
        there = [number for number in numbers if number is not None]
        if not there:
            return None
        return cls(statistics.median(there), min(there), max(there))


@dataclass
class Result:
    """Results of all rounds. The n-th sample of each subject is from round n."""

    measurement: Measurement
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  # subject and reason

    def compare(self, comparison: Ratio) -> list[Sample]:
        """The comparison in each round."""
        return [None if of is None or to is None else
                comparison.compare(of, to)
                for of, to in zip(self.samples[comparison.of],
                                  self.samples[comparison.to])]

    def is_met(self, comparison: Ratio) -> bool | None:
        """Whether the median reaches the goal, or None without a goal. A
        failed measurement does not reach it."""
        if comparison.goal is None:
            return None
        spread = Spread.of(self.compare(comparison))
        if spread is None:
            return False
        if self.measurement.better == "more":
            return spread.median >= comparison.goal
        return spread.median <= comparison.goal


def run(measurement: Measurement, rounds: int | None = None,
        show: Callable[[str], None] = lambda text: None) -> Result:
    """Runs a measurement, by default with its own number of rounds. Calls
    `show` before each step."""
    subjects = list(measurement.subjects)
    result = Result(measurement, {name: [] for subject in subjects
                                  for name in subject.names})
    rounds = rounds or measurement.rounds
    for number in range(rounds):
        for turn in range(len(subjects)):
            subject = subjects[(number + turn) % len(subjects)]
            show(f"{measurement.name}, round {number + 1} of {rounds}: "
                 f"{', '.join(subject.names)}")
            try:
                samples = subject.samples()
            except (TestbedError, OSError) as error:
                samples = {}
                result.failures.append(f"{', '.join(subject.names)}: {error}")
            for name in subject.names:
                result.samples[name].append(samples.get(name))
    return result
