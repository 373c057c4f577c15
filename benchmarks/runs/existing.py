"""What exists: how a bridge starts, takes over, reacts and rests when 100,000 resources are built already."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

from orchestrator.sandbox.processes import Process

from .. import filling, traffic
from ..ground import Ground, ground, settle
from ..measuring import cpu_seconds, memory_mib, peak_mib, percentile
from ..report import BenchResult

_FEW = 10
"""Resources of the other system, which the large one's latency is compared with."""
_CHANGES, _EVERY, _PARTS = 40, 0.25, 4
"""Single changes for the latency, seconds between them, and in how many parts the two systems alternate."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resources", type=int, default=100_000, help="built resources in etcd")
    parser.add_argument(
        "--rest", type=float, default=30.0, help="seconds for which the traffic at rest is counted"
    )


class Site:
    """One system with resources that are long built. Bridges come and go, the worker stays."""

    def __init__(self, running: Ground, count: int) -> None:
        self.ground, self.count = running, count
        self._next = itertools.count(0, 7)
        self._versions: dict[int, int] = {}
        running.worker_alone()
        self.bytes = filling.fill(running.etcd.endpoint, count)

    def changes(self, count: int, every: float = 0.0) -> list[list[Any]]:
        """The next versions of resources, each of another one as far as they go; their stacks are there."""
        writes: list[list[Any]] = []
        for i in range(count):
            number = next(self._next) % self.count
            if number not in self._versions:
                body = json.loads(json.loads(filling.config(number))["body"])
                self.ground.heat.ask(
                    f"v1/{body['tenant_id']}/stacks", {"stack_name": f"node_{body['id']}"}
                )
            version = self._versions[number] = self._versions.get(number, 1) + 1
            writes.append(
                [i * every, filling.key(number), filling.config(number, version), version]
            )
        return writes

    def reactions(self, count: int, every: float = 0.0) -> list[float]:
        """Seconds from each change to its request to Heat."""
        loaded = self.ground.load(self.changes(count, every), timeout=120).check()
        asked = {name: at for at, _, _, name in self.ground.heat.asked()}
        return [asked["node_" + key.rpartition("/")[2]] - at for key, at in loaded.written.items()]


def _events(bridge: Process, event: str) -> list[dict[str, Any]]:
    lines = bridge.log.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if f'"event": "{event}"' in line]


def _await(bridge: Process, event: str, timeout: float = 300.0) -> float:
    """When the bridge first told of the event."""
    bridge.wait_until(lambda: bool(_events(bridge, event)), timeout=timeout, what=event)
    return datetime.fromisoformat(_events(bridge, event)[0]["time"]).timestamp()


def _start(site: Site, changed: int) -> tuple[Process, dict[str, float]]:
    """Start a bridge after some resources were changed while none ran; it stays."""
    running = site.ground
    # Written by the generator as any other change, but not waited for: nobody would report them.
    waiting = site.changes(changed)
    running.load([[*write[:3], 0] for write in waiting])
    puts = traffic.etcd(running)["puts"]
    load_before, started = os.getloadavg()[0], time.time()
    bridge = running.bridge()
    begun = _await(bridge, "term_begun")
    cpu = cpu_seconds(bridge.pid)
    made = traffic.etcd(running)["puts"] - puts
    probe = running.load(site.changes(1), timeout=300).check()
    first = max(probe.reported.values())
    names = {json.loads(json.loads(write[2])["body"])["id"] for write in waiting}
    bridge.wait_until(
        lambda: len(_events(bridge, "job_made")) >= changed + 1, timeout=300, what="all jobs made"
    )
    _await_states(running, {f"node_{name}" for name in names}, started)
    settle(2)
    if (jobs := len(_events(bridge, "job_made"))) != changed + 1:
        raise RuntimeError(f"{jobs} jobs were made of {changed} changes and the probe")
    if changed == 0 and made > 1:
        raise RuntimeError(f"{made} keys were written before anything had changed")
    asked = [at for at, _, _, name in running.heat.asked() if at >= started]
    return bridge, {
        "changed": changed,
        "led_after": begun - started,
        "cpu": cpu,
        "first_state_after": first - started,
        "all_asked_after": max(asked) - started,
        "cpu_all": cpu_seconds(bridge.pid),
        "peak_mib": peak_mib(bridge.pid),
        "rest_mib": memory_mib(bridge.pid),
        "load": load_before,
    }


def _await_states(running: Ground, stacks: set[str], since: float) -> None:
    """Until Heat was asked for all of these."""
    end = time.monotonic() + 300
    while stacks - {name for at, _, _, name in running.heat.asked() if at >= since}:
        if time.monotonic() > end:
            raise RuntimeError("Heat was not asked for every change")
        time.sleep(0.2)


def _rest(running: Ground, seconds: float) -> dict[str, Any]:
    before, spent = (traffic.etcd(running), traffic.redis(running)), running.spent()
    time.sleep(seconds)  # being at rest is what is measured
    after, now = (traffic.etcd(running), traffic.redis(running)), running.spent()
    return {
        "etcd": traffic.since(after[0], before[0]),
        "redis": traffic.since(after[1], before[1]),
        "cpu": {party: now[party] - spent[party] for party in now},
    }


def _take_over(site: Site, leader: Process) -> dict[str, float]:
    """Kill the leader, and write a change at that moment."""
    standby = site.ground.bridge()
    _await(standby, "standing_by")
    write = site.changes(1)
    leader.kill()
    killed = time.time()
    site.ground.load(write, timeout=300).check()
    asked = max(at for at, _, _, _ in site.ground.heat.asked())
    led = _await(standby, "leading")
    return {
        "leads_after": led - killed,
        "listed_after": _await(standby, "term_begun") - led,
        "asked_after": asked - led,
        "in_all": asked - killed,
    }


@contextmanager
def _sites(counts: Sequence[int]) -> Iterator[list[Site]]:
    with ExitStack() as stack:
        yield [
            Site(stack.enter_context(ground(ORCHESTRATOR_LOG_FORMAT="json")), count)
            for count in counts
        ]


def run(options: argparse.Namespace) -> None:
    count = options.resources
    with _sites((count, _FEW)) as (large, small):
        print(f"{count} resources, {large.bytes / 2**20:.0f} MiB of values")
        starts = []
        for changed in (0, 1, max(count // 100, 1)):
            large.ground.stop("bridge")
            leader, measured = _start(large, changed)
            starts.append(measured)
        small.ground.bridge()
        small.reactions(4)
        latency: dict[int, list[float]] = {count: [], _FEW: []}
        for _ in range(_PARTS):
            for site in (small, large):
                latency[site.count] += site.reactions(_CHANGES // _PARTS, _EVERY)
        small.ground.stop("bridge", "worker")
        settle(3)
        rest = _rest(large.ground, options.rest)
        takeover = _take_over(large, leader)
    _publish(options, starts, latency, rest, takeover)


def _publish(
    options: argparse.Namespace,
    starts: list[dict[str, float]],
    latency: dict[int, list[float]],
    rest: dict[str, Any],
    takeover: dict[str, float],
) -> None:
    count = options.resources
    rows = [
        (
            f"start, {s['changed']:,.0f} changed meanwhile",
            f"leads, all listed: {s['led_after']:.1f} s ({s['cpu']:.1f} s CPU); "
            f"first change reported: {s['first_state_after']:.1f} s; all asked of Heat: {s['all_asked_after']:.1f} s; "
            f"{s['peak_mib']:.0f} MiB at most, {s['rest_mib']:.0f} after",
        )
        for s in starts
    ]
    rows.append(
        (
            "takeover, leader killed",
            f"{takeover['in_all']:.1f} s to Heat asked, of which the lease {takeover['leads_after']:.1f} s, "
            f"listing {takeover['listed_after']:.1f} s",
        )
    )
    for size, seconds in latency.items():
        shown = " / ".join(
            f"{percentile(seconds, share) * 1000:.0f}" for share in (0.5, 0.95, 0.99)
        )
        rows.append(
            (
                f"one change among {size:,} → Heat asked",
                f"{shown} ms (p50 / p95 / p99 of {len(seconds)})",
            )
        )
    rows.append((f"etcd in {options.rest:.0f} s at rest", traffic.told(rest["etcd"])))
    rows.append((f"Redis in {options.rest:.0f} s at rest", traffic.told(rest["redis"])))
    rows.append(
        (
            f"CPU in {options.rest:.0f} s at rest",
            ", ".join(f"{name} {s:.2f} s" for name, s in rest["cpu"].items()),
        )
    )

    def plot(axes: Any) -> None:
        for size, seconds in latency.items():
            axes.step(
                [s * 1000 for s in sorted(seconds)],
                [(i + 1) / len(seconds) for i in range(len(seconds))],
                label=f"{size:,}",
            )
        axes.set_xlabel("ms from the config written to Heat asked")
        axes.set_ylabel("share of the changes")
        axes.legend(title="resources")

    BenchResult(
        "existing",
        f"What exists: {count:,} built resources",
        ("measured", "value"),
        rows,
        notes=[
            "Bodies of about 500 bytes, 20 tenants, a third with a parent; every record as the system itself leaves it.",
            "Time of a start includes that of the process; its CPU is until everything is listed.",
            "The last start is the one whose bridge then reacts and rests; load average before the starts: "
            + ", ".join(f"{s['load']:.1f}" for s in starts),
        ],
        data={
            "resources": count,
            "starts": starts,
            "takeover": takeover,
            "rest": rest,
            "latency": {str(size): seconds for size, seconds in latency.items()},
        },
        plot=plot,
    ).publish(save=options.save)
