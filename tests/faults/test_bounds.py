"""A hostile input costs its own resource and nothing else, seen on running processes: a bridge, and
a worker of two slots."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from orchestrator.core.refs import Json, Ref
from orchestrator.sandbox.processes import Process, free_port

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat

HOT = "heat_template_version: 2018-08-31\n# %s\nresources:\n  r: {type: OS::Heat::None}\n"
MEMORY = 200
"""MiB that the hostile inputs may cost."""

RENDERING = {
    "doubling": "{% set n = namespace(x='aaaa') %}{% for i in range(32) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x|length }}",
    "adding": "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x|length }}",
    "nesting": "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "macro": "{% macro f(n) %}{% if n > 0 %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "sorting": "{% for i in range(99999) %}{% set x = range(100000)|list|sort %}{% endfor %}",
    "ifs": "{% if true %}" * 120 + "{% endif %}" * 120,
    "fors": "{% for i in [1] %}" * 25 + "{% endfor %}" * 25,
    "cycler": "{{ cycler() }}",
}
"""Templates that take too long, take too much, or are refused by a compiler."""


def _loops(depth: int) -> Json:
    mapping: Json = "Cx"
    for _ in range(depth - 1):
        mapping = {
            "for_field": {"field": "items", "path": [{"type": "loops", "id": ""}]},
            "for_mapping": mapping,
        }
    return {"for_field": "items", "for_mapping": mapping}


def _regexp(pattern: Json) -> Json:
    return {
        "if_mapping": {"regexp": ["Ptext", pattern]},
        "then_mapping": "Cy",
        "else_mapping": "Cn",
    }


EVALUATION: dict[str, tuple[Json, dict[str, Any]]] = {
    "loops": (_loops(12), {"items": ["bad-0"] * 200}),
    "texts": ("A" + "&".join(["Ptext"] * 3000), {"text": "x" * 200_000}),
    "numbers": (_regexp("Ppattern"), {"text": "x", "pattern": "x{99999999999999999999}"}),
    "backtracking": (_regexp({"constant": "(a*)*\\1b"}), {"text": "a" * 40}),
}
"""Mappings that take too long or make too much, and the bodies on which they do."""


def _schemas(*types: str) -> Json:
    more = [
        {
            "id": name,
            "prefix": f"/v1/{name}s",
            "metadata": {"template_path": f"C{name}"},
            "schema": {},
        }
        for name in types
    ]
    return {"schemas": [*NODE_SCHEMAS["schemas"], *more]}


@contextmanager
def nodes(folder: Path, *types: str) -> Iterator[System]:
    """A bridge with ``/health``, and a worker of two slots. Each of the *types* has a template of
    its name."""
    with ScriptedHeat() as heat:
        settings: dict[str, Any] = {"ORCHESTRATOR_HEALTH_PORT": str(free_port())}
        with system(
            folder, heat.environment(), schemas=_schemas(*types), concurrency=2, **settings
        ) as running:
            running.put("heat_template", "node", **NODE_TEMPLATE)
            ordinary(running, "warm", 8)
            yield running


def push(running: System, name: str, text: str, **mappings: Json) -> None:
    body: dict[str, Any] = {
        "handler": "heat_worker",
        "watch": [],
        "template_file": text,
        "parameter_mappings": mappings,
    }
    running.put("heat_template", name, **body)


def ordinary(running: System, name: str, count: int) -> None:
    """Resources of other tenants are built."""
    made = [
        running.put("node", f"{name}-{n}", tenant_id=f"{name}-{n % 5}", text="x")
        for n in range(count)
    ]
    for ref in made:
        running.await_state(ref, "CREATE_COMPLETED")


def health(running: System) -> int:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{running.environment['ORCHESTRATOR_HEALTH_PORT']}/health", timeout=5
    ) as reply:
        return int(reply.status)


# What the processes take --------------------------------------------------------------------------


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _memory(process: Process) -> int:
    """MiB that a process and all that it started have to themselves (the proportional set size)."""
    total = 0
    for pid in _descendants(process.pid):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total // 1024


class Watched:
    """The memory of processes, looked at again and again, and whether they are still the same
    processes."""

    def __init__(self, *processes: Process) -> None:
        self._processes = processes
        self._before = [_memory(process) for process in processes]
        self._pids = [process.pid for process in processes]
        self._peaks = list(self._before)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        assert [process.pid for process in self._processes if process.alive] == self._pids

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._peaks = [
                max(peak, _memory(process))
                for peak, process in zip(self._peaks, self._processes, strict=True)
            ]

    def grown(self) -> int:
        """MiB by which the one that grew most has grown."""
        return max(peak - before for peak, before in zip(self._peaks, self._before, strict=True))


# The tests ----------------------------------------------------------------------------------------


def test_hostile_templates_fail_by_name_and_the_other_tenants_go_on(tmp_path: Path) -> None:
    with nodes(tmp_path, *RENDERING) as running:
        for name, text in RENDERING.items():
            push(running, name, HOT % text, heat_timeout="C5")
        with Watched(*running.bridges, *running.workers) as watched:
            bad = [
                running.put(name, f"bad-{n}", tenant_id="hostile")
                for name in RENDERING
                for n in range(2)
            ]
            ordinary(running, "other", 20)
            for ref in bad:
                error = running.await_state(ref, "CREATE_FAILED")["error"]
                assert f"template {ref.type}, line 2: " in error
                assert "correct the template or its mapping" in error
            running.await_quiet()
            assert health(running) == 200

        assert watched.grown() < MEMORY


def test_a_better_template_repairs_what_a_hostile_one_failed(tmp_path: Path) -> None:
    with nodes(tmp_path, "macro") as running:
        push(running, "macro", HOT % RENDERING["macro"])
        bad = running.put("macro", "bad", tenant_id="hostile")
        running.await_state(bad, "CREATE_FAILED")

        push(running, "macro", HOT % "better")

        running.await_state(bad, "CREATE_COMPLETED")


def test_hostile_mappings_fail_by_name_and_the_other_tenants_go_on(tmp_path: Path) -> None:
    with nodes(tmp_path, *EVALUATION) as running:
        for name, (mapping, _) in EVALUATION.items():
            push(running, name, HOT % name, heat_timeout="C5", x=mapping)
        with Watched(*running.bridges) as watched:
            bad = [
                running.put(name, f"bad-{n}", tenant_id="hostile", **body)
                for name, (_, body) in EVALUATION.items()
                for n in range(20)
            ]
            ordinary(running, "other", 20)
            for ref in bad:
                error = running.await_state(ref, "CREATE_FAILED")["error"]
                assert error.startswith(f"template {ref.type}, parameter x: {ref}: ")
            assert health(running) == 200

        assert watched.grown() < MEMORY


STOPPED: dict[str, Callable[[System], None]] = {
    "mappings": lambda running: push(running, "loops", HOT % "x", x=EVALUATION["loops"][0]),
    "templates": lambda running: push(running, "loops", HOT % RENDERING["sorting"]),
}


@pytest.mark.parametrize("hostile", STOPPED)
def test_hostile_inputs_do_not_keep_the_processes_from_stopping(
    tmp_path: Path, hostile: str
) -> None:
    """SIGTERM while they are under way. The processes that render go with the worker."""
    with nodes(tmp_path, "loops") as running:
        STOPPED[hostile](running)
        for n in range(50):
            running.put("loops", f"bad-{n}", tenant_id="hostile", **EVALUATION["loops"][1])
        running.until(lambda: any(running.state(Ref("loops", f"bad-{n}")) for n in range(50)))
        started = _descendants(running.workers[0].pid)

        for process in (*running.bridges, *running.workers):
            process.stop(grace=5.0 if process in running.bridges else 30.0)

        assert [process.returncode for process in (*running.bridges, *running.workers)] == [0, 0]
        running.until(lambda: not [pid for pid in started if _is_there(pid)])


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_infinite_number_is_no_json_in_a_body_and_in_a_template(tmp_path: Path) -> None:
    with nodes(tmp_path, "odd") as running:
        template = '{"version": 1, "body": {"template_file": "x", "parameter_mappings": {"x": {"constant": NaN}}}}'
        running.put_raw(Ref("heat_template", "odd"), template)
        told = running.await_state(running.put("odd", "one"), "CREATE_FAILED")["error"]
        assert told.startswith("template odd: not JSON: ")

        body: Any = {"version": 1, "body": '{"tenant_id": "t1", "x": 1e999}'}
        running.put_raw(Ref("node", "two"), json.dumps(body))
        assert "not JSON" in running.await_state(Ref("node", "two"), "CREATE_FAILED")["error"]
