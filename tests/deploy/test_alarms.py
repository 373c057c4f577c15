"""The alarms for Prometheus: each asks for what a bridge tells, and the documentation has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from orchestrator.bridge.health import Health
from orchestrator.events import EventName, count

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "k8s" / "components" / "prometheus" / "rules.yaml"
BRIDGE = ROOT / "orchestrator" / "bridge"


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["spec"]["groups"]
    return list(group["rules"])


def asked(pattern: str) -> set[str]:
    """What the expressions of all alarms ask for."""
    return {found for rule in rules() for found in re.findall(pattern, rule["expr"])}


def source() -> str:
    return "".join(path.read_text() for path in BRIDGE.rglob("*.py"))


def test_every_alarm_asks_for_metrics_that_a_bridge_has() -> None:
    health = Health()
    count(EventName.LEADING)
    health.beat({"failed": 0}, 0.0)
    registry = health.metrics.registry
    known = {sample.name for metric in registry.collect() for sample in metric.samples}
    metrics = asked(r"\borchestrator_\w+")
    assert metrics
    assert metrics <= known


def test_every_event_that_an_alarm_asks_for_is_counted_by_a_bridge() -> None:
    names = asked(r'event="(\w+)"')
    assert names
    assert {name for name in names if f"count(EventName.{name.upper()})" not in source()} == set()


def test_every_kind_that_an_alarm_asks_for_is_told_by_a_bridge() -> None:
    names = asked(r'kind="(\w+)"')
    assert names
    assert {name for name in names if f'"{name}"' not in source()} == set()


def test_every_alarm_says_what_to_do_and_is_documented() -> None:
    page = (ROOT / "docs" / "howto" / "monitoring.md").read_text()
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert f"`{rule['alert']}`" in page
