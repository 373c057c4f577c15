"""What every fuzzer does: one input after the other for a time, each within limits of CPU time and
memory."""

from __future__ import annotations

import os
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Generic, TypeAlias, TypeVar

CPU_LIMIT = 2.0
"""Seconds of CPU for one input, in this process and those that it started."""
MEMORY_LIMIT = 300
"""MiB of the largest process."""

Input = TypeVar("Input")
Kind: TypeAlias = str
"""What an input came to, for the counts."""


class FuzzFinding(Exception):
    """An input that does not keep to the limits, or raises what is not documented."""


@dataclass(slots=True)
class Fuzzer(Generic[Input]):
    """*make* makes an input of random numbers; *run* runs it and says what it came to."""

    name: str
    make: Callable[[Random], Input]
    run: Callable[[Input], Kind]
    close: Callable[[], None] = lambda: None
    counts: Counter[Kind] = field(default_factory=Counter)
    slowest: float = 0.0

    def fuzz(
        self, seed: int, seconds: float = float("inf"), inputs: float = float("inf")
    ) -> dict[str, object]:
        """Run inputs until the time or their number is over.

        Each has a seed of its own, so that a finding can be run again by itself.

        :raises Finding: with the seed of the input.
        """
        end = time.monotonic() + seconds
        number = seed
        try:
            while time.monotonic() < end and number - seed < inputs:
                self._one(number)
                number += 1
        finally:
            self.close()
        return self._report(number - seed)

    def _one(self, number: int) -> None:
        made = self.make(Random(number))
        before = _cpu()
        try:
            kind = self.run(made)
        except Exception as error:
            raise FuzzFinding(
                f"{self.name}, seed {number}: {type(error).__name__}: {error}"
            ) from error
        used = _cpu() - before
        if used > CPU_LIMIT:
            raise FuzzFinding(f"{self.name}, seed {number}: it took {used:.1f} s of CPU")
        if (memory := _memory()) > MEMORY_LIMIT:
            raise FuzzFinding(f"{self.name}, seed {number}: a process took {memory} MiB")
        self.counts[kind] += 1
        self.slowest = max(self.slowest, used)

    def _report(self, inputs: int) -> dict[str, object]:
        return {
            "fuzzer": self.name,
            "inputs": inputs,
            "slowest_cpu_seconds": round(self.slowest, 2),
            "largest_process_mib": _memory(),
            **dict(self.counts.most_common()),
        }


def _cpu() -> float:
    """Seconds of CPU of this process and all that it started, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = sum(_ticks(child) for child in _children())
    return time.process_time() + ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _ticks(child: int) -> int:
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _memory() -> int:
    """MiB that the largest of these processes had at its largest."""
    used = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return max(*used, *map(_peak, _children())) // 1024


def _peak(child: int) -> int:
    try:
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _children() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
