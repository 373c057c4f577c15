"""Latency at rest and at half the top rate: config → Heat asked, Heat done → state, hop to a dependent."""

from __future__ import annotations

import argparse
from typing import Any

from ..ground import Ground, Load, node, nodes, orchestra, settle
from ..measuring import percentile
from ..report import Result

QUANTILES = (0.5, 0.95, 0.99)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--changes", type=int, default=300, help="single changes at rest")
    parser.add_argument(
        "--half", type=float, default=0.0, help="jobs/s of the second part (default: half of what is measured first)"
    )
    parser.add_argument("--look", type=float, default=1.0, help="ORCHESTRATOR_HEAT_POLL_INTERVAL")


def name_of(key: str) -> str:
    return f"node_{key.rpartition('/')[2]}"


def asked_after(running: Ground, load: Load) -> list[float]:
    """Seconds from each config to Heat's first request about it."""
    at = {name: when for when, _, _, name in reversed(running.heat.asked())}
    return [at[name_of(key)] - written for key, written in load.written.items()]


def done_after(running: Ground, load: Load, duration: float) -> list[float]:
    """Seconds from the end of Heat's work on each stack to its state."""
    at = {name: when for when, _, _, name in reversed(running.heat.asked())}
    return [when - (at[name_of(key)] + duration) for key, when in load.reported.items()]


def hops(running: Ground, load: Load) -> list[float]:
    """Seconds from a parent's end in Heat, which takes no time here, to its child's request."""
    at = {name: when for when, _, _, name in reversed(running.heat.asked())}
    return [at[f"node_child-{i}"] - at[f"node_parent-{i}"] for i in range(len(load.written) // 2)]


def run(options: argparse.Namespace) -> None:
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {"look_interval": options.look}

    def note(what: str, seconds: list[float]) -> None:
        data[what] = sorted(seconds)
        rows.append((what, f"{len(seconds):,}", *(f"{percentile(seconds, q) * 1000:.0f} ms" for q in QUANTILES)))

    with orchestra(ORCHESTRATOR_HEAT_POLL_INTERVAL=str(options.look)) as running:
        # At rest: one change at a time, far enough apart that each finds nothing under way.
        load = running.load(nodes("rest", options.changes, every=0.1)).check()
        note("at rest: config written → Heat asked", asked_after(running, load))
        note("at rest: config written → state (Heat at once)", [load.reported[k] - at for k, at in load.written.items()])

        pairs: list[list[Any]] = []
        for i in range(options.changes // 2):
            body = {"parent": f"parent-{i}"}
            pairs += [
                [i * 0.2, f"/config/v1/nodes/parent-{i}", node(f"parent-{i}", "t1"), 1],
                [i * 0.2, f"/config/v1/nodes/child-{i}", node(f"child-{i}", "t1", parent_id=body["parent"]), 1],
            ]
        load = running.load(pairs).check()
        note("at rest: parent done → child's request (hop)", hops(running, load))

        # Stacks that take their time, so that looks find their end.
        running.heat.ask("_set", {"duration": 1.7})
        load = running.load(nodes("slow", options.changes, every=0.11)).check()
        note(f"Heat done → state, a look every {options.look:g} s", done_after(running, load, 1.7))
        running.heat.ask("_set", {"duration": 0.0})
        settle()

        half = options.half or running.load(nodes("top", 1500)).check().rate / 2
        settle()
        load = running.load(nodes("half", int(half * 20), every=1 / half)).check()
        note(f"at {half:.0f} jobs/s: config written → Heat asked", asked_after(running, load))
        note(f"at {half:.0f} jobs/s: config written → state", [load.reported[k] - at for k, at in load.written.items()])
    columns = ("from → to", "changes", *(f"p{q * 100:g}" for q in QUANTILES))

    def plot(axes: Any) -> None:
        for what, seconds in data.items():
            if isinstance(seconds, list):
                axes.plot([s * 1000 for s in seconds], [i / len(seconds) for i in range(len(seconds))], label=what)
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds")
        axes.set_ylabel("share of changes")
        axes.legend(fontsize=6)

    Result("latency", "Latency", columns, rows, [], data, plot).publish(save=options.save)
