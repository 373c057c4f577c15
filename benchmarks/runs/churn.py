"""Memory over a long time of creates, updates and deletions: what is over must leave nothing behind."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..ground import nodes, orchestra
from ..measuring import memory_mib
from ..report import BenchResult


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--resources", type=int, default=200, help="alive at a time, and written anew in each round"
    )


def run(options: argparse.Namespace) -> None:
    seen: list[dict[str, float]] = []
    jobs = 0
    with orchestra() as running:
        parties = {
            "bridge": running.parties["bridge"][0].pid,
            "worker": running.parties["worker"][0].pid,
            "Redis": running.redis.process.pid,
        }
        began, round_ = time.time(), 0
        while time.time() - began < options.minutes * 60:
            prefix = f"r{round_}"
            running.load(nodes(prefix, options.resources)).check()
            running.load(nodes(prefix, options.resources, version=2)).check()
            gone = [[0, key, None, None] for _, key, _, _ in nodes(prefix, options.resources)]
            running.load(gone).check()
            jobs += 3 * options.resources
            round_ += 1
            # History is what grows in etcd; an operator's etcd compacts it by itself.
            running.compact()
            seen.append(
                {
                    "at": time.time() - began,
                    "jobs": jobs,
                    **{name: memory_mib(pid) for name, pid in parties.items()},
                    "etcd_db": running.etcd_metric("etcd_mvcc_db_total_size_in_use_in_bytes")
                    / 2**20,
                }
            )
        left = running.keys_left()
    names = (*parties, "etcd_db")
    warm = next((s for s in seen if s["at"] > options.minutes * 6), seen[0])
    rows = [
        (
            name,
            f"{seen[0][name]:.0f}",
            f"{warm[name]:.0f}",
            f"{seen[-1][name]:.0f}",
            f"{seen[-1][name] - warm[name]:+.1f}",
        )
        for name in names
    ]
    title = f"{options.minutes:g} minutes of creates, updates and deletions: {jobs:,} jobs"
    notes = [
        f"Keys left in etcd besides configs, templates and the leader's: {left}. Compacted after each round, never defragmented."
    ]

    def plot(axes: Any) -> None:
        for name in names:
            axes.plot([s["at"] / 60 for s in seen], [s[name] for s in seen], label=name)
        axes.set_xlabel("minutes")
        axes.set_ylabel("MiB")
        axes.set_ylim(bottom=0)
        axes.legend()

    columns = (
        "MiB of",
        "after the first round",
        "after a tenth of the time",
        "at the end",
        "growth since the tenth",
    )
    BenchResult(
        "churn", title, columns, rows, notes, {"samples": seen, "left": left}, plot
    ).publish(save=options.save)
