"""What the benchmarks share: where they ran, what processes cost, percentiles, tables."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

SEED = 1
"""What every random choice of a load is drawn from; ``--seed`` sets it."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def where() -> str:
    """The machine, the versions, the seed and the commit, in a line."""
    commit = _git("rev-parse", "--short", "HEAD")
    if _git("status", "--porcelain", "--", "orchestrator", "tasks"):
        commit += " with changes"
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("celery", "kombu", "redis", "grpcio")
    )
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}, {packages}, seed {SEED}, commit {commit or '?'}"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False
    ).stdout.strip()


def _family(pid: int) -> Iterable[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children so far."""
    total = 0.0
    for member in _family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def memory_mib(pid: int) -> float:
    """Resident memory of a process and its children now, shared pages counted once for each."""
    total = 0
    for member in _family(pid):
        try:
            total += int(Path(f"/proc/{member}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * _PAGE / 2**20


def peak_mib(pid: int) -> float:
    """The most memory that one process has had resident so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")
