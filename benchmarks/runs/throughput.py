"""Independent creates whose stacks complete at once: jobs a second, and what each costs, from small to large."""

from __future__ import annotations

import argparse
from typing import Any

from ..ground import nodes, orchestra, settle
from ..report import Result

PARTIES = ("bridge", "worker", "etcd", "Redis")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 5000, 20000])
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--slots", type=int, default=4)


def run(options: argparse.Namespace) -> None:
    found: list[dict[str, Any]] = []
    with orchestra(slots=options.slots) as running:
        for count in options.jobs:
            load = running.load(nodes(f"n{count}", count, options.tenants), timeout=60 + count / 20).check()
            requests = running.heat.calls()
            cost = {party: load.cpu[party] / count * 1000 for party in PARTIES}
            found.append(
                {"jobs": count, "rate": load.rate, "cpu_ms": cost, "heat": requests, "done": sorted(load.reported.values())}
            )
            settle()
        taken = [name for _, method, _, name in running.heat.asked() if method == "create"]
        assert len(taken) == len(set(taken)), "a stack was asked for twice"
    rows = [
        (
            f"{each['jobs']:,}",
            f"{each['rate']:.0f}",
            *(f"{each['cpu_ms'][party]:.2f}" for party in PARTIES),
            f"{sum(each['cpu_ms'].values()):.1f}",
        )
        for each in found
    ]
    title = f"Creates whose stacks complete at once: {options.tenants} tenants, one worker of {options.slots} slots"
    columns = ("jobs", "jobs/s", *(f"{party} ms" for party in PARTIES), "CPU ms a job")

    def plot(axes: Any) -> None:
        for each in found:
            first = each["done"][0]
            step = max(len(each["done"]) // 400, 1)
            axes.plot([t - first for t in each["done"][::step]], range(0, len(each["done"]), step), label=f"{each['jobs']:,} jobs")
        axes.set_xlabel("seconds since the first state")
        axes.set_ylabel("states written")
        axes.legend()

    kept = [{key: value for key, value in each.items() if key != "done"} for each in found]
    note = "From the first config written to the last state seen; no stack was asked for twice."
    Result("throughput", title, columns, rows, [note], {"runs": kept}, plot).publish(save=options.save)
