"""The rules of CONTRACT section 4, one by one: value and references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from orchestrator.core.mapping import Evaluated, Missing, Scope, evaluate, parse, plain
from orchestrator.core.mapping.evaluate import ListOf, OutputOf
from orchestrator.core.properties import NO_PROPERTIES, Properties, parse_properties
from orchestrator.core.refs import Json, Ref
from orchestrator.errors import MappingError

NET, SUB, PLAN = Ref("network", "n1"), Ref("subnet", "s1"), Ref("plan", "big")
OTHERS: dict[Ref, Mapping[str, Json]] = {
    NET: {"id": "n1", "name": "net", "plan_id": "big", "nothing": None, "subnets": ["s1"]},
    SUB: {"id": "s1", "cidr": "10.0.0.0/8", "network_id": "n1"},
    PLAN: {"id": "big", "flavor": "m1", "level": 7},
    Ref("network", "7"): {"id": "7", "name": "seven"},
}
TYPES: dict[str, Properties] = {
    "network": parse_properties(
        {
            "type": "object",
            "properties": {
                "plan_id": {"relation": "plan"},
                "subnets": {"type": "array", "items": {"relation": "subnet"}},
            },
        }
    ),
    "port": parse_properties(
        {
            "type": "object",
            "properties": {
                "network_id": {"relation": "network"},
                "subnet_ids": {"type": "array", "items": {"type": "string", "relation": "subnet"}},
                "ips": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"subnet_id": {"relation": "subnet"}},
                    },
                },
            },
        }
    ),
}


def scope(**here: Json) -> Scope:
    """What a port's mappings see."""
    return Scope(
        Ref("port", "p1"),
        4,
        here,
        OTHERS.get,
        TYPES["port"],
        lambda kind: TYPES.get(kind, NO_PROPERTIES),
    )


def result(mapping: Json, **here: Json) -> Evaluated:
    return evaluate(parse(mapping), scope(**here))


def when(left: Json, right: Json, test: str = "equal") -> Json:
    return {"if_mapping": {test: [left, right]}, "then_mapping": "Cyes", "else_mapping": "Cno"}


def const(value: Json) -> Json:
    return {"constant": value}


VALUES: list[Any] = [
    pytest.param("C3", {}, "3", (), id="constant"),
    pytest.param("Pname", {"name": "x"}, "x", (), id="own property"),
    pytest.param("Pname", {}, None, (), id="a property that is not there is null"),
    pytest.param("Plist", {"list": [{"a": 1}]}, [{"a": 1}], (), id="a property of any kind"),
    pytest.param("Oprimary:ip", {"primary": {"ip": "1"}}, "1", (), id="property of an object"),
    pytest.param("Oprimary:ip", {"primary": None}, None, (), id="property of a null object"),
    pytest.param("Vauto_filled", {}, 4, (), id="version, a number"),
    # Hops
    pytest.param("Fnetwork+network_id:name", {"network_id": "n1"}, "net", (NET,), id="one hop"),
    pytest.param(
        "Fnetwork+network_id:plan+plan_id:flavor",
        {"network_id": "n1"},
        "m1",
        (NET, PLAN),
        id="two hops, in order",
    ),
    pytest.param(
        {"field": "name", "path": ["network_id"]},
        {"network_id": "n1"},
        "net",
        (NET,),
        id="hop by relation",
    ),
    pytest.param(
        {"field": "flavor", "path": ["network_id", "plan_id"]},
        {"network_id": "n1"},
        "m1",
        (NET, PLAN),
        id="relations of others",
    ),
    pytest.param(
        "Fnetwork+network_id:missing",
        {"network_id": "n1"},
        None,
        (NET,),
        id="a field the other has not",
    ),
    pytest.param("Fnetwork+network_id:name", {"network_id": None}, None, (), id="null hop"),
    pytest.param("Fnetwork+network_id:name", {}, None, (), id="absent hop"),
    pytest.param(
        "Fnetwork+network_id:x+nothing:y",
        {"network_id": "n1"},
        None,
        (NET,),
        id="null in the second hop keeps the first",
    ),
    pytest.param(
        "Fnetwork+network_id:name",
        {"network_id": 7},
        "seven",
        (Ref("network", "7"),),
        id="a number as id",
    ),
    # Outputs
    pytest.param(
        "Mnetwork:network_id:id", {"network_id": "n1"}, OutputOf(NET, "id"), (NET,), id="output"
    ),
    pytest.param(
        "Mnetwork:network_id:id", {"network_id": None}, None, (), id="output over a null hop"
    ),
    pytest.param(
        "Mnetwork:network_id:plan:plan_id:id",
        {"network_id": "n1"},
        OutputOf(PLAN, "id"),
        (NET, PLAN),
        id="output over two hops",
    ),
    # Concatenation
    pytest.param("ACx_&Pname&C_&Vauto_filled", {"name": "n"}, "x_n_4", (), id="concatenation"),
    pytest.param(
        "APa&Pb&Pc",
        {"a": None, "b": True, "c": 1.5},
        "true1.5",
        (),
        id="null is nothing, others as JSON",
    ),
    pytest.param(
        "AFnetwork+network_id:name&C-&Fplan+p:level",
        {"network_id": "n1", "p": "big"},
        "net-7",
        (NET, PLAN),
        id="references of parts",
    ),
    # Conditions
    pytest.param(when("Pa", "Cx"), {"a": "x"}, "yes", (), id="equal texts"),
    pytest.param(when("Pa", const(None)), {}, "yes", (), id="null equals null"),
    pytest.param(when("Pa", "C"), {}, "no", (), id="null is not the empty text"),
    pytest.param(when("Pa", "C1"), {"a": 1}, "no", (), id="a number is not its text"),
    pytest.param(when("Pa", const(1)), {"a": True}, "no", (), id="true is not 1"),
    pytest.param(when("Pa", const(1)), {"a": 1.0}, "yes", (), id="1.0 is 1"),
    pytest.param(
        when("Pa", const([1, {"x": None}])), {"a": [1, {"x": None}]}, "yes", (), id="equal lists"
    ),
    pytest.param(
        when("Pa", "Cb", "regexp"), {"a": "abc"}, "no", (), id="regexp matches from the start only"
    ),
    pytest.param(
        when("Pa", "Ca", "regexp"), {"a": "abc"}, "yes", (), id="regexp need not reach the end"
    ),
    pytest.param(
        when("Pa", "C^$", "regexp"),
        {"a": None},
        "yes",
        (),
        id="null counts as the empty text in regexp",
    ),
    pytest.param(
        when("Fnetwork+network_id:name", "Cnet"),
        {"network_id": "n1"},
        "yes",
        (NET,),
        id="references of the condition",
    ),
    pytest.param(
        {
            "if_mapping": {"equal": ["Pa", "Cx"]},
            "then_mapping": "Fnetwork+n:name",
            "else_mapping": "Fplan+p:flavor",
        },
        {"a": "x", "n": "n1", "p": "big"},
        "net",
        (NET,),
        id="only the branch that is taken leaves references",
    ),
    # Lists
    pytest.param(
        {"for_field": "ips", "for_mapping": "Pip"},
        {"ips": [{"ip": 1}, {}]},
        [1, None],
        (),
        id="loop",
    ),
    pytest.param(
        {"for_field": "ips", "for_mapping": "Pip"}, {"ips": None}, [], (), id="loop over null"
    ),
    pytest.param(
        {"for_field": "ips", "for_mapping": "Cx"}, {"ips": []}, [], (), id="loop over nothing"
    ),
    pytest.param(
        {"for_field": "ips", "for_mapping": {"field": ""}},
        {"ips": [1, 2]},
        [1, 2],
        (),
        id="the element itself",
    ),
    pytest.param(
        {"for_field": "ips", "for_mapping": "Vauto_filled"},
        {"ips": [1]},
        [4],
        (),
        id="the version inside a loop",
    ),
    pytest.param(
        {"for_field": "a", "for_mapping": {"for_field": "b", "for_mapping": "Pc"}},
        {"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": []}]},
        [[1, 2], []],
        (),
        id="loop in a loop",
    ),
    pytest.param(
        {
            "for_field": "ids",
            "for_mapping": {"field": "name", "path": [{"type": "network", "id": ""}]},
        },
        {"ids": ["n1", "7"]},
        ["net", "seven"],
        (NET, Ref("network", "7")),
        id="the element is the id",
    ),
    pytest.param(
        {"for_field": "ips", "for_mapping": {"field": "cidr", "path": ["subnet_id"]}},
        {"ips": [{"subnet_id": "s1"}]},
        ["10.0.0.0/8"],
        (SUB,),
        id="relation inside an element",
    ),
    pytest.param(
        {
            "for_field": {"field": "subnets", "path": ["network_id"]},
            "for_mapping": {"path": [{"type": "subnet", "id": ""}], "output_key": "id"},
        },
        {"network_id": "n1"},
        ListOf((OutputOf(SUB, "id"),)),
        (NET, SUB),
        id="list of outputs, over another's list",
    ),
    pytest.param(
        {
            "for_field": "ids",
            "for_mapping": {"path": [{"type": "network", "id": ""}], "output_key": "id"},
        },
        {"ids": ["n1", None]},
        ListOf((OutputOf(NET, "id"), None)),
        (NET,),
        id="list of outputs with a null",
    ),
    pytest.param(
        {
            "for_field": "ids",
            "for_mapping": {"path": [{"type": "network", "id": ""}], "output_key": "id"},
        },
        {"ids": []},
        ListOf(()),
        (),
        id="an empty list of outputs is still one",
    ),
    # ignore_missing
    pytest.param(
        {"field": "name", "path": ["network_id"], "ignore_missing": True},
        {"network_id": "n1"},
        "net",
        (NET,),
        id="ignored, but there",
    ),
    pytest.param(
        {"field": "name", "path": ["network_id"], "ignore_missing": True},
        {"network_id": "gone"},
        "",
        (),
        id="ignored: not there",
    ),
    pytest.param(
        {"field": "name", "path": ["network_id"], "ignore_missing": True},
        {},
        "",
        (),
        id="ignored: null",
    ),
    pytest.param(
        {
            "field": "x",
            "path": ["network_id", {"type": "plan", "id": "nothing"}],
            "ignore_missing": True,
        },
        {"network_id": "n1"},
        "",
        (),
        id="ignored: a way that ends in the middle leaves no references",
    ),
    pytest.param(
        {"path": ["network_id"], "output_key": "id", "ignore_missing": True},
        {},
        "",
        (),
        id="ignored output",
    ),
]


@pytest.mark.parametrize(("mapping", "here", "value", "references"), VALUES)
def test_a_mapping_has_a_value_and_references(
    mapping: Json, here: dict[str, Json], value: Any, references: tuple[Ref, ...]
) -> None:
    assert result(mapping, **here) == Evaluated(value, references)


def test_an_id_of_a_resource_that_is_not_there_holds_back() -> None:
    with pytest.raises(Missing) as caught:
        result("Fnetwork+network_id:name", network_id="gone")
    assert caught.value.ref == Ref("network", "gone")


ERRORS: list[Any] = [
    pytest.param(
        {"field": "x", "path": ["name"]},
        {"name": "y"},
        "port:p1: property 'name' has no relation in the schema",
        id="no relation",
    ),
    pytest.param(
        "Fnetwork+network_id:name",
        {"network_id": ["n1"]},
        "property 'network_id' should hold the id of a network, not a list",
        id="list",
    ),
    pytest.param(
        "Fnetwork+network_id:name", {"network_id": True}, "not true or false", id="boolean"
    ),
    pytest.param(
        {"for_field": "name", "for_mapping": "Px"},
        {"name": "secret"},
        "for_field needs a list, not a text",
        id="loop over a text",
    ),
    pytest.param(
        {"for_field": "a", "for_mapping": "Px"},
        {"a": ["t"]},
        "property 'x' is asked of a text, which is not an object",
        id="text",
    ),
    pytest.param("Oa:b", {"a": 3}, "property 'b' is asked of a number", id="a number is no object"),
    pytest.param(
        "AMnetwork:network_id:id&Cx",
        {"network_id": "n1"},
        "a stack output can be neither concatenated nor compared",
        id="concat",
    ),
    pytest.param(
        when("Pa", "Pb", "regexp"),
        {"a": "x", "b": "(?P=secret)"},
        'the regular expression that "Pb" gives cannot be used: it is wrong at position 4',
        id="a regexp from a property",
    ),
    pytest.param(
        {
            "for_field": "a",
            "for_mapping": {
                "for_field": "b",
                "for_mapping": {"path": [{"type": "network", "id": ""}], "output_key": "id"},
            },
        },
        {"a": [{"b": ["n1"]}]},
        "a loop over outputs inside another loop is not supported",
        id="outputs in two loops",
    ),
]


@pytest.mark.parametrize(("mapping", "here", "text"), ERRORS)
def test_what_does_not_fit_names_the_resource_and_the_place_and_no_value(
    mapping: Json, here: dict[str, Json], text: str
) -> None:
    with pytest.raises(MappingError) as caught:
        result(mapping, **here)
    assert text in str(caught.value)
    assert str(caught.value).startswith("port:p1: ")
    assert "secret" not in str(caught.value)


def test_a_template_path_must_not_need_an_output() -> None:
    with pytest.raises(MappingError, match="port:p1: a stack output cannot be used here"):
        plain(parse("Mnetwork:network_id:id"), scope(network_id="n1"))


def test_comparing_outputs_is_refused() -> None:
    with pytest.raises(MappingError, match="neither concatenated nor compared"):
        result(when("Mnetwork:network_id:id", "Cx"), network_id="n1")
