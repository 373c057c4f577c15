"""Template, parameters, live properties and outputs, as they were asked for and as Heat shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from orchestrator.core.drift import (
    Examined,
    Inspection,
    Skipped,
    compare_outputs,
    compare_properties,
    compare_request,
)
from orchestrator.core.drift.alike import alike
from orchestrator.core.records import Deviation, DriftKind, StackRecord
from orchestrator.core.refs import Json, StackName
from orchestrator.core.rendering import StackRequest
from orchestrator.core.source import read_hot

from tests.factories import TENANT, network

HOT = """
heat_template_version: 2018-08-31
description: A network.
parameters:
  name: {type: string, default: ""}
  mtu: {type: number, default: 1500}
  secret: {type: string, hidden: true, default: ""}
resources:
  net:
    type: OS::Neutron::Net
    properties:
      name: {get_param: name}
      admin_state_up: true
      dns_domain: {str_replace: {template: a, params: {}}}
outputs:
  id: {value: {get_resource: net}}
"""


def document(text: str = HOT) -> Any:
    [read] = read_hot(text)
    return json.loads(json.dumps(read.value))


def asked(text: str = HOT, **parameters: Json) -> StackRequest:
    return StackRequest(StackName("network_n1"), TENANT, text, parameters, 3)


def shown(
    parameters: Mapping[str, str],
    template: Any = None,
    attributes: Mapping[str, Json] | None = None,
    outputs: list[Json] | None = None,
) -> Inspection:
    resources = None
    if attributes is not None:
        resources = [{"resource_name": "net", "attributes": attributes}]
    return Inspection(template or document(), parameters, resources, outputs)


def found(examined: Examined) -> list[tuple[DriftKind, str]]:
    return [(one.kind, one.name) for one in examined.deviations]


USUAL = {"name": "dmz", "mtu": "1500", "secret": "******", "OS::stack_id": "b1a7"}


def test_what_was_asked_for_is_no_drift() -> None:
    given = asked(name="dmz", mtu=None, secret="hunter2")
    examined = compare_request(given, shown(USUAL))

    assert found(examined) == []
    assert examined.not_compared == ["hidden parameters (secret)"]


def test_a_parameter_with_another_value_is_named_without_its_value() -> None:
    examined = compare_request(asked(name="dmz", mtu=9000), shown({**USUAL, "name": "theirs"}))

    assert found(examined) == [(DriftKind.PARAMETER, "name"), (DriftKind.PARAMETER, "mtu")]
    assert "theirs" not in str(examined) and "9000" not in str(examined)


@pytest.mark.parametrize("part", ["description", "resources", "outputs", "parameters"])
def test_another_template_is_told_by_the_part_that_differs(part: str) -> None:
    template = {**document(), part: {"x": {"type": "string"}}}
    examined = compare_request(asked(name="dmz"), shown(USUAL, template))

    assert found(examined) == [(DriftKind.TEMPLATE, part)]


def test_an_empty_part_may_be_left_out() -> None:
    text = f"{HOT}conditions: {{}}\n"

    assert found(compare_request(asked(text, name="dmz"), shown(USUAL))) == []


def test_a_template_that_cannot_be_read_is_not_compared() -> None:
    examined = compare_request(asked("{", name="dmz"), shown(USUAL))

    assert examined.not_compared == ["a template that cannot be read"]
    assert found(examined) == []


@pytest.mark.parametrize(
    ("given", "as_text", "same"),
    [
        ("a", "a", True),
        ("a", "b", False),
        (None, "", True),
        (5, "5", True),
        (5, "5.0", True),
        ("5", "5", True),
        (5, "6", False),
        (True, "True", True),
        ("true", "True", True),
        (False, "True", False),
        (["a", "b"], '["a", "b"]', True),
        (["a", "b"], "a,b", True),
        (["a", "b"], "b,a", False),
        (["a"], "a", True),
        (["a"], "b", False),
        ([], "", True),
        ([], "[]", True),
        ([{"b": 1, "a": 2}], '[{"a": 2, "b": 1}]', True),
        ({"a": 1}, '{"a": 1}', True),
        ({"a": 1}, '{"a": 2}', False),
        ('["a"]', '["a"]', True),
        ("[", "[", True),
    ],
)
def test_a_value_is_the_same_however_heat_writes_it(given: Json, as_text: str, same: bool) -> None:
    assert alike(given, as_text) is same


# Live properties ----------------------------------------------------------------------------------


def test_a_live_property_that_was_changed_is_named() -> None:
    live = {"name": "dmz", "admin_state_up": False, "status": "ACTIVE"}
    examined = compare_properties(shown(USUAL, attributes=live))

    assert found(examined) == [(DriftKind.PROPERTY, "net.admin_state_up")]
    assert examined.not_compared == ["properties made by functions (net.dns_domain)"]


@pytest.mark.parametrize(
    ("wanted", "live", "differs"),
    [
        (True, True, False),
        (True, False, True),
        (1500, "1500", False),
        ("00:AA", "00:aa", False),
        ("front", "back", True),
        ("front", "0f8c5a0b-6d3e-4d0f-9a7b-1c2d3e4f5a6b", None),
        ("front", {"id": "x"}, None),
        ("front", None, None),
        ("", "chosen", False),
        (None, "chosen", False),
        (["b", "a"], ["a", "b"], False),
        (["a"], ["a", "b"], True),
        ([{"port": "x"}], ["x"], None),
        ({"a": 1}, {"a": 1}, None),
    ],
)
def test_only_what_is_shown_in_the_same_form_is_compared(
    wanted: Json, live: Json, differs: bool | None
) -> None:
    """None: it is told that it is not compared."""
    template = document()
    template["resources"]["net"]["properties"] = {"thing": wanted}
    examined = compare_properties(shown(USUAL, template, {"thing": live}))

    assert bool(found(examined)) is bool(differs)
    assert bool(examined.skipped) is (differs is None)


@pytest.mark.parametrize(
    ("kind", "as_text"), [("json", '["a", "b"]'), ("comma_delimited_list", "a,b")]
)
def test_a_list_in_a_parameter_is_compared_as_a_list(kind: str, as_text: str) -> None:
    template = document()
    template["resources"]["net"]["properties"] = {"tags": {"get_param": "tags"}}
    template["parameters"]["tags"] = {"type": kind}
    parameters = {**USUAL, "tags": as_text}

    assert found(compare_properties(shown(parameters, template, {"tags": ["b", "a"]}))) == []
    assert found(compare_properties(shown(parameters, template, {"tags": ["b"]}))) == [
        (DriftKind.PROPERTY, "net.tags")
    ]


def test_a_hidden_parameter_is_not_compared() -> None:
    template = document()
    template["resources"]["net"]["properties"] = {"admin_pass": {"get_param": "secret"}}
    examined = compare_properties(shown(USUAL, template, {"admin_pass": "x"}))

    assert examined.not_compared == ["properties with a hidden value (net.admin_pass)"]


# Outputs ------------------------------------------------------------------------------------------


def output(key: str, value: Json, **more: Json) -> Json:
    return {"output_key": key, "output_value": value, "description": "", **more}


def test_outputs_are_compared_with_those_that_are_recorded() -> None:
    before = [output("id", "a"), output("gone", 1), output("same", {"x": 1})]
    now = [output("id", "b"), output("same", {"x": 1}), output("new", 2)]
    record = StackRecord.of(network(), TENANT, "CREATE_COMPLETE", before)
    examined = compare_outputs(record, shown(USUAL, outputs=now))

    assert found(examined) == [
        (DriftKind.OUTPUT, "id"),
        (DriftKind.OUTPUT, "gone"),
        (DriftKind.OUTPUT, "new"),
    ]


def test_an_output_that_heat_cannot_compute_is_not_compared() -> None:
    record = StackRecord.of(network(), TENANT, "CREATE_COMPLETE", [output("id", "a")])
    examined = compare_outputs(
        record, shown(USUAL, outputs=[output("id", None, output_error="not now")])
    )

    assert examined == Examined(skipped=(Skipped("outputs that Heat cannot compute", "id"),))


def test_a_reason_is_told_once_with_a_few_names() -> None:
    skipped = [Skipped("outputs", f"o{number}") for number in range(7)]
    examined = Examined(skipped=(*skipped, Skipped("all else")))

    assert examined.not_compared == ["outputs (o0, o1, o2, o3, o4 and 2 more)", "all else"]


def test_what_a_template_says_to_ignore_is_left_out() -> None:
    kinds = (
        Deviation(DriftKind.PARAMETER, "name"),
        Deviation(DriftKind.PROPERTY, "net.tags"),
        Deviation(DriftKind.PROPERTY, "net.name"),
        Deviation(DriftKind.STATUS),
    )
    examined = Examined(kinds, (Skipped("hidden parameters", "secret"),))

    assert [one.name for one in examined.without(["name", "net.tags"]).deviations] == [
        "net.name",
        "",
    ]
    assert [one.name for one in examined.without(["net"]).deviations] == ["name", ""]
