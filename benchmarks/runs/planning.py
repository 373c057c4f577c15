"""Planning: how long `orchestrator plan` takes among 10,000 resources, at rest and under load."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import filling, traffic
from ..ground import Ground, ground, nodes, settle
from ..measuring import percentile
from ..report import BenchResult

_CHANGED = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resources", type=int, default=10_000, help="built resources in etcd")
    parser.add_argument("--plans", type=int, default=10, help="plans at rest, and under load")
    parser.add_argument("--rate", type=float, default=60.0, help="new resources a second as load")


def _documents(running: Ground, count: int) -> Path:
    """A file that changes ten of the resources."""
    step = count // _CHANGED
    bodies = [
        json.loads(json.loads(filling.config(number, 2))["body"])
        for number in range(0, count, step)
    ]
    documents = [{"type": "node", "id": body["id"], "body": body} for body in bodies]
    file = running.folder / "changes.json"
    file.write_text(json.dumps(documents[:_CHANGED]))
    return file


def _plan(running: Ground, file: Path) -> float:
    """Seconds of one plan, the start of the process included."""
    code = "from orchestrator.cli import main; main()"
    command = ["plan", "-f", str(file), "--no-validate", "-o", "json"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        env={**os.environ, **running.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - started
    summary = json.loads(done.stdout)["summary"]
    if summary != {"update": _CHANGED}:
        raise RuntimeError(f"the plan is another one: {summary}")
    return seconds


def _under_load(running: Ground, rate: float, measure: Callable[[], None]) -> float:
    """Measure while new resources are written; returns the jobs that ended in a second."""
    stop, ended = threading.Event(), []

    def load() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            writes = nodes(f"load-{turn}", int(rate * 5), every=1 / rate)
            ended.append(running.load(writes).check().rate)

    thread = threading.Thread(target=load)
    thread.start()
    settle(3)
    try:
        measure()
    finally:
        stop.set()
        thread.join()
    return sum(ended) / len(ended)


def run(options: argparse.Namespace) -> None:
    with ground() as running:
        running.worker_alone()
        filling.fill(running.etcd.endpoint, options.resources)
        running.bridge()
        running.load(nodes("first", 1), timeout=120).check()
        file = _documents(running, options.resources)
        settle(2)
        _plan(running, file)
        puts = traffic.etcd(running)["puts"]
        rest = [_plan(running, file) for _ in range(options.plans)]
        written = traffic.etcd(running)["puts"] - puts
        loaded: list[float] = []

        def measure() -> None:
            loaded.extend(_plan(running, file) for _ in range(options.plans))

        rate = _under_load(running, options.rate, measure)
    if written:
        raise RuntimeError(f"{written} keys were written while plans were made")
    rows = [
        (what, *(f"{percentile(seconds, share):.2f} s" for share in (0.5, 0.95)))
        for what, seconds in (("at rest", rest), (f"beside {rate:.0f} jobs/s", loaded))
    ]
    BenchResult(
        "planning",
        f"A plan that changes {_CHANGED} of {options.resources:,} resources",
        ("when", "p50", "p95"),
        rows,
        notes=[
            "Seconds of the command, the start of its process included.",
            f"{options.plans} plans each; no key was written while those at rest were made.",
        ],
        data={"rest": rest, "loaded": loaded, "rate": rate, "resources": options.resources},
    ).publish(save=options.save)
