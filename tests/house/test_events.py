"""Each event has a name in one enumeration, and is counted in the function that tells it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from orchestrator.bridge.metrics import Metrics
from orchestrator.events import EventCounts, EventName
from orchestrator.metrics.shapes import Metric

from .sources import ROOT, nodes

PAGE = (ROOT / "docs" / "howto" / "monitoring.md").read_text()

COUNTED = [
    path
    for folder in ("orchestrator/bridge", "orchestrator/clients", "orchestrator/history", "tasks")
    for path in (ROOT / folder).rglob("*.py")
]
"""Where each event that is told is counted too."""


def product() -> Iterator[Path]:
    """The files of the product, without the sandbox."""
    for folder in ("orchestrator", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            if "sandbox" not in path.parts:
                yield path


def told(nodes: Iterable[ast.AST]) -> set[str]:
    """The events in dictionaries of fields: ``{"event": "leading"}``, and ``event="leading"``."""
    names = set()
    for inner in nodes:
        if isinstance(inner, ast.Dict):
            pairs = list(zip(inner.keys, inner.values, strict=True))
        elif isinstance(inner, ast.Call):
            pairs = [(ast.Constant(word.arg), word.value) for word in inner.keywords]
        else:
            continue
        for key, value in pairs:
            is_event = isinstance(key, ast.Constant) and key.value == "event"
            if is_event and isinstance(value, ast.Constant):
                names.add(str(value.value))
    return names


def counted(nodes: Iterable[ast.AST]) -> set[str]:
    """The events of ``count(EventName.LEADING)``."""
    return {
        EventName[name].value
        for call in nodes
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "count"
        for name in re.findall(r"^count\(EventName\.([A-Z_]+)\)$", ast.unparse(call))
    }


def functions(path: Path) -> Iterator[ast.AST]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("path", sorted(COUNTED), ids=lambda path: "-".join(path.parts[-2:]))
def test_a_function_counts_the_events_that_it_tells(path: Path) -> None:
    wrong = {}
    for function in functions(path):
        inside = list(ast.walk(function))
        if (names := told(inside)) != (found := counted(inside)):
            wrong[getattr(function, "name", "")] = (names, found)
    assert wrong == {}


def test_every_event_of_a_log_line_is_in_the_enumeration_and_no_other_is() -> None:
    names: set[str] = set()
    for path in product():
        names |= told(nodes(path)) | counted(nodes(path))
    # These two are told from one place, which counts them by a variable.
    names |= {EventName.SCHEMAS_REFUSED, EventName.SCHEMAS_UNAVAILABLE}

    assert names == {event.value for event in EventName}


def test_every_event_is_explained_to_operators_and_no_other_is() -> None:
    table = PAGE.partition("| event | by | means |")[2].partition("\n\n")[0]
    names: set[str] = set()
    for row in table.splitlines()[2:]:
        names |= set(re.findall(r"`(\w+)`", row.split("|")[1]))

    assert names == {event.value for event in EventName}


def test_every_metric_is_explained_to_operators_and_no_other_is() -> None:
    names = set(re.findall(r"^\| `(orchestrator_\w+)", PAGE, re.MULTILINE))

    assert names == {metric.value.shown for metric in Metric}


def test_every_event_says_in_a_sentence_what_has_happened() -> None:
    for event in EventName:
        assert re.fullmatch(r"[A-Zes].*\.", event.help), event


def test_what_is_counted_is_what_prometheus_gets() -> None:
    events = EventCounts()
    for _ in range(3):
        events.count(EventName.HELD)
    events.count(EventName.LEADING)
    lines = Metrics(events).text().decode().splitlines()

    assert [line for line in lines if line.startswith("orchestrator_events")] == [
        'orchestrator_events_total{event="leading"} 1.0',
        'orchestrator_events_total{event="held"} 3.0',
    ]
