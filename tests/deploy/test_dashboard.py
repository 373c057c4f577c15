"""The Grafana dashboard: it is what the generator prints, and asks for what the programs tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from orchestrator.bridge.metrics import Metrics
from orchestrator.metrics import dashboard
from orchestrator.metrics.shapes import Metric

from tests.promtool import promtool

SERIES = {series: metric for metric in Metric for series in metric.value.series}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.FILE.read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def test_the_file_is_what_the_generator_prints() -> None:
    assert dashboard.main(["--check"]) == 0


def test_a_file_that_is_not_up_to_date_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dashboard, "FILE", tmp_path / "dashboard.json")
    assert dashboard.main(["--check"]) == 1
    assert "run: python -m orchestrator.metrics.dashboard" in capsys.readouterr().err
    assert dashboard.main([]) == 0
    assert dashboard.main(["--check"]) == 0


def test_every_metric_is_on_the_dashboard_and_no_other_is() -> None:
    asked = {name for text in expressions() for name in re.findall(r"\borchestrator_\w+", text)}

    assert asked <= SERIES.keys()
    assert {SERIES[name] for name in asked} == set(Metric)


def test_every_kind_of_the_world_that_is_asked_for_is_told() -> None:
    asked = {kind for text in expressions() for kind in re.findall(r'kind="(\w+)"', text)}
    package = Path(dashboard.__file__).parents[1]
    rooms = (package / "bridge", package / "core" / "world")
    source = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))

    assert asked
    assert {kind for kind in asked if f'"{kind}"' not in source} == set()


def test_labels_are_those_of_the_metrics() -> None:
    for text in expressions():
        metrics = [SERIES[name] for name in re.findall(r"\borchestrator_\w+", text)]
        known = {label for metric in metrics for label in metric.value.labels} | {"le"}
        grouped = re.findall(r"by \(([\w, ]+)\)", text)
        assert {label for found in grouped for label in found.split(", ")} <= known


def test_prometheus_parses_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{index}", "expr": text.replace("$__rate_interval", "5m")}
        for index, text in enumerate(expressions())
    ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    promtool("check", "rules", path)


def test_panels_have_their_own_ids_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)


def test_a_bridge_shows_a_series_for_each_of_its_metrics_without_free_labels() -> None:
    shown = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    missing = {
        metric
        for metric in Metric
        if metric.value.program.value == "bridge"
        and (metric.value.values or not metric.value.labels)
        and not set(metric.value.series) <= shown
    }

    assert missing <= {Metric.EVENTS}, "an event is shown once it has happened"
