"""Shapes of dependency: a deep chain, one with many dependents, many with one, whole services many times over."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..ground import ROOT, SCHEMAS, BenchLoad, Ground, document, ground, node, nodes, settle
from ..measuring import percentile
from ..report import BenchResult

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", type=int, default=200)
    parser.add_argument("--wide", type=int, default=2000)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument(
        "--recordings",
        type=Path,
        default=ROOT.parent / "shared" / "conformance",
        help="recorded services (skipped where they are not)",
    )


def chain(depth: int) -> list[list[Any]]:
    """Each is built from the output of the one before; written backwards, so that nothing can be built at first."""
    names = [f"deep-{i}" for i in range(depth)]
    parents: list[dict[str, Any]] = [{}, *({"parent_id": name} for name in names)]
    return [
        [0, f"/config/v1/nodes/{n}", node(n, "t1", **p), 1]
        for n, p in reversed(list(zip(names, parents, strict=False)))
    ]


def fan_out(width: int) -> list[list[Any]]:
    """One, and many that are built from it."""
    children = [
        [0, f"/config/v1/nodes/out-{i}", node(f"out-{i}", f"t{i % 20}", parent_id="out"), 1]
        for i in range(width)
    ]
    return [[0, "/config/v1/nodes/out", node("out", "t1"), 1], *children]


def fan_in(width: int) -> list[list[Any]]:
    """Many, and one that is built from all of them."""
    names = [f"in-{i}" for i in range(width)]
    one = [0, "/config/v1/nodes/in", node("in", "t1", parents=names), 1]
    return [
        one,
        *(
            [0, f"/config/v1/nodes/{name}", node(name, f"t{i % 20}"), 1]
            for i, name in enumerate(names)
        ),
    ]


def services(folder: Path, copies: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """The configs of recorded services as they were first written, many times over with fresh ids.

    :returns: the templates and what everybody shares, once; and the services.
    """
    shared: dict[str, list[Any]] = {}
    writes: list[list[Any]] = []
    for path in sorted((folder / "scenarios").glob("*.json")):
        recording = json.loads(path.read_text())
        for key, value in recording["heat_templates"].items():
            shared[key] = [0, key, json.dumps({**value, "body": json.dumps(value["body"])}), 0]
        first: dict[str, Any] = {}
        for step in recording["steps"]:
            if step["step"] == "config" and not step["value"].get("marked_for_deletion"):
                first.setdefault(step["key"], step["value"])
        for key, value in first.items():
            text = document(value["body"], 1)
            if not _UUID.search(key):
                shared[key] = [0, key, text, 0]
                continue
            for copy in range(copies):
                writes.append([0, _fresh(key, path.stem, copy), _fresh(text, path.stem, copy), 1])
    return list(shared.values()), writes


def _fresh(text: str, scenario: str, copy: int) -> str:
    return _UUID.sub(
        lambda found: f"{found[0][:-6]}{scenario[:2].encode().hex()[:2]}{copy:04x}", text
    )


def run(options: argparse.Namespace) -> None:
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}

    def measure(running: Ground, what: str, writes: list[list[Any]]) -> BenchLoad:
        load = running.load(writes).check()
        cpu = sum(load.cpu.values()) - load.cpu["Heat"]
        rows.append(
            (
                what,
                f"{len(writes):,}",
                f"{load.seconds:.2f} s",
                f"{load.rate:.0f}",
                f"{cpu / len(writes) * 1000:.1f}",
            )
        )
        data[what] = {
            "resources": len(writes),
            "seconds": load.seconds,
            "cpu_ms": cpu / len(writes) * 1000,
        }
        settle()
        return load

    notes: list[str] = []
    hops: list[float] = []
    with started(SCHEMAS) as running:
        measure(running, f"chain, {options.deep} deep, written backwards", chain(options.deep))
        at = {name: when for when, _, _, name in reversed(running.heat.asked())}
        order = [at[f"node_deep-{i}"] for i in range(options.deep)]
        assert order == sorted(order), "something was built before what it is built from"
        hops = [later - earlier for earlier, later in pairwise(order)]
        tenth = max(len(hops) // 10, 1)
        notes.append(
            "A hop of the chain (request to request): "
            f"p50 {percentile(hops, 0.5) * 1000:.0f} ms, p95 {percentile(hops, 0.95) * 1000:.0f} ms; "
            f"first tenth {percentile(hops[:tenth], 0.5) * 1000:.0f} ms, last tenth {percentile(hops[-tenth:], 0.5) * 1000:.0f} ms."
        )
        measure(running, f"one with {options.wide:,} dependents", fan_out(options.wide))
        measure(running, f"{options.wide:,} with one dependent", fan_in(options.wide))
        at = {name: when for when, _, _, name in reversed(running.heat.asked())}
        assert at["node_in"] >= max(at[f"node_in-{i}"] for i in range(options.wide)), (
            "the dependent came too early"
        )
    if (options.recordings / "scenarios").exists():
        schemas = json.loads((options.recordings / "schemas.json").read_text())
        with started(schemas, template=False) as running:
            shared, writes = services(options.recordings, options.services)
            running.load(shared)
            measure(running, f"recorded services, {options.services} times over", writes)
    else:
        notes.append("The recorded services were not there to be measured.")

    def plot(axes: Any) -> None:
        axes.plot([hop * 1000 for hop in hops], linewidth=0.8)
        axes.set_xlabel("depth in the chain")
        axes.set_ylabel("milliseconds from request to request")
        axes.set_ylim(bottom=0)

    columns = ("shape", "resources", "first config → last state", "jobs/s", "CPU ms a job")
    BenchResult(
        "shape",
        "Shapes of dependency, stacks that complete at once",
        columns,
        rows,
        notes,
        data,
        plot,
    ).publish(save=options.save)


@contextmanager
def started(schemas: Any, *, template: bool = True) -> Iterator[Ground]:
    """A system with a schema list of its own, warm."""
    with ground() as running:
        (running.folder / "schemas.json").write_text(json.dumps(schemas))
        if template:
            running.push_template()
        running.bridge()
        running.worker()
        if template:
            running.load(nodes("warm", 32), timeout=60).check()
        yield running
