"""Neighbours: what a tenant that misbehaves costs the others, from their config to their state."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from ..ground import Ground, node, nodes, orchestra
from ..measuring import percentile
from ..report import BenchResult

HOSTILE = "hostile"
QUANTILES = (0.5, 0.95, 0.99)
SLOW = 0.7
"""Seconds that Heat takes for a stack of others that a poll has to find."""

IN_PROGRESS = 40
"""Stacks of the tenant that are in progress when its Heat begins to hang."""

Misdeed = Callable[[Ground], list[list[Any]]]
"""Sets the stage, and answers with what the misbehaving tenant writes besides."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="for which the others write, each time"
    )
    parser.add_argument("--rate", type=float, default=4.0, help="changes of the others in a second")
    parser.add_argument("--slots", type=int, default=2, help="of the one worker")
    parser.add_argument(
        "--flood", type=int, default=5000, help="changes of a tenant that writes all at once"
    )


def written(prefix: str, count: int, **more: Any) -> list[list[Any]]:
    """Nodes of the tenant, all at once; nobody waits for their states."""
    names = [f"{prefix}-{number}" for number in range(count)]
    return [[0.0, f"/config/v1/nodes/{name}", node(name, HOSTILE, **more), 0] for name in names]


def nothing(running: Ground) -> list[list[Any]]:
    return []


def flood(count: int) -> Misdeed:
    def begin(running: Ground) -> list[list[Any]]:
        return written("flood", count)

    return begin


def hanging(methods: str) -> Misdeed:
    """Some of the tenant's stacks are in progress when its Heat begins to hang, and more are wanted."""

    def begin(running: Ground) -> list[list[Any]]:
        running.heat.ask("_set", {"durations": {"node_long": 3600.0, "node_slow": SLOW}})
        running.load(written("long", IN_PROGRESS))
        while (
            sum(name.startswith("node_long") for _, _, _, name in running.heat.asked())
            < IN_PROGRESS
        ):
            time.sleep(0.1)
        running.heat.ask("_set", {"hangs": {HOSTILE: methods}})
        return written("more", 200)

    return begin


def dripping(running: Ground) -> list[list[Any]]:
    """Sixteen of the tenant's targets send a byte every four seconds."""
    running.heat.ask("_set", {"links": {"node_drip": f"{running.heat.url}/drip/"}})
    return written("drip", 16)


def measure(options: argparse.Namespace, begin: Misdeed) -> list[float]:
    """Seconds from config to state of all that the others write."""
    half = int(options.seconds * options.rate / 2)
    with orchestra(slots=options.slots, ORCHESTRATOR_MONITORING_INTERVAL="5") as running:
        running.heat.ask("_set", {"durations": {"node_slow": SLOW}})
        extra = begin(running)
        others = [
            *nodes("plain", half, 5, every=2 / options.rate),
            *nodes("slow", half, 5, every=2 / options.rate),
        ]
        load = running.load(sorted([*extra, *others], key=lambda write: write[0])).check()
        wanted = ("plain", "slow")
        took = [
            load.reported[key] - load.written[key]
            for key in load.reported
            if key.rpartition("/")[2].startswith(wanted)
        ]
    return sorted(took)


def run(options: argparse.Namespace) -> None:
    cases: dict[str, Misdeed] = {
        "nobody misbehaves": nothing,
        "its Heat hangs on its list": hanging("GET"),
        "its Heat hangs on every request": hanging("GET POST PUT DELETE"),
        "its Heat hangs on creates": hanging("POST"),
        "16 monitoring targets drip": dripping,
        f"it writes {options.flood:,} at once": flood(options.flood),
    }
    data: dict[str, list[float]] = {}
    rows: list[tuple[str, ...]] = []
    for what, begin in cases.items():
        took = data[what] = measure(options, begin)
        rows.append(
            (
                what,
                f"{len(took):,}",
                *(f"{percentile(took, q) * 1000:.0f} ms" for q in QUANTILES),
                f"{took[-1]:.1f} s",
            )
        )
        print(json.dumps(rows[-1]), flush=True)
    columns = (
        "one tenant misbehaves: the others' config → state",
        "changes",
        *(f"p{q * 100:g}" for q in QUANTILES),
        "max",
    )
    notes = [
        f"One worker of {options.slots} slots. Five others write {options.rate:g} changes/s for {options.seconds:g} s; "
        f"Heat takes {SLOW:g} s for half of them, whose end is found by a poll."
    ]
    BenchResult("neighbours", "Neighbours", columns, rows, notes, data).publish(save=options.save)
