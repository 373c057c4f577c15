"""Our throughput as a share of a bare Celery chain, a single Celery task and a plain loop with the same calls."""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from ..ground import BenchLoad, Ground, ground, nodes, settle
from ..report import BenchResult

CONTENDERS = {
    "ours": "orchestrator",
    "chain": "Celery chain of three tasks",
    "task": "one Celery task",
    "loop": "plain loop, no Celery",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=4)


def start(running: Ground, contender: str, slots: int) -> BenchLoad:
    """Start a contender and put some jobs through, so that every process is warm."""
    if contender == "ours":
        running.bridge()
        running.worker(slots)
    else:
        if contender != "loop":
            options = [
                "--without-gossip",
                "--without-mingle",
                f"--concurrency={slots}",
                "--hostname=floor@%h",
                "--loglevel=INFO",
            ]
            command = [
                "-m",
                "celery",
                "-A",
                "benchmarks.floor.app",
                "worker",
                "-Q",
                "floor",
                *options,
            ]
            running.start("worker", command, running.environment(), "ready.")
        running.start(
            "sender",
            ["-m", "benchmarks.floor.sender", contender, str(slots)],
            running.environment(),
            "watching",
        )
    return running.load(nodes(f"warm-{contender}-{running.started}", slots * 8), timeout=60).check()


def run(options: argparse.Namespace) -> None:
    loads: dict[str, list[BenchLoad]] = {name: [] for name in CONTENDERS}
    with ground() as running:
        running.push_template()
        for round_ in range(options.rounds):
            # In turn, and each round the other way round: a slow minute of the machine hits all alike.
            order = list(CONTENDERS) if round_ % 2 == 0 else list(CONTENDERS)[::-1]
            for contender in order:
                warm = start(running, contender, options.slots)
                load = running.load(nodes(f"{contender}-{round_}", options.jobs)).check()
                loads[contender].append(load)
                running.stop()
                if contender != "ours":
                    running.forget(key.rpartition("/")[2] for key in (*load.written, *warm.written))
                settle()
    rows, data = [], {}
    for contender, title in CONTENDERS.items():
        rates = [load.rate for load in loads[contender]]
        cpu = (
            median(sum(load.cpu.values()) - load.cpu["Heat"] for load in loads[contender])
            / options.jobs
            * 1000
        )
        shares = [
            ours.rate / load.rate
            for ours, load in zip(loads["ours"], loads[contender], strict=True)
        ]
        share = f"{median(shares):.2f} [{min(shares):.2f}–{max(shares):.2f}]"
        rows.append(
            (title, f"{median(rates):.0f} [{min(rates):.0f}–{max(rates):.0f}]", f"{cpu:.1f}", share)
        )
        data[contender] = {"rates": rates, "cpu_ms": cpu, "share": median(shares)}
    title = f"The same calls with and without us: {options.jobs:,} creates, {options.slots} slots, {options.rounds} rounds in turn"
    notes = [
        "The same calls to Heat (create, show) and to etcd (claim and read, write, write), through the same libraries; the others",
        "compare nothing, remember nothing and lose the job when a process dies. CPU without Heat's.",
        "Share: our rate by theirs in the same round.",
    ]

    def plot(axes: Any) -> None:
        axes.barh(
            [CONTENDERS[name] for name in data][::-1],
            [median(data[name]["rates"]) for name in data][::-1],
            color="tab:blue",
        )
        axes.set_xlabel("jobs a second")

    columns = ("contender", "jobs/s median [range]", "CPU ms a job", "ours as a share of it")
    BenchResult("floor", title, columns, rows, notes, data, plot).publish(save=options.save)
