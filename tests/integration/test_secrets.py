"""No secret leaves: a canary is found nowhere but in etcd and in Heat's request."""

from __future__ import annotations

import subprocess
from pathlib import Path

import redis

from orchestrator.sandbox.scripted_heat import ScriptedHeat

from .system import NODE_TEMPLATE, System

CANARY = "canary-5f2b9c71"


def test_a_password_is_found_nowhere_but_in_etcd_and_in_heats_request(
    nodes: System, scripted: ScriptedHeat, tmp_path: Path
) -> None:
    """Heat even quotes it in a refusal; neither logs, messages, Flower's events nor the error do."""
    monitor = subprocess.Popen(
        ["redis-cli", "-p", str(nodes.redis.port), "monitor"], stdout=(tmp_path / "monitor").open("w"), stderr=subprocess.STDOUT
    )
    template = {**NODE_TEMPLATE["parameter_mappings"], "value": "Padmin_password"}
    nodes.put("heat_template", "node", version=2, **{**NODE_TEMPLATE, "parameter_mappings": template})
    good = nodes.put("node", "good", admin_password=CANARY, deep={"list": [{"api_token": CANARY + "-deep"}]})
    nodes.await_state(good, "CREATE_COMPLETED")
    scripted.refuse = lambda method, tenant, path: (400, "Invalid", f"{CANARY} is too weak") if method == "POST" else None
    bad = nodes.put("node", "bad", admin_password=CANARY)
    state = nodes.await_state(bad, "CREATE_FAILED")
    monitor.terminate()
    monitor.wait()

    assert scripted.requests[0].parameters["value"] == CANARY
    assert "is too weak" in state["error"] and CANARY not in state["error"]
    kept = {kv.key for kv in nodes.store.list("/")[1] if CANARY.encode() in kv.value}
    assert all(key.startswith(("/config/", "/esi-worker/orchestrator/handled/")) for key in kept), kept
    logs = {path.name: path.read_text(errors="replace") for path in (tmp_path / "system").glob("*.log")}
    assert sum(name.startswith(("bridge", "worker")) for name in logs) == 2
    assert "orchestrator.submit" in (tmp_path / "monitor").read_text(errors="replace")
    found = [
        name for name, text in {**logs, "monitor": (tmp_path / "monitor").read_text(errors="replace")}.items() if CANARY in text
    ]
    assert found == []
    dump = redis.Redis(port=nodes.redis.port)
    assert all(CANARY.encode() not in key for key in dump.keys("*"))
