"""What a historian costs: the same creates with and without one, in turn.

On a machine whose cores are all busy the historian takes time from everybody, so jobs a second say how small the
machine is. Whether it costs the way of a job anything is said by the CPU time that bridge, workers, etcd and Redis
spend on a job: the historian reads the same watch of etcd as they do, and nobody waits for it.
"""

from __future__ import annotations

import argparse
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from orchestrator.metrics.shapes import Metric
from orchestrator.sandbox.processes import free_port
from prometheus_client.parser import text_string_to_metric_families

from ..ground import Ground, nodes, orchestra, settle
from ..report import BenchResult

PATH = ("bridge", "worker", "etcd", "Redis")
"""The parties on the way of a job."""
CAUGHT_UP = 120.0
"""Seconds within which the historian has written all."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=4, help="each once without and once with")
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--slots", type=int, default=4)


@contextmanager
def _historian(running: Ground) -> Iterator[int]:
    """A historian that has caught up, with a database that grows from round to round. Its port is given."""
    port = free_port()
    environment = {
        **running.environment(),
        "ORCHESTRATOR_HISTORY_DATABASE": str(running.folder / "history.sqlite"),
        "ORCHESTRATOR_HISTORIAN_METRICS_PORT": str(port),
    }
    code = "from orchestrator.cli import main; main()"
    running.start("historian", ["-c", code, "historian"], environment, "Historian follows etcd")
    _await_all_written(port)
    try:
        yield port
    finally:
        running.stop("historian")


def _sample(port: int, metric: Metric) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == metric.value.shown:
                return float(sample.value)
    raise LookupError(metric.value.shown)


def _await_all_written(port: int) -> float:
    """Seconds until the database has all that etcd has told."""
    begun = time.monotonic()
    quiet = 0
    while quiet < 5:
        behind = _sample(port, Metric.HISTORIAN_BEHIND) or _sample(
            port, Metric.HISTORIAN_ROWS_BEHIND
        )
        quiet = 0 if behind else quiet + 1
        if time.monotonic() - begun > CAUGHT_UP:
            raise RuntimeError(f"the historian is still {behind:.0f} behind")
        time.sleep(0.2)
    return max(time.monotonic() - begun - 1.0, 0.0)


def _measured(running: Ground, name: str, options: argparse.Namespace) -> dict[str, Any]:
    writes = nodes(name, options.jobs, options.tenants)
    load = running.load(writes, timeout=60 + options.jobs / 20).check()
    cost = {party: load.cpu[party] / options.jobs * 1000 for party in PATH}
    return {"rate": load.rate, "cpu_ms": cost, "path_ms": sum(cost.values())}


def _with(running: Ground, name: str, options: argparse.Namespace) -> dict[str, Any]:
    with _historian(running) as port:
        rows, spent = _sample(port, Metric.HISTORIAN_ROWS), running.spent()["historian"]
        found = _measured(running, name, options)
        found["behind_s"] = _await_all_written(port)
        spent = running.spent()["historian"] - spent
        rows = _sample(port, Metric.HISTORIAN_ROWS) - rows
    return {**found, "historian_ms": spent / options.jobs * 1000, "rows": rows / options.jobs}


def run(options: argparse.Namespace) -> None:
    without: list[dict[str, Any]] = []
    with_one: list[dict[str, Any]] = []
    with orchestra(slots=options.slots) as running:
        for turn in range(options.rounds):
            # The order changes, so that whoever comes second has no advantage.
            for kept in (False, True) if turn % 2 else (True, False):
                name = f"{'with' if kept else 'without'}{turn}"
                if kept:
                    with_one.append(_with(running, name, options))
                else:
                    without.append(_measured(running, name, options))
                settle()
    _publish(options, without, with_one)


def _row(title: str, found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    own = [each.get("historian_ms", 0.0) for each in found]
    costs = [each["path_ms"] for each in found]
    return (
        title,
        f"{median(each['rate'] for each in found):.0f}",
        *(f"{median(each['cpu_ms'][party] for each in found):.2f}" for party in PATH),
        f"{median(costs):.2f} [{min(costs):.2f}–{max(costs):.2f}]",
        f"{median(own):.2f}" if any(own) else "-",
    )


def _publish(
    options: argparse.Namespace, without: list[dict[str, Any]], with_one: list[dict[str, Any]]
) -> None:
    change = median(each["path_ms"] for each in with_one) / median(
        each["path_ms"] for each in without
    )
    columns = (
        "historian",
        "jobs/s",
        *(f"{party} ms" for party in PATH),
        "path: CPU ms a job",
        "historian ms",
    )
    notes = [
        f"The path of a job costs {change:.3f} times as much with a historian as without one.",
        f"The historian writes {median(each['rows'] for each in with_one):.1f} rows a job into SQLite, and had all of them "
        f"{median(each['behind_s'] for each in with_one):.1f} s after the last state.",
        "Jobs a second fall because the historian shares the cores of this machine with all the others.",
    ]
    BenchResult(
        "historian",
        f"{options.jobs:,} creates with and without a historian, in turn, {options.rounds} times",
        columns,
        [_row("none", without), _row("one", with_one)],
        notes,
        {"without": without, "with": with_one},
    ).publish(save=options.save)
