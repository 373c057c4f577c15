"""With ORCHESTRATOR_LOG_FORMAT=json every line of every process is a document."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from orchestrator.sandbox.processes import Process, free_port

from tests.faults.brokers import flower
from tests.scripted.heat import ScriptedHeat

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system


def documents(process: Process) -> list[dict[str, Any]]:
    """The lines of a log. Each is a document, or this fails with the line."""
    found = []
    for line in process.log.read_text().split("\n")[:-1]:
        try:
            found.append(json.loads(line))
        except ValueError:
            pytest.fail(f"{process.name}: not a JSON document: {line!r}")
    return found


def whole(process: Process) -> None:
    """Each line says when, how grave, who and what."""
    lines = documents(process)
    assert lines
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)


def test_all_processes_log_documents_from_start_to_end(tmp_path: Path) -> None:
    """A job, a loss of Redis, both ways of stopping: the banner, and what Celery prints at its end."""
    settings: dict[str, Any] = {"ORCHESTRATOR_LOG_FORMAT": "json"}
    with (
        ScriptedHeat() as heat,
        system(tmp_path, heat.environment(), schemas=NODE_SCHEMAS, **settings) as nodes,
    ):
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        dashboard = flower(nodes)
        nodes.await_state(nodes.put("node", "before"), "CREATE_COMPLETED")
        nodes.redis.kill()
        nodes.redis.restart()
        nodes.await_state(nodes.put("node", "after"), "CREATE_COMPLETED")
        second = nodes.worker()
        everyone = (*nodes.bridges, *nodes.workers, dashboard.process)
        os.kill(second.pid, signal.SIGQUIT)
        for process in everyone:
            process.stop(20)
    for process in everyone:
        whole(process)
    lines = documents(nodes.workers[0])
    started = [line for line in lines if line.get("event") == "worker_started"]
    assert [line["concurrency"] for line in started] == [4]
    ended = [line["message"] for line in lines if line.get("event") == "worker_says"]
    assert any("Warm shutdown" in message for message in ended)


def test_what_nobody_catches_is_a_document_too(nodes: System) -> None:
    code = (
        "import threading, warnings; from orchestrator import log; log.configure('INFO', 'json');"
        "warnings.warn('two\\nlines'); "
        "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join(); "
        "raise KeyError('x\\u2028y')"
    )
    name = f"uncaught-{free_port()}"
    process = nodes.processes.start(name, [sys.executable, "-c", code], env={})
    assert process.wait(30) == 1
    whole(process)
    lines = documents(process)
    assert [line["level"] for line in lines] == ["WARNING", "CRITICAL", "CRITICAL"]
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert "KeyError" in lines[2]["exception"]
