"""Independent creates whose stacks complete at once: jobs a second, and what each costs."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from orchestrator.sandbox.scripted_heat import ScriptedHeat
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, system

from .measuring import cpu_seconds, percentile, table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--tenants", type=int, default=10)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)


def run(options: argparse.Namespace) -> None:
    heat = ScriptedHeat()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    settings = {"ORCHESTRATOR_HEAT_POLL_INTERVAL": "1.0"}
    running = system(
        folder, heat.environment(), schemas=NODE_SCHEMAS, concurrency=options.slots, workers=options.workers, **settings
    )
    with heat, running as nodes:
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        nodes.await_state(nodes.put("node", "warm"), "CREATE_COMPLETED")
        single: list[float] = []
        for i in range(20):
            began = time.time()
            nodes.put("node", f"rest-{i}")
            while not any(request.stack == f"node_rest-{i}" for request in heat.requests[-3:]):
                time.sleep(0.0005)
            single.append(heat.requests[-1].at - began)
        pids = {
            "bridge": nodes.bridges[0].pid,
            "workers": [worker.pid for worker in nodes.workers],
            "etcd": nodes.etcd.process.pid,
            "Redis": nodes.redis.process.pid,
        }

        def spent() -> dict[str, float]:
            return {name: sum(map(cpu_seconds, pid if isinstance(pid, list) else [pid])) for name, pid in pids.items()}

        before, first = spent(), nodes.store.list(nodes.keys.state)[0]
        started = time.time()
        refs = [nodes.put("node", f"n{i}", tenant_id=f"t{i % options.tenants}") for i in range(options.jobs)]
        missing = {nodes.keys.below(nodes.keys.state, ref) for ref in refs}
        for events in nodes.store.watch([nodes.keys.state], first + 1):
            missing -= {event.key for event in events}
            if not missing:
                break
        total = time.time() - started
        cost = {name: (seconds - before[name]) / options.jobs * 1000 for name, seconds in spent().items()}
    rows = [
        ("jobs a second, first config → last state", f"{options.jobs / total:.0f}"),
        *((f"CPU of {name} per job", f"{milliseconds:.2f} ms") for name, milliseconds in cost.items()),
        (
            "at rest: config written → Heat asked p50 / p95",
            " / ".join(f"{percentile(single, s) * 1000:.0f} ms" for s in (0.5, 0.95)),
        ),
    ]
    table(f"{options.jobs} creates, {options.tenants} tenants, {options.workers} worker(s) of {options.slots} slots", rows)
