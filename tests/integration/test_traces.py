"""Traces on real parts: whoever is killed, the spans of a version join."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from orchestrator.core.refs import Ref
from orchestrator.tracing.identity import of_version

from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

from .collector import collector
from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

JOBS = 50


def trace(nodes: System, ref: Ref) -> int:
    """By what an API server knows: the key, its create revision, the version."""
    key = nodes.keys.below(nodes.keys.config, ref)
    found = nodes.store.get(key)
    assert found is not None
    return of_version(key, found.created, 1, ref).trace


def test_the_spans_of_fifty_jobs_join_to_fifty_traces_though_worker_and_bridge_are_killed(
    tmp_path: Path, scripted: ScriptedHeat
) -> None:
    scripted.script = lambda method, tenant, name: Script(duration=1.0)
    with (
        collector() as collected,
        system(
            tmp_path / "system",
            scripted.environment(),
            schemas=NODE_SCHEMAS,
            ORCHESTRATOR_TRACES_ENDPOINT=collected.url,
        ) as nodes,
    ):
        template = nodes.put("heat_template", "node", **NODE_TEMPLATE)
        refs = [
            nodes.put("node", f"n{number}", tenant_id=f"t{number % 5}") for number in range(JOBS)
        ]
        expected = {trace(nodes, ref) for ref in refs}
        nodes.until(lambda: len(scripted.live()) >= JOBS // 10)
        nodes.workers[0].kill()
        # What the bridge has made known of so far is delivered before it is killed too.
        nodes.until(lambda: collected.traces.keys() >= expected)
        nodes.bridges[0].kill()
        nodes.bridge()
        # The killed worker did not deliver what it had just done. Whoever comes now does.
        made = len(scripted.live())
        nodes.worker()
        for ref in refs:
            nodes.await_state(ref, "CREATE_COMPLETED", timeout=60)
        nodes.until(lambda: not nodes.leftovers())
        for process in (*nodes.workers, *nodes.bridges):
            process.stop()
        found = {**collected.traces}
        assert found.pop(trace(nodes, template)), "a version that is only read has one too"

    assert len(expected) == JOBS
    assert set(found) == expected
    names = {trace: Counter(span.name for span in spans) for trace, spans in found.items()}
    assert {trace for trace, spans in names.items() if not spans["record"]} == set()
    assert {trace for trace, spans in names.items() if spans["version"] != 1} == set()
    assert sum(spans["heat POST"] for spans in names.values()) >= JOBS - made
    assert max(len(spans) for spans in found.values()) < 40
