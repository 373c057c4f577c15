"""Hostile inputs: what one tenant's endless mappings and templates cost the others, from their
config to their state."""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..ground import SCHEMAS, TEMPLATE, Ground, document, nodes, orchestra
from ..measuring import percentile
from ..report import BenchResult

QUANTILES = (0.5, 0.95, 0.99)
TENANT = "hostile"
HOT = "heat_template_version: 2018-08-31\n# %s\nresources: {r: {type: OS::Heat::RandomString}}\n"


def loops(depth: int) -> Any:
    """Loops in each other over a list of ids."""
    mapping: Any = "Cx"
    for _ in range(depth - 1):
        mapping = {
            "for_field": {"field": "items", "path": [{"type": "loops", "id": ""}]},
            "for_mapping": mapping,
        }
    return {"for_field": "items", "for_mapping": mapping}


def regexp(pattern: str) -> Any:
    constant = {"constant": pattern}
    return {
        "if_mapping": {"regexp": ["Ptext", constant]},
        "then_mapping": "Cyes",
        "else_mapping": "Cno",
    }


MAPPINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "loops": (loops(12), {"items": ["loops-0"] * 200}),
    "texts": ("A" + "&".join(["Ptext"] * 3000), {"text": "x" * 100_000}),
    "pattern": (regexp("(a*)*\\1b"), {"text": "a" * 40}),
    "repeats": (regexp("(?:a|b?|c?)*" * 40 + "d"), {"text": "a" * 2000}),
}
"""By type: a mapping, and the body on which it reaches its bounds."""
TEMPLATES = {
    "sorting": "{% for i in range(99999) %}{% set x = range(100000)|list|sort %}{% endfor %}",
    "nesting": "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "doubling": "{% set n = namespace(x='aaaa') %}{% for i in range(32) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "macro": "{% macro f(n) %}{% if n > 0 %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="for which all write, each time"
    )
    parser.add_argument("--rate", type=float, default=4.0, help="changes of the others in a second")
    parser.add_argument(
        "--hostile", type=float, default=4.0, help="changes of the hostile tenant in a second"
    )
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2, help="of each worker")


def types(names: Mapping[str, Any]) -> dict[str, Any]:
    made = [
        {
            "id": name,
            "prefix": f"/v1/{name}",
            "metadata": {"template_path": f"C{name}"},
            "schema": {},
        }
        for name in names
    ]
    return {"schemas": [*SCHEMAS["schemas"], *made]}


def hostile(kinds: Mapping[str, dict[str, Any]], seconds: float, rate: float) -> list[list[Any]]:
    """The hostile tenant's writes, of each kind in turn; nobody waits for their states."""
    names = list(kinds)
    writes: list[list[Any]] = []
    for n in range(int(seconds * rate) if names else 0):
        kind = names[n % len(names)]
        body = {"id": f"{kind}-{n // len(names)}", "tenant_id": TENANT, **kinds[kind]}
        writes.append([n / rate, f"/config/v1/{kind}/{body['id']}", document(body), 0])
    return writes


class MemoryUse:
    """How much the bridge and the workers grow, with all that they start: looked at ten times a
    second."""

    def __init__(self, running: Ground) -> None:
        self._roots = {
            party: [process.pid for process in processes]
            for party, processes in running.parties.items()
        }
        self._before = self._sizes()
        self._peaks = dict(self._before)
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._peaks = {
                party: max(size, self._peaks[party]) for party, size in self._sizes().items()
            }

    def _sizes(self) -> dict[str, float]:
        """MiB of the largest process of each party with its children."""
        return {
            party: max(sum(map(_own, _family(root))) for root in roots) / 1024
            for party, roots in self._roots.items()
        }

    def grown(self) -> dict[str, float]:
        return {party: self._peaks[party] - self._before[party] for party in self._peaks}


def _family(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def _own(pid: int) -> int:
    """KiB of a process; what it shares with others is counted in parts."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure(
    options: argparse.Namespace, kinds: Mapping[str, dict[str, Any]]
) -> tuple[list[float], dict[str, float], int]:
    """Seconds from config to state of the others, MiB by which processes grew, and failed states of
    the hostile tenant."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schemas.json"
        file.write_text(json.dumps(types({**MAPPINGS, **TEMPLATES})))
        with orchestra(options.workers, options.slots, ORCHESTRATOR_SCHEMAS=str(file)) as running:
            running.bridge()
            for name, (mapping, _) in MAPPINGS.items():
                running.push_template(
                    name,
                    {**TEMPLATE, "template_file": HOT % name, "parameter_mappings": {"x": mapping}},
                )
            for name, text in TEMPLATES.items():
                running.push_template(
                    name, {**TEMPLATE, "template_file": HOT % text, "parameter_mappings": {}}
                )
            others = nodes("plain", int(options.seconds * options.rate), 3, every=1 / options.rate)
            writes = sorted(
                [*others, *hostile(kinds, options.seconds, options.hostile)],
                key=lambda write: write[0],
            )
            memory = MemoryUse(running)
            with memory.watched():
                load = running.load(writes).check()
            assert all(
                process.alive for processes in running.parties.values() for process in processes
            )
            found = running.ask_etcd("kv/range", _failed())
    took = sorted(load.reported[key] - load.written[key] for key in load.reported)
    return took, memory.grown(), int(found.get("count", 0))


def _failed() -> dict[str, Any]:
    first, last = b"/esi-worker/orchestrator/failed/", b"/esi-worker/orchestrator/failed0"
    return {
        "key": base64.b64encode(first).decode(),
        "range_end": base64.b64encode(last).decode(),
        "count_only": True,
    }


def run(options: argparse.Namespace) -> None:
    cases: dict[str, dict[str, dict[str, Any]]] = {
        "nobody": {},
        "mappings": {name: body for name, (_, body) in MAPPINGS.items()},
        "templates": {name: {} for name in TEMPLATES},
    }
    data: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    for what, kinds in cases.items():
        took, grown, failed = measure(options, kinds)
        data[what] = {"seconds": took, "grown_mib": grown, "failed": failed}
        sizes = (f"{grown[party]:.0f} MiB" for party in ("bridge", "worker"))
        rows.append(
            (
                what,
                f"{failed:,}",
                *(f"{percentile(took, q) * 1000:.0f} ms" for q in QUANTILES),
                f"{took[-1]:.1f} s",
                *sizes,
            )
        )
        print(json.dumps(rows[-1]), flush=True)
    columns = (
        "hostile",
        "failed",
        *(f"p{q * 100:g}" for q in QUANTILES),
        "max",
        "bridge grew",
        "worker grew",
    )
    notes = [
        f"Two bridges, {options.workers} workers of {options.slots} slots. Three others write {options.rate:g} changes/s for "
        f"{options.seconds:g} s, the hostile tenant {options.hostile:g} changes/s; the times are the others', from config to state."
    ]
    BenchResult("hostile", "Hostile mappings and templates", columns, rows, notes, data).publish(
        save=options.save
    )
