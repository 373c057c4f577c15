"""Counters, gauges and histograms of a process, in one row of numbers.

A row is a list of numbers, or memory that several processes share (:mod:`.shared`).
To observe costs a third of a microsecond: this happens several times for each job.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import MutableSequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from .shapes import LATENCIES, Kind, Metric, Program, of_program

Row: TypeAlias = "MutableSequence[float] | memoryview[float]"
"""The numbers of one process."""

Label: TypeAlias = str
"""The value of a metric's only label; empty where it has none."""

_HISTOGRAM = len(LATENCIES) + 2
"""Numbers of a histogram: one for each bucket, one for what is longer, and the sum."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Where the numbers of a program's metrics lie in a row."""

    at: dict[tuple[Metric, Label], int]
    size: int


@cache
def layout(program: Program) -> RowLayout:
    """The layout of a program's rows. The first number says whether the row is in use."""
    at: dict[tuple[Metric, Label], int] = {}
    size = 1
    for metric in of_program(program):
        shape = metric.value
        if shape.labels and not shape.values:
            continue  # Its labels are not known beforehand.
        for label in shape.values or ("",):
            at[metric, label] = size
            size += _HISTOGRAM if shape.kind is Kind.HISTOGRAM else 1
    return RowLayout(at, size)


@dataclass(slots=True)
class Cells:
    """The numbers of this process. May be used from several threads."""

    program: Program
    row: Row = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not len(self.row):
            self.row = [0.0] * layout(self.program).size

    def keep_in(self, row: Row) -> None:
        """Count in *row* from now on: it may go on where another process ended."""
        with self.lock:
            self.row = row
            row[0] = 1.0
            for metric, label in layout(self.program).at:
                if metric.value.kind is Kind.GAUGE:
                    row[self.place(metric, label)] = 0.0

    def place(self, metric: Metric, label: Label = "") -> int:
        return layout(self.program).at[metric, label]

    def number(self, metric: Metric, label: Label = "") -> Number:
        """A counter or a gauge."""
        return Number(self, self.place(metric, label))

    def histogram(self, metric: Metric, label: Label = "") -> Histogram:
        return Histogram(self, self.place(metric, label))


@dataclass(frozen=True, slots=True)
class Number:
    """A counter or a gauge."""

    cells: Cells
    at: int

    def add(self, more: float = 1.0) -> None:
        with self.cells.lock:
            self.cells.row[self.at] += more

    def set(self, value: float) -> None:
        with self.cells.lock:
            self.cells.row[self.at] = value


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long."""

    cells: Cells
    at: int

    def observe(self, seconds: float) -> None:
        """It took so long."""
        cells, at = self.cells, self.at
        with cells.lock:
            row = cells.row
            row[at + bisect_left(LATENCIES, seconds)] += 1.0
            row[at + _HISTOGRAM - 1] += seconds
