"""What of each type of the catalogue a sweep compares: as the page says, and without a false alarm."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from orchestrator.core.drift import Inspection, compare_properties, compare_request
from orchestrator.core.records import DriftKind
from orchestrator.core.refs import Json
from orchestrator.core.rendering import StackRequest
from orchestrator.core.source import read_hot

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The program that writes the table of the page."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(DOCS)
        return importlib.import_module("drift_table")


@pytest.fixture(scope="module")
def requests(script: ModuleType) -> list[tuple[str, StackRequest]]:
    """What Heat is asked in each worked case of the catalogue."""
    return list(script.requests())


def as_text(value: Json) -> str:
    """A parameter as Heat shows it (openstack-heat 27, ``heat.engine.parameters``)."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, bool) else json.dumps(value)


def as_shown(value: Json, parameter: Mapping[str, Json]) -> str:
    if parameter.get("hidden"):
        return "******"
    if parameter["type"] == "comma_delimited_list" and isinstance(value, list):
        return ",".join(map(str, value))
    return as_text(value)


def kept(request: StackRequest) -> Inspection:
    """A stack as Heat has it directly after it was asked."""
    [document] = read_hot(request.template)
    template = json.loads(json.dumps(document.value))
    declared: Mapping[str, Mapping[str, Json]] = template.get("parameters") or {}
    shown: dict[str, str] = {"OS::stack_name": request.name}
    for name, parameter in declared.items():
        value = request.parameters.get(name)
        value = parameter.get("default") if value is None else value
        shown[name] = as_shown(value, parameter)
    return Inspection(template, shown, resources=())


def test_the_page_says_what_is_compared_of_each_type(script: ModuleType) -> None:
    page = (DOCS / "howto" / "drift.md").read_text(encoding="utf-8")

    assert script.PAGE.renewed(page) == page, "run python docs/drift_table.py"


def test_what_heat_was_asked_for_is_no_drift_in_any_case(
    requests: list[tuple[str, StackRequest]],
) -> None:
    assert len({name for name, _ in requests}) == 15
    for name, request in requests:
        examined = compare_request(request, kept(request))
        assert examined.deviations == (), name
        assert compare_properties(kept(request)).deviations == (), name


def _altered(request: StackRequest) -> Iterator[tuple[str, Inspection]]:
    """The stack of a request with another value of one parameter, for each that is not hidden."""
    shown = kept(request)
    for name, value in shown.parameters.items():
        if value != "******" and not name.startswith("OS::"):
            parameters = {**shown.parameters, name: f"{value}-theirs"}
            yield name, Inspection(shown.template, parameters)


def test_each_parameter_that_somebody_changes_is_found(
    requests: list[tuple[str, StackRequest]],
) -> None:
    for kind, request in requests:
        for name, shown in _altered(request):
            found = compare_request(request, shown).deviations
            assert [(one.kind, one.name) for one in found] == [(DriftKind.PARAMETER, name)], kind
