"""Whatever somebody writes: a clear error that names the key and the reason, and the rest goes on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from orchestrator.core.refs import Ref

from tests.scripted.heat import ScriptedHeat

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

_numbers = itertools.count(1)


def fresh(name: str) -> str:
    """An id of the test's own: the tests share one system."""
    return f"{name}-{next(_numbers)}"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with (
        ScriptedHeat() as heat,
        system(
            tmp_path_factory.mktemp("bad") / "system", heat.environment(), schemas=NODE_SCHEMAS
        ) as running,
    ):
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def good_one(nodes: System) -> None:
    """The rest goes on: a good resource written afterwards is built."""
    nodes.await_state(nodes.put("node", fresh("good")), "CREATE_COMPLETED")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("{", "not JSON", id="not JSON"),
        pytest.param('"text"', "not an object", id="a text"),
        pytest.param('{"body": {}, "version": -1}', "no version", id="version below 0"),
        pytest.param(
            '{"body": {"x": NaN}, "version": 1}', "not JSON", id="a number that JSON has not"
        ),
        pytest.param('{"body": {}, "version": "1"}', "no version", id="version is a text"),
        pytest.param('{"body": {}, "version": true}', "no version", id="version is true"),
        pytest.param("[" * 100_000, "not JSON", id="endless nesting"),
    ],
)
def test_a_value_without_a_usable_version_is_logged_with_its_key_and_skipped(
    nodes: System, value: str, reason: str
) -> None:
    bad = Ref("node", fresh("bad"))
    nodes.put_raw(bad, value)
    good_one(nodes)
    log = nodes.bridges[0].log_tail(2000)
    line = next(
        line
        for line in log.splitlines()
        if "Config skipped" in line and f"/config/v1/nodes/{bad.id} " in line
    )
    assert reason in line
    assert nodes.state(bad) is None
    nodes.remove(bad)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param({"body": "{", "version": 1}, "body is not JSON", id="body is not JSON"),
        pytest.param({"body": [1], "version": 1}, "body should be an object", id="body is a list"),
        pytest.param(
            {"body": {"id": "other"}, "version": 1}, "id is not the id in the key", id="another id"
        ),
        pytest.param(
            {"body": {"x": "y" * 1_000_000}, "version": 1}, "the limit is", id="1 MB body"
        ),
        pytest.param(
            {"body": {}, "version": 1, "marked_for_deletion": "no"},
            "marked_for_deletion",
            id="mark is a text",
        ),
    ],
)
def test_a_value_with_a_version_gets_a_failed_state_that_names_the_key(
    nodes: System, value: Any, reason: str
) -> None:
    bad = Ref("node", fresh("bad"))
    nodes.put_raw(bad, json.dumps(value))
    state = nodes.await_state(bad, "CREATE_FAILED")
    assert f"/config/v1/nodes/{bad.id}" in state["error"] and reason in state["error"]
    good_one(nodes)
    nodes.put("node", bad.id, version=2)
    nodes.await_state(bad, "CREATE_COMPLETED", 2)


def test_a_key_of_no_known_type_is_logged_and_skipped(nodes: System) -> None:
    nodes.store.put("/config/v1/unknown_things/x", '{"body": {}, "version": 1}')
    good_one(nodes)
    assert "/config/v1/unknown_things/x" in nodes.bridges[0].log_tail(2000)


def test_a_missing_relation_holds_the_resource_back_visibly_until_it_is_there(
    nodes: System,
) -> None:
    child = nodes.put("node", "child", parent_id="late")
    held = nodes.until(lambda: nodes.record(nodes.keys.held, child))
    assert held["waits_for"] == {"resource_type": "node", "resource_id": "late"}
    assert "node:late" in held["reason"]
    nodes.put("node", "late")
    nodes.await_state(child, "CREATE_COMPLETED")
    assert nodes.record(nodes.keys.held, child) is None


def test_references_in_a_circle_are_refused_by_name_and_can_be_mended(nodes: System) -> None:
    one = nodes.put("node", "one", parent_id="two")
    two = nodes.put("node", "two", parent_id="one")
    first, second = (nodes.await_state(ref, "CREATE_FAILED") for ref in (one, two))
    assert any(
        "circle" in state["error"] and "node:one" in state["error"] and "node:two" in state["error"]
        for state in (first, second)
    )
    good_one(nodes)
    nodes.put("node", "one", version=2)
    nodes.await_state(one, "CREATE_COMPLETED", 2)
    # Without the reference of the one, the other is in no circle any more.
    nodes.await_state(two, "CREATE_COMPLETED", 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            {"parameter_mappings": {"value": "Xnonsense"}}, "Xnonsense", id="mapping does not parse"
        ),
        pytest.param({"template_file": "{% if %}"}, "line 1", id="Jinja2 does not parse"),
        pytest.param({"template_file": "{{ jinja_unknown }}"}, "jinja_unknown", id="unknown name"),
        pytest.param({"template_file": "{{ 1 // 0 }}"}, "ZeroDivisionError", id="expression fails"),
        pytest.param(
            {"template_file": "{{ ''.__class__.__mro__ }}"}, "unsafe", id="out of the sandbox"
        ),
        pytest.param({"handler": "other"}, "handler", id="unknown handler"),
        pytest.param(
            {"parameter_mappings": {"heat_timeout": "Cnever"}},
            "heat_timeout",
            id="timeout is no number",
        ),
    ],
)
def test_a_broken_template_fails_its_resources_with_its_name_and_a_better_one_repairs(
    nodes: System, change: dict[str, Any], reason: str
) -> None:
    nodes.put("heat_template", "node", version=2, **{**NODE_TEMPLATE, **change})
    bad = nodes.put("node", fresh("bad"), text="t")
    state = nodes.await_state(bad, "CREATE_FAILED")
    assert "template node" in state["error"] and reason in state["error"]
    nodes.put("heat_template", "node", version=3, **NODE_TEMPLATE)
    nodes.await_state(bad, "CREATE_COMPLETED")


def test_a_template_that_is_not_there_holds_back_and_comes_late(nodes: System) -> None:
    nodes.remove(Ref("heat_template", "node"))
    early = nodes.put("node", "early")
    held = nodes.until(lambda: nodes.record(nodes.keys.held, early))
    assert "template 'node'" in held["reason"]
    nodes.put("heat_template", "node", **NODE_TEMPLATE)
    nodes.await_state(early, "CREATE_COMPLETED")
