"""Scale-out: the same load on one, two and four workers, and what saturates first."""

from __future__ import annotations

import argparse
from typing import Any

from ..ground import nodes, orchestra
from ..report import BenchResult

PARTIES = ("bridge", "worker", "etcd", "Redis")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument(
        "--latency",
        type=float,
        nargs="+",
        default=[0.0, 0.2],
        help="seconds that Heat takes to answer a create",
    )


def run(options: argparse.Namespace) -> None:
    rows: list[tuple[str, ...]] = []
    data: list[dict[str, Any]] = []
    for latency in options.latency:
        for workers in options.workers:
            with orchestra(workers=workers, slots=options.slots) as running:
                running.heat.ask("_set", {"latency": latency})
                before, redis = etcd_counts(running), redis_counts(running)
                load = running.load(nodes("n", options.jobs, 20)).check()
                after, redis_after = etcd_counts(running), redis_counts(running)
            cost = {party: load.cpu[party] / options.jobs * 1000 for party in PARTIES}
            per_job = {name: (after[name] - before[name]) / options.jobs for name in after}
            commands = (redis_after - redis) / options.jobs
            rows.append(
                (
                    f"{latency * 1000:g} ms",
                    str(workers),
                    f"{load.rate:.0f}",
                    *(f"{cost[party]:.2f}" for party in PARTIES),
                    f"{per_job['etcd_disk_wal_fsync_duration_seconds_count']:.1f}",
                    f"{per_job['etcd_network_client_grpc_received_bytes_total'] / 1024:.1f} / "
                    f"{per_job['etcd_network_client_grpc_sent_bytes_total'] / 1024:.1f}",
                    f"{commands:.1f}",
                )
            )
            data.append(
                {
                    "latency": latency,
                    "workers": workers,
                    "rate": load.rate,
                    "cpu_ms": cost,
                    "etcd": per_job,
                    "redis_commands": commands,
                }
            )
    columns = (
        "Heat answers in",
        "workers",
        "jobs/s",
        *(f"{party} ms" for party in PARTIES),
        "etcd fsyncs a job",
        "kB to / from etcd",
        "Redis commands a job",
    )

    def plot(axes: Any) -> None:
        for latency in options.latency:
            points = [
                (each["workers"], each["rate"]) for each in data if each["latency"] == latency
            ]
            axes.plot(
                *zip(*points, strict=True),
                marker="o",
                label=f"Heat answers in {latency * 1000:g} ms",
            )
        axes.set_xlabel(f"workers of {options.slots} slots")
        axes.set_ylabel("jobs a second")
        axes.set_ylim(bottom=0)
        axes.legend()

    title = f"Scale-out on one machine of two cores: {options.jobs:,} creates, 20 tenants"
    BenchResult("scaling", title, columns, rows, [], {"runs": data}, plot).publish(
        save=options.save
    )


def etcd_counts(running: Any) -> dict[str, float]:
    """Counters of etcd's own."""
    wanted = (
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_network_client_grpc_sent_bytes_total",
    )
    return {name: running.etcd_metric(name) for name in wanted}


def redis_counts(running: Any) -> float:
    """Commands that Redis has carried out."""
    return float(running.redis_info()["total_commands_processed"])
