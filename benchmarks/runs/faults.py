"""What a fault costs: until a change reaches Heat when the leader is killed or stopped, Redis flushed, etcd restarted."""

from __future__ import annotations

import argparse
import base64
import json
import threading
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import redis
from orchestrator.sandbox.processes import Process

from ..ground import Ground, nodes, orchestra, settle
from ..report import BenchResult


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lease", type=int, default=10, help="ORCHESTRATOR_LEASE_TTL")
    parser.add_argument(
        "--burst", type=int, default=2000, help="jobs under way when Redis loses everything"
    )


def leader(running: Ground) -> Process:
    """The process of the bridge that leads."""
    key = base64.b64encode(b"/esi-worker/orchestrator/leader").decode()
    found = running.ask_etcd("kv/range", {"key": key})["kvs"]
    pid = json.loads(base64.b64decode(found[0]["value"]))["pid"]
    return next(process for process in running.parties["bridge"] if process.pid == pid)


def stands_by(bridge: Process) -> bool:
    return "standing by" in bridge.log_tail(50)


def one_change(running: Ground, name: str) -> float:
    """Seconds from a config to Heat's request."""
    load = running.load(nodes(name, 1), timeout=120).check()
    return _asked(running, f"node_{name}-0") - min(load.written.values())


def _asked(running: Ground, name: str) -> float:
    return next(when for when, _, _, stack in running.heat.asked() if stack == name)


def run(options: argparse.Namespace) -> None:
    found: dict[str, list[float]] = {}

    def takeover(running: Ground, what: str, end: Callable[[Process], object]) -> None:
        for round_ in range(options.rounds):
            standby = running.bridge()
            standby.wait_until(partial(stands_by, standby), 30, "standing by")
            old = leader(running)
            threading.Thread(target=end, args=(old,)).start()
            found.setdefault(what, []).append(one_change(running, f"{what.split()[0]}-{round_}"))
            running.parties["bridge"].remove(old)

    def burst(running: Ground, name: str, *, flush: bool) -> float:
        def lose() -> None:
            with redis.Redis(port=running.redis.port) as client:
                client.flushall()

        timers = [threading.Timer(1.0 + 0.3 * n, lose) for n in range(3)] if flush else []
        for timer in timers:
            timer.start()
        load = running.load(nodes(name, options.burst), timeout=300).check()
        for timer in timers:
            timer.join()
        return load.seconds

    with orchestra(ORCHESTRATOR_LEASE_TTL=str(options.lease)) as running:
        found["no fault"] = [
            one_change(running, f"calm-{round_}") for round_ in range(options.rounds)
        ]
        takeover(running, "SIGTERM of the leader", Process.stop)
        takeover(running, "kill -9 of the leader", Process.kill)
        for round_ in range(options.rounds):
            calm = burst(running, f"steady-{round_}", flush=False)
            settle()
            flushed = burst(running, f"flushed-{round_}", flush=True)
            found.setdefault(
                f"Redis flushed three times under {options.burst} jobs: the burst took longer by",
                [],
            ).append(flushed - calm)
            settle()
        for round_ in range(options.rounds):
            running.etcd.kill()
            back = time.monotonic()
            running.etcd.restart()
            down = time.monotonic() - back
            found.setdefault(
                "etcd killed and restarted: the first change after it answers", []
            ).append(one_change(running, f"first-{round_}"))
            found.setdefault("the next change", []).append(one_change(running, f"next-{round_}"))
            found.setdefault("(etcd was away for)", []).append(down)
        taken = [name for _, method, _, name in running.heat.asked() if method == "create"]
        twice = len(taken) - len(set(taken))
    rows = [
        (what, str(len(seconds)), f"{median(seconds):.2f} s", f"{max(seconds):.2f} s")
        for what, seconds in found.items()
    ]
    notes = [
        f"From the config's write, at the moment of the fault, to Heat's request. Lease: {options.lease} s.",
        f"Stacks asked for twice: {twice}.",
    ]

    def plot(axes: Any) -> None:
        names = list(found)
        axes.boxplot(
            [found[name] for name in names],
            orientation="horizontal",
            tick_labels=[name[:44] for name in names],
        )
        axes.set_xlabel("seconds")

    BenchResult(
        "faults",
        "What a fault costs",
        ("fault", "times", "median", "most"),
        rows,
        notes,
        {"seconds": found, "twice": twice},
        plot,
    ).publish(save=options.save)
