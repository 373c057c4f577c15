"""Monitoring: what it costs to look at 10,000 targets every minute, and how late a change of one shows."""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from collections import Counter
from typing import Any

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from .. import filling, traffic
from ..ground import Ground, ground
from ..measuring import percentile
from ..report import BenchResult


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--targets", type=int, default=10_000, help="resources with one monitoring target each"
    )
    parser.add_argument(
        "--interval", type=float, default=60.0, help="seconds between probes of the same target"
    )
    parser.add_argument(
        "--rounds", type=int, default=2, help="intervals over which the cost is counted"
    )


def _records(running: Ground) -> Counter[bytes]:
    """How many monitoring records say what."""
    found: Counter[bytes] = Counter()
    with grpc.insecure_channel(
        running.etcd.endpoint, options=[("grpc.max_receive_message_length", 64 << 20)]
    ) as channel:
        for kv in (
            stubs.KVStub(channel)
            .Range(rpc.RangeRequest(key=b"/monitoring/", range_end=b"/monitoring0"))
            .kvs
        ):
            found[kv.value] += 1
    return found


class Writes(threading.Thread):
    """When each monitoring record came to contain a text."""

    def __init__(self, running: Ground, text: bytes) -> None:
        super().__init__(daemon=True)
        self.at: dict[bytes, float] = {}
        self._text = text
        self._channel = grpc.insecure_channel(running.etcd.endpoint)
        self._closing = threading.Event()
        self.start()

    def run(self) -> None:
        create = rpc.WatchCreateRequest(key=b"/monitoring/", range_end=b"/monitoring0")
        try:
            for reply in stubs.WatchStub(self._channel).Watch(
                self._requests(rpc.WatchRequest(create_request=create))
            ):
                for event in reply.events:
                    if self._text in event.kv.value:
                        self.at.setdefault(event.kv.key, time.time())
        except grpc.RpcError:
            return  # we closed it

    def _requests(self, first: Any) -> Any:
        yield first
        self._closing.wait()

    def close(self) -> None:
        self._closing.set()
        self._channel.close()


def _wait(ready: Any, timeout: float, what: str) -> None:
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.2)


def _quiet(running: Ground, seconds: float) -> dict[str, Any]:
    """What it costs while nothing changes, and how even the load is: probes in each second."""
    before, spent, started = traffic.etcd(running), running.spent(), time.monotonic()
    messages = traffic.redis(running)["lpush"]
    probes = [running.heat.calls().get("target", 0)]
    while (left := started + seconds - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        probes.append(running.heat.calls().get("target", 0))
    took, now = time.monotonic() - started, running.spent()
    return {
        "seconds": took,
        "cpu": {party: now[party] - spent[party] for party in now},
        "etcd": traffic.since(traffic.etcd(running), before),
        "messages": traffic.redis(running)["lpush"] - messages,
        "probes": [after - earlier for earlier, after in itertools.pairwise(probes)],
    }


def _change(running: Ground, count: int, interval: float) -> list[float]:
    """All targets go down at one moment: seconds until each record says so."""
    writes = Writes(running, b"DOWN")
    try:
        time.sleep(1)  # the watch is open by then
        running.heat.ask("_set", {"status": "DOWN"})
        changed = time.time()
        _wait(lambda: len(writes.at) >= count, 4 * interval, "every record says DOWN")
        return [at - changed for at in writes.at.values()]
    finally:
        writes.close()


def run(options: argparse.Namespace) -> None:
    count, interval = options.targets, options.interval
    with ground(ORCHESTRATOR_MONITORING_INTERVAL=str(interval)) as running:
        running.worker_alone()
        filling.fill(
            running.etcd.endpoint, count, link=lambda name: f"{running.heat.url}/target/{name}"
        )
        running.bridge()
        _wait(lambda: _records(running).total() >= count, 4 * interval, "a record for every target")
        quiet = _quiet(running, options.rounds * interval)
        lags = _change(running, count, interval)
    _publish(options, quiet, lags)


def _publish(options: argparse.Namespace, quiet: dict[str, Any], lags: list[float]) -> None:
    seconds, probes = quiet["seconds"], quiet["probes"]
    shares = {party: 100 * cpu / seconds for party, cpu in quiet["cpu"].items()}
    ours = sum(share for party, share in shares.items() if party != "Heat")
    per_probe = 1e6 * (quiet["cpu"]["worker"] + quiet["cpu"]["bridge"]) / max(sum(probes), 1)
    rows = [
        (
            "CPU of one core",
            f"{ours:.1f} %: "
            + ", ".join(f"{party} {share:.1f} %" for party, share in shares.items()),
        ),
        ("CPU of worker and bridge for one probe", f"{per_probe:.0f} µs"),
        (
            "probes",
            f"{sum(probes):,} in {seconds:.0f} s; in a second {min(probes)} to {max(probes)}, p50 {percentile(probes, 0.5):.0f}",
        ),
        ("etcd, nothing changing", traffic.told(quiet["etcd"])),
        ("messages", f"{quiet['messages']:,}"),
        (
            f"all {len(lags):,} go down → recorded",
            f"{percentile(lags, 0.5):.1f} / {percentile(lags, 0.95):.1f} / {max(lags):.1f} s (p50 / p95 / max)",
        ),
    ]

    def plot(axes: Any) -> None:
        axes.step(range(len(probes)), probes, where="post")
        axes.set_xlabel("seconds")
        axes.set_ylabel("probes in a second")
        axes.set_ylim(bottom=0)

    BenchResult(
        "monitoring",
        f"Monitoring: {options.targets:,} targets, a probe every {options.interval:.0f} s",
        ("measured", "value"),
        rows,
        notes=[
            "One worker of four slots. The targets are served by the benchmark's Heat, whose share is not counted in the sum."
        ],
        data={
            "targets": options.targets,
            "interval": options.interval,
            "quiet": quiet,
            "lags": lags,
        },
        plot=plot,
    ).publish(save=options.save)
