"""Latency at rest and at half the top rate: config → Heat asked, Heat done → state, hop to a dependent."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from ..ground import BenchLoad, node, nodes, orchestra, settle
from ..measuring import percentile
from ..report import BenchResult

QUANTILES = (0.5, 0.95, 0.99)
SLOW = 1.7
"""Seconds that Heat takes for a stack that takes its time, so that a poll finds its end."""
LOADED = 20
"""Seconds at half the top rate."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--changes", type=int, default=300, help="single changes at rest")
    parser.add_argument(
        "--half",
        type=float,
        default=0.0,
        help="jobs/s of the second part (default: half of what is measured first)",
    )
    parser.add_argument("--poll", type=float, default=1.0, help="ORCHESTRATOR_HEAT_POLL_INTERVAL")


def name_of(key: str) -> str:
    return f"node_{key.rpartition('/')[2]}"


@dataclass(frozen=True)
class SeenJobs:
    """What the generator and Heat saw of one load, by names of nodes; seconds."""

    load: BenchLoad
    asked: dict[str, float]

    def of(self, *kinds: str) -> list[str]:
        """The state keys of nodes whose names begin so."""
        return [key for key in self.load.written if key.rpartition("/")[2].split("-")[0] in kinds]

    def to_heat(self, *kinds: str) -> list[float]:
        """From each config to Heat's first request about it."""
        return [self.asked[name_of(key)] - self.load.written[key] for key in self.of(*kinds)]

    def to_state(self, *kinds: str) -> list[float]:
        """From each config to its state."""
        return [self.load.reported[key] - self.load.written[key] for key in self.of(*kinds)]

    def from_heat(self, kind: str, duration: float) -> list[float]:
        """From the end of Heat's work on each stack to its state."""
        return [
            self.load.reported[key] - self.asked[name_of(key)] - duration for key in self.of(kind)
        ]

    def hops(self) -> list[float]:
        """From a parent's end in Heat, which takes no time here, to its child's request."""
        children = [name_of(key) for key in self.of("child")]
        return [
            self.asked[child] - self.asked[child.replace("child", "parent")] for child in children
        ]


def families(when: str, count: int, every: float) -> list[list[Any]]:
    """Parents and their children, written at the same time."""
    writes = []
    for at, key, _, version in nodes(f"parent-{when}", count, every=every):
        parent = key.rpartition("/")[2]
        child = parent.replace("parent", "child")
        writes.append([at, key, node(parent, "t1"), version])
        writes.append(
            [at, key.replace("parent", "child"), node(child, "t1", parent_id=parent), version]
        )
    return writes


def run(options: argparse.Namespace) -> None:
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {"poll_interval": options.poll}

    def note(what: str, seconds: list[float]) -> None:
        data[what] = sorted(seconds)
        rows.append(
            (
                what,
                f"{len(seconds):,}",
                *(f"{percentile(seconds, q) * 1000:.0f} ms" for q in QUANTILES),
            )
        )

    def measure(writes: list[list[Any]]) -> SeenJobs:
        load = running.load(sorted(writes, key=lambda write: write[0])).check()
        return SeenJobs(load, {name: when for when, _, _, name in reversed(running.heat.asked())})

    poll = f"a poll every {options.poll:g} s"
    with orchestra(ORCHESTRATOR_HEAT_POLL_INTERVAL=str(options.poll)) as running:
        running.heat.ask("_set", {"durations": {"node_slow": SLOW}})
        # At rest: one change at a time, far enough apart that each finds nothing under way.
        seen = measure(nodes("plain-rest", options.changes, every=0.1))
        note("at rest: config written → Heat asked", seen.to_heat("plain"))
        note("at rest: config written → state (Heat at once)", seen.to_state("plain"))
        note(
            "at rest: parent done → child's request (hop)",
            measure(families("rest", options.changes // 2, 0.2)).hops(),
        )
        note(
            f"at rest: Heat done → state, {poll}",
            measure(nodes("slow-rest", options.changes, every=0.1)).from_heat("slow", SLOW),
        )
        settle()
        half = options.half or running.load(nodes("top", 3000)).check().rate / 2
        settle()

        def tenths(number: int) -> dict[str, Any]:
            """So many tenths of half the top rate."""
            rate = half * number / 10
            return {"count": int(rate * LOADED), "every": 1 / rate}

        # Of ten jobs, one takes its time, and two are a parent and its child.
        seen = measure(
            [
                *nodes("plain-half", **tenths(7)),
                *nodes("slow-half", **tenths(1)),
                *families("half", **tenths(1)),
            ]
        )
        loaded = f"at {half:.0f} jobs/s"
        note(f"{loaded}: config written → Heat asked", seen.to_heat("plain", "parent"))
        note(f"{loaded}: config written → state (Heat at once)", seen.to_state("plain", "parent"))
        note(f"{loaded}: parent done → child's request (hop)", seen.hops())
        note(f"{loaded}: Heat done → state, {poll}", seen.from_heat("slow", SLOW))
    columns = ("from → to", "changes", *(f"p{q * 100:g}" for q in QUANTILES))

    def plot(axes: Any) -> None:
        for what, seconds in data.items():
            if isinstance(seconds, list):
                axes.plot(
                    [s * 1000 for s in seconds],
                    [i / len(seconds) for i in range(len(seconds))],
                    label=what,
                )
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds")
        axes.set_ylabel("share of changes")
        axes.legend(fontsize=6)

    BenchResult("latency", "Latency", columns, rows, [], data, plot).publish(save=options.save)
