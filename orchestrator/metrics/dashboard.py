"""The Grafana dashboard, made from the list of metrics.

``python -m orchestrator.metrics.dashboard`` writes ``deploy/grafana/dashboard.json``.
With ``--check`` it only says whether that is up to date. The panels are in :mod:`.panels`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .panels import ROWS, Panel, PanelRow
from .shapes import Metric

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboard.json"

_WIDTH = 24
"""Columns of a Grafana dashboard."""
_NUMBER_HEIGHT, _GRAPH_HEIGHT = 4, 8
_GRAPHS_ABREAST = 2
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Document = dict[str, object]


def dashboard() -> Document:
    """The dashboard as Grafana reads it (schema version 39, Grafana 10.3 and later)."""
    return {
        "uid": "orchestrator",
        "title": "Orchestrator",
        "description": "Made by `python -m orchestrator.metrics.dashboard`.",
        "tags": ["orchestrator"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": list(_panels()),
    }


def _variables() -> list[Document]:
    """What a reader chooses at the top."""
    leading = Metric.LEADING.value.shown
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        {
            "name": "namespace",
            "type": "query",
            "datasource": _SOURCE,
            "query": f"label_values({leading}, namespace)",
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]


def _panels() -> Iterator[Document]:
    """The rows and their panels, from top to bottom, numbered."""
    number = top = 0
    for row in ROWS:
        number += 1
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": top}
        yield _row(row, number, place)
        top += 1
        for panel, at in _placed(row, top):
            number += 1
            yield _panel(panel, number, at)
            top = max(top, at["y"] + at["h"])


def _placed(row: PanelRow, top: int) -> Iterator[tuple[Panel, dict[str, int]]]:
    """The panels of a row, each with its place."""
    numbers = row.panels[0].number
    abreast = len(row.panels) if numbers else _GRAPHS_ABREAST
    height = _NUMBER_HEIGHT if numbers else _GRAPH_HEIGHT
    width = _WIDTH // abreast
    begin = top
    for index, panel in enumerate(row.panels):
        line, column = divmod(index, abreast)
        yield (
            panel,
            {
                "h": height,
                "w": width,
                "x": column * width,
                "y": begin + line * height,
            },
        )


def _row(row: PanelRow, number: int, place: dict[str, int]) -> Document:
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> Document:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "expr": query.expression,
            "legendFormat": query.legend or "__auto",
        }
        for index, query in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": "stat" if panel.number else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def main(arguments: Sequence[str]) -> int:
    """Write the file, or check it; the exit code."""
    text = json.dumps(dashboard(), indent=2) + "\n"
    if "--check" not in arguments:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text)
        return 0
    if FILE.exists() and FILE.read_text() == text:
        return 0
    print(
        f"{FILE.name} is not up to date; run: python -m {__spec__.name}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
