"""No secret leaves: a canary is found nowhere but in etcd and in Heat's request."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from orchestrator.sandbox.scripted_heat import ScriptedHeat

from .system import NODE_TEMPLATE, System

CANARY = "canary-5f2b9c71"


def listen(port: int, commands: list[str]) -> None:
    """Every command that Redis is told, until it stops: messages, events for Flower, everything."""
    server: Any = redis.Redis(port=port)
    with server.monitor() as monitor, suppress(redis.ConnectionError):
        for command in monitor.listen():
            commands.append(str(command["command"]))


def test_a_password_is_found_nowhere_but_in_etcd_and_in_heats_request(
    nodes: System, scripted: ScriptedHeat, tmp_path: Path
) -> None:
    """Heat even quotes it in a refusal; neither logs, messages, Flower's events nor the error do."""
    commands: list[str] = []
    threading.Thread(target=listen, args=(nodes.redis.port, commands), daemon=True).start()
    template = {**NODE_TEMPLATE["parameter_mappings"], "value": "Padmin_password"}
    nodes.put("heat_template", "node", version=2, **{**NODE_TEMPLATE, "parameter_mappings": template})
    good = nodes.put("node", "good", admin_password=CANARY, deep={"list": [{"api_token": CANARY + "-deep"}]})
    nodes.await_state(good, "CREATE_COMPLETED")
    scripted.refuse = lambda method, tenant, path: (400, "Invalid", f"{CANARY} is too weak") if method == "POST" else None
    bad = nodes.put("node", "bad", admin_password=CANARY)
    state = nodes.await_state(bad, "CREATE_FAILED")

    assert scripted.requests[0].parameters["value"] == CANARY
    assert "is too weak" in state["error"] and CANARY not in state["error"]
    kept = {kv.key for kv in nodes.store.list("/")[1] if CANARY.encode() in kv.value}
    assert all(key.startswith(("/config/", "/esi-worker/orchestrator/handled/")) for key in kept), kept
    logs = {path.name: path.read_text(errors="replace") for path in (tmp_path / "system").glob("*.log")}
    assert sum(name.startswith(("bridge", "worker")) for name in logs) == 2
    assert any("orchestrator.submit" in command for command in commands)
    found = [name for name, text in {**logs, "what Redis was told": "\n".join(commands)}.items() if CANARY in text]
    assert found == []
    dump = redis.Redis(port=nodes.redis.port)
    assert all(CANARY.encode() not in key for key in dump.keys("*"))
