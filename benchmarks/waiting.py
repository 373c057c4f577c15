"""Stacks that take their time in Heat, all in flight at once through one worker of few slots."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from orchestrator.sandbox.scripted_heat import Script, ScriptedHeat
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, system

from .measuring import cpu_seconds, memory_mib, percentile, table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stacks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each takes in Heat")
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--look", default="1.0", help="ORCHESTRATOR_HEAT_POLL_INTERVAL")


def run(options: argparse.Namespace) -> None:
    heat = ScriptedHeat(script=lambda method, tenant, name: Script(duration=options.seconds))
    settings = {"ORCHESTRATOR_HEAT_POLL_INTERVAL": options.look}
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    with heat, system(folder, heat.environment(), schemas=NODE_SCHEMAS, concurrency=options.slots, **settings) as nodes:
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        nodes.await_state(nodes.put("node", "warm"), "CREATE_COMPLETED", timeout=options.seconds + 30)
        bridge, worker = nodes.bridges[0].pid, nodes.workers[0].pid
        before = (cpu_seconds(bridge), cpu_seconds(worker), memory_mib(worker))
        started, first = time.time(), nodes.store.list(nodes.keys.state)[0]
        refs = [nodes.put("node", f"n{i}", tenant_id=f"t{i % options.tenants}") for i in range(options.stacks)]
        written = time.time() - started
        missing = {nodes.keys.below(nodes.keys.state, ref): ref for ref in refs}
        reported: dict[str, float] = {}
        memory = before[2]
        for events in nodes.store.watch([nodes.keys.state], first + 1):
            reported |= {missing[event.key].stack_name: time.time() for event in events if event.key in missing}
            if len(reported) == options.stacks:
                break
            memory = max(memory, memory_mib(worker))
        total = time.time() - started
        asked = {request.stack: request.at for request in heat.requests}
        lags = [reported[name] - (asked[name] + options.seconds) for name in reported]
        looks = sum(count for call, count in heat.calls.items() if "list" in call)
        rows = [
            ("all reported after", f"{total:.1f} s (ideal: {options.seconds:.0f} s)"),
            ("config written in", f"{written:.1f} s"),
            ("Heat was asked for the last after", f"{max(asked.values()) - started:.1f} s"),
            ("Heat done → state written p50 / p95 / max", " / ".join(f"{percentile(lags, s):.2f} s" for s in (0.5, 0.95, 1.0))),
            (
                "Heat requests in all",
                f"{sum(heat.calls.values())} ({looks} lists), {sum(heat.calls.values()) / total:.1f} a second",
            ),
            (
                "CPU of the bridge, of the worker",
                f"{cpu_seconds(bridge) - before[0]:.1f} s, {cpu_seconds(worker) - before[1]:.1f} s",
            ),
            ("memory of the worker, before → most", f"{before[2]:.0f} → {memory:.0f} MiB"),
        ]
    table(
        f"{options.stacks} stacks of {options.seconds:.0f} s, {options.tenants} tenants, one worker of {options.slots} slots", rows
    )
