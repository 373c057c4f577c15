"""No secret leaves: a canary is found nowhere but in etcd and in Heat's request."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from orchestrator.core.texts import is_odd

from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

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
    nodes.put(
        "heat_template", "node", version=2, **{**NODE_TEMPLATE, "parameter_mappings": template}
    )
    good = nodes.put(
        "node", "good", admin_password=CANARY, deep={"list": [{"api_token": CANARY + "-deep"}]}
    )
    nodes.await_state(good, "CREATE_COMPLETED")
    scripted.refuse = lambda method, tenant, path: (
        (400, "Invalid", f"{CANARY} is too weak") if method == "POST" else None
    )
    bad = nodes.put("node", "bad", admin_password=CANARY)
    state = nodes.await_state(bad, "CREATE_FAILED")

    assert scripted.requests[0].parameters["value"] == CANARY
    assert "is too weak" in state["error"] and CANARY not in state["error"]
    kept = {kv.key for kv in nodes.store.list("/")[1] if CANARY.encode() in kv.value}
    assert all(key.startswith(("/config/", "/esi-worker/orchestrator/handled/")) for key in kept), (
        kept
    )
    logs = {
        path.name: path.read_text(errors="replace") for path in (tmp_path / "system").glob("*.log")
    }
    assert sum(name.startswith(("bridge", "worker")) for name in logs) == 2
    assert any("orchestrator.submit" in command for command in commands)
    found = [
        name
        for name, text in {**logs, "what Redis was told": "\n".join(commands)}.items()
        if CANARY in text
    ]
    assert found == []
    dump = redis.Redis(port=nodes.redis.port)
    assert all(CANARY.encode() not in key for key in dump.keys("*"))


HIDDEN = NODE_TEMPLATE["template_file"].replace(
    "{type: string, default: ''}", "{type: string, hidden: true, default: ''}", 1
)


def commands(nodes: System, *arguments: str) -> str:
    """What the command line prints, on both of its outputs."""
    code = "from orchestrator.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **nodes.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["adminPass", "psk", "hidden"])
def test_a_secret_by_another_name_is_told_nowhere(
    nodes: System, scripted: ScriptedHeat, tmp_path: Path, name: str
) -> None:
    """Heat quotes it in a refusal, and in the reason of a stack that failed, each spelled in its own way."""
    property_name = "note" if name == "hidden" else name
    body: dict[str, Any] = {property_name: CANARY}
    mappings = {**NODE_TEMPLATE["parameter_mappings"], "value": f"P{property_name}"}
    text = HIDDEN if name == "hidden" else NODE_TEMPLATE["template_file"]
    nodes.put(
        "heat_template",
        "node",
        version=2,
        **{**NODE_TEMPLATE, "template_file": text, "parameter_mappings": mappings},
    )
    quoted = (
        f"Invalid value {json.dumps(CANARY)} ({quote(CANARY)}) "
        + base64.b64encode(CANARY.encode()).decode()
    )
    scripted.refuse = lambda method, tenant, path: (
        (400, "Invalid", quoted) if method == "POST" and tenant == "t2" else None
    )
    scripted.script = lambda method, tenant, stack: Script(outcome="FAILED", reason=quoted)
    refused = nodes.put("node", "refused", tenant_id="t2", **body)
    failed = nodes.put("node", "failed", **body)
    states = [nodes.await_state(ref, "CREATE_FAILED") for ref in (refused, failed)]

    assert all('Invalid value "***" (***) ***' in state["error"] for state in states), states
    kept = {kv.key for kv in nodes.store.list("/")[1] if CANARY.encode() in kv.value}
    assert all(key.startswith(("/config/", "/esi-worker/orchestrator/handled/")) for key in kept), (
        kept
    )
    shown = [
        commands(nodes, *each)
        for each in (("status",), ("get",), ("get", "node", "failed"), ("wait", "--timeout", "5"))
    ]
    assert "Invalid value" in shown[0]
    logs = [path.read_text(errors="replace") for path in (tmp_path / "system").glob("*.log")]
    assert "Invalid value" in "".join(logs)
    assert not [text for text in (*shown, *logs) if CANARY in text]


def test_control_characters_reach_no_terminal_and_forge_no_log_line(
    nodes: System, scripted: ScriptedHeat, tmp_path: Path
) -> None:
    evil = "bad\n12:00:00 ERROR   forged\x1b[2J\u202e\x9b"
    scripted.script = lambda method, tenant, stack: Script(outcome="FAILED", reason=evil)
    bad = nodes.put("node", "bad")
    nodes.await_state(bad, "CREATE_FAILED")
    nodes.store.put("/config/v1/nodes/evil\x1b[2J\nid", "{")
    nodes.until(lambda: "evil" in nodes.bridges[0].log_tail(200))

    shown = [
        commands(nodes, *each)
        for each in (("status",), ("get",), ("get", "node", "bad"), ("wait", "--timeout", "5"))
    ]
    shown += [commands(nodes, "status", "-o", form) for form in ("json", "yaml")]
    logs = [
        path.read_text()
        for path in (tmp_path / "system").glob("*.log")
        if path.name.startswith(("bridge", "worker"))
    ]
    assert "bad⏎12:00:00 ERROR forged\\x1b[2J\\u202e\\x9b" in "".join(logs)
    for text in (*shown, *logs):
        assert not any(is_odd(letter) for letter in text if letter != "\n"), text
        assert not any(line.startswith("12:00:00 ERROR   forged") for line in text.splitlines())
