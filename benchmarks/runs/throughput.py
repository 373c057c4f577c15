"""Independent creates whose stacks complete at once: jobs a second, and what each costs, from small to large.

The sizes take turns, up and down again, so that a machine that becomes slower or faster meanwhile does it to all.
Along the largest the CPU time is read every second.
"""

from __future__ import annotations

import argparse
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from ..ground import BenchLoad, Ground, nodes, orchestra, settle
from ..report import BenchResult

PARTIES = ("bridge", "worker", "etcd", "Redis")
Samples = list[tuple[float, float]]
"""CPU seconds of all parties so far, by the wall clock."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 5000, 20000])
    parser.add_argument("--rounds", type=int, default=2, help="up, down, up, ...")
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--slots", type=int, default=4)


@contextmanager
def _sampling(running: Ground) -> Iterator[Samples]:
    samples: Samples = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(1.0):
            spent = running.spent()
            samples.append((time.time(), sum(spent[party] for party in PARTIES)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield samples
    finally:
        over.set()
        sampler.join()


def _along(load: BenchLoad, samples: Samples, parts: int = 10) -> list[float]:
    """Milliseconds of CPU for a job, in each tenth of the jobs."""
    done = sorted(load.reported.values())
    counted = [(bisect_right(done, at), cpu) for at, cpu in samples]
    found: list[float] = []
    for part in range(parts):
        within = [
            (jobs, cpu) for jobs, cpu in counted if part <= parts * jobs / len(done) <= part + 1
        ]
        if len(within) > 1 and within[-1][0] > within[0][0]:
            found.append((within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0]) * 1000)
    return found


def _show(each: Sequence[dict[str, Any]], along: Sequence[float], axes: Any) -> None:
    for size in dict.fromkeys(run["jobs"] for run in each):
        costs = [sum(run["cpu_ms"].values()) for run in each if run["jobs"] == size]
        axes.plot([size] * len(costs), costs, "o", label=f"{size:,} jobs")
    largest = max(run["jobs"] for run in each)
    axes.plot(
        [largest * (i + 0.5) / len(along) for i in range(len(along))],
        along,
        "-",
        label=f"along the {largest:,}",
    )
    axes.set_xlabel("jobs")
    axes.set_ylabel("CPU ms a job")
    axes.set_ylim(bottom=0)
    axes.legend()


def run(options: argparse.Namespace) -> None:
    found: list[dict[str, Any]] = []
    along: list[float] = []
    sizes = sorted(options.jobs)
    with orchestra(slots=options.slots) as running:
        for turn in range(options.rounds):
            for count in reversed(sizes) if turn % 2 else sizes:
                writes = nodes(f"n{turn}-{count}", count, options.tenants)
                with _sampling(running) as samples:
                    load = running.load(writes, timeout=60 + count / 20).check()
                cost = {party: load.cpu[party] / count * 1000 for party in PARTIES}
                found.append(
                    {"jobs": count, "rate": load.rate, "cpu_ms": cost, "heat": running.heat.calls()}
                )
                if count == sizes[-1] and not along:
                    along = _along(load, samples)
                settle()
        taken = [name for _, method, _, name in running.heat.asked() if method == "create"]
        assert len(taken) == len(set(taken)), "a stack was asked for twice"
    rows = []
    for size in sizes:
        runs = [each for each in found if each["jobs"] == size]
        totals = [sum(each["cpu_ms"].values()) for each in runs]
        rates = [each["rate"] for each in runs]
        rows.append(
            (
                f"{size:,}",
                f"{median(rates):.0f} [{min(rates):.0f}–{max(rates):.0f}]",
                *(f"{median(each['cpu_ms'][party] for each in runs):.2f}" for party in PARTIES),
                f"{median(totals):.1f} [{min(totals):.1f}–{max(totals):.1f}]",
            )
        )
    title = f"Creates whose stacks complete at once: {options.tenants} tenants, one worker of {options.slots} slots"
    columns = (
        "jobs",
        "jobs/s: median [range]",
        *(f"{party} ms" for party in PARTIES),
        "CPU ms a job: median [range]",
    )
    notes = ["From the first config written to the last state seen; no stack was asked for twice."]
    if len(along) > 1:
        notes.append(
            f"Along the {sizes[-1]:,}, CPU ms a job by tenths: {', '.join(f'{each:.1f}' for each in along)}."
        )
    data = {"runs": found, "along_ms": along}
    BenchResult(
        "throughput", title, columns, rows, notes, data, lambda axes: _show(found, along, axes)
    ).publish(save=options.save)
