"""Stacks that take their time in Heat, all in flight at once through one worker of few slots."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..ground import Ground, nodes, orchestra
from ..measuring import memory_mib, percentile
from ..report import BenchResult


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stacks", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each takes in Heat")
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--poll", type=float, default=1.0, help="ORCHESTRATOR_HEAT_POLL_INTERVAL")


@contextmanager
def watched(running: Ground) -> Iterator[list[dict[str, Any]]]:
    """Memory in MiB and Heat's calls, twice a second, while the block lasts."""
    seen: list[dict[str, Any]] = []
    over = threading.Event()
    pids = {
        party: [process.pid for process in processes]
        for party, processes in running.parties.items()
    }
    pids["Redis"] = [running.redis.process.pid]

    def sample() -> None:
        while not over.wait(0.5):
            memory = {
                party: sum(memory_mib(pid) for pid in listed) for party, listed in pids.items()
            }
            seen.append({"at": time.time(), "memory": memory, "calls": running.heat.calls()})

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def run(options: argparse.Namespace) -> None:
    settings: dict[str, Any] = {"ORCHESTRATOR_HEAT_POLL_INTERVAL": str(options.poll)}
    with (
        orchestra(slots=options.slots, duration=options.seconds, **settings) as running,
        watched(running) as seen,
    ):
        # Where memory stands before; what the processes grow by is what the stacks in flight cost.
        time.sleep(2.0)
        load = running.load(
            nodes("slow", options.stacks, options.tenants),
            timeout=options.seconds * 2 + 120 + options.stacks / 10,
        ).check()
        asked = {name: when for when, _, _, name in reversed(running.heat.asked())}
    began = min(load.written.values())
    names = {key: f"node_{key.rpartition('/')[2]}" for key in load.reported}
    lags = [when - asked[names[key]] - options.seconds for key, when in load.reported.items()]
    requested = [asked[name] - began for name in names.values()]
    last = max(requested)
    # Between the last request and the first end nothing happens but waiting.
    still = [
        s for s in seen if began + last + 1 < s["at"] < began + min(requested) + options.seconds - 1
    ]
    waiting = _rates(still)
    grown = {
        party: max(s["memory"][party] for s in seen) - seen[2]["memory"][party]
        for party in seen[0]["memory"]
    }
    ideal = last + options.seconds
    in_flight = max(
        sum(asked[name] <= s["at"] < asked[name] + options.seconds for name in names.values())
        for s in seen[:: max(len(seen) // 50, 1)]
    )
    rows = [
        ("all reported after", f"{load.seconds:.1f} s"),
        (
            "Heat was asked for the last after",
            f"{last:.1f} s: {options.stacks / last:.0f} a second",
        ),
        (
            f"ideal: the last request and {options.seconds:g} s",
            f"{ideal:.1f} s; we took {load.seconds / ideal - 1:+.1%}",
        ),
        ("most in flight at once, as Heat saw it", f"{in_flight:,}"),
        (
            "Heat done → state written p50 / p95 / p99",
            " / ".join(f"{percentile(lags, q):.2f} s" for q in (0.5, 0.95, 0.99)),
        ),
        (
            "requests to Heat a second while waiting",
            f"{waiting:.1f}" if waiting is not None else "(nobody only waited)",
        ),
        (
            "memory per stack in flight: worker, bridge, Redis",
            ", ".join(
                f"{grown[p] * 1024 / options.stacks:.1f} kB" for p in ("worker", "bridge", "Redis")
            ),
        ),
        (
            "CPU per stack: worker, bridge",
            f"{load.cpu['worker'] / options.stacks * 1000:.1f} ms, {load.cpu['bridge'] / options.stacks * 1000:.1f} ms",
        ),
    ]
    title = (
        f"{options.stacks:,} stacks of {options.seconds:g} s over {options.tenants} tenants, "
        f"one worker of {options.slots} slots"
    )
    data = {
        "seconds": load.seconds,
        "ideal": ideal,
        "last_request": last,
        "in_flight": in_flight,
        "waiting_requests": waiting,
        "lag": {q: percentile(lags, q) for q in (0.5, 0.95, 0.99)},
        "grown_mib": grown,
    }

    def plot(axes: Any) -> None:
        done = sorted(when - began for when in load.reported.values())
        counts = range(1, len(done) + 1)
        axes.plot(sorted(requested), counts, label="Heat was asked")
        axes.plot(
            sorted(at + options.seconds for at in requested),
            counts,
            label="Heat was done",
            linestyle="--",
        )
        axes.plot(done, counts, label="state written")
        axes.set_xlabel("seconds since the first config")
        axes.set_ylabel("stacks")
        axes.legend()

    BenchResult("waiting", title, ("measured", "value"), rows, [], data, plot).publish(
        save=options.save
    )


def _rates(samples: list[dict[str, Any]]) -> float | None:
    """Requests to Heat a second between the first and the last sample."""
    if len(samples) < 3:
        return None
    first, last = samples[0], samples[-1]
    # Our own questions about its calls are not counted by Heat.
    calls: int = sum(last["calls"].values()) - sum(first["calls"].values())
    return calls / float(last["at"] - first["at"])
