"""Bodies are held to their type's JSON schema, and every fault is told in words, never with the value."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.checks.bodies import Shape
from orchestrator.core.checks.formats import FORMATS
from orchestrator.core.refs import Ref

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "tenant_id": {"type": "string", "relation": "tenant"},
        "network_id": {"type": "string", "relation": "network"},
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "up": {"type": ["boolean", "null"]},
        "direction": {"type": "string", "enum": ["ingress", "egress"]},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "address": {"type": "string", "format": "ipv4"},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "port_id": {"type": "string", "relation": "port"},
                    "weight": {"type": "number"},
                },
                "required": ["port_id"],
            },
        },
        "groups": {
            "type": "array",
            "items": {"type": "string", "relation": "group"},
            "uniqueItems": True,
        },
        "free": {"type": "object"},
    },
    "required": ["tenant_id", "network_id"],
    "propertiesOrder": ["id"],
}
GOOD = {"id": "a", "tenant_id": "t", "network_id": "n"}


def faults(body: dict[str, Any], schema: Any = SCHEMA, **options: bool) -> list[str]:
    return [str(finding) for finding in Shape(schema).check(body, **options)]


def test_a_body_that_fits_has_no_fault() -> None:
    assert (
        faults(
            {
                **GOOD,
                "size": 3,
                "up": None,
                "direction": "egress",
                "rules": [{"port_id": "p"}],
                "free": {"x": 1},
            }
        )
        == []
    )


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (
            {"size": "3"},
            "size: should be a whole number, not a text; write the number as JSON does",
        ),
        ({"size": 0}, "size: should be at least 1"),
        ({"size": 11}, "size: should be at most 10"),
        (
            {"up": "on"},
            "up: should be true or false, not a text; write true or false, as JSON does",
        ),
        (
            {"direction": "ingres"},
            "direction: should be one of ingress, egress; did you mean ingress",
        ),
        ({"name": 5}, "name: should be a text, not a whole number; put it in quotes"),
        ({"name": "ABC"}, "name: should match the pattern ^[a-z]+$"),
        ({"name": "abcdef"}, "name: should have no more characters than 5"),
        ({"address": "10.0.0.256"}, "address: should be an IPv4 address"),
        ({"rules": [{"port_id": "p"}, {"weight": 1}]}, "rules[1]: port_id is missing"),
        (
            {"rules": [{"port_id": "p", "wight": 1}]},
            "rules[0].wight: there is no property 'wight'; did you mean weight?",
        ),
        ({"groups": ["a", "a"]}, "groups: should not have an element twice"),
        ({"netwrk": 1}, "netwrk: there is no property 'netwrk'; did you mean network_id?"),
        ({"network_id": None}, "network_id: should be a text, not null"),
    ],
)
def test_what_does_not_fit_is_told(part: dict[str, Any], fault: str) -> None:
    (found,) = faults({**GOOD, **part})

    assert found.startswith(fault)


def test_what_is_missing_is_told_at_once() -> None:
    assert faults({"id": "a"}) == ["tenant_id is missing", "network_id is missing"]
    assert faults({"id": "a"}, whole=False) == []


def test_null_is_absent() -> None:
    assert (
        faults(
            {**GOOD, "name": None, "direction": None, "rules": [{"port_id": "p", "weight": None}]}
        )
        == []
    )


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(None, id="no schema"),
        pytest.param({"type": "object"}, id="a schema that says nothing"),
        pytest.param({"properties": {"x": {"type": "uuid"}}}, id="an unknown type"),
        pytest.param({"properties": {"x": {"pattern": "("}}}, id="a pattern that does not compile"),
        pytest.param(
            {"properties": {"x": {"required": True, "enum": [], "minimum": "1"}}},
            id="words of other dialects",
        ),
        pytest.param({"properties": {"x": "string"}}, id="a property that is no schema"),
        pytest.param(
            {"properties": {"x": {}}, "id": {"a": 1}, "$schema": 7, "$ref": []},
            id="addresses that are none",
        ),
        pytest.param({"properties": {"x": {"format": "gohan-only"}}}, id="an unknown format"),
        pytest.param(
            {"properties": {"y": {}}, "additionalProperties": True}, id="more properties allowed"
        ),
        pytest.param(
            {"properties": {"y": {}}, "anyOf": [{"properties": {"x": {}}}]},
            id="schemas put together",
        ),
    ],
)
def test_what_a_schema_does_not_say_is_not_checked(schema: Any) -> None:
    assert faults({"x": "anything"}, schema) == []


def test_a_document_elsewhere_is_not_fetched() -> None:
    schema = {"properties": {"x": {"$ref": "http://127.0.0.1:1/schema"}}}

    (finding,) = Shape(schema).check({"x": 1})

    assert finding.hint
    assert "refers to a document that is not at hand" in finding.text


@pytest.mark.parametrize(
    ("pattern", "text", "told"),
    [
        ("(a+)+$", "a" * 40 + "b", "n: should match the pattern (a+)+$"),
        ("(a+)+$", "b" * 40 + "a", ""),
        (r"(a*)*\1b$", "a" * 50, "n: its pattern takes too long to match; it is unchecked"),
        ("x" * 2000, "x", "n: its pattern takes too long to match; it is unchecked"),
    ],
)
def test_a_pattern_that_python_would_try_for_hours_ends(pattern: str, text: str, told: str) -> None:
    assert (
        faults({"n": text}, {"properties": {"n": {"type": "string", "pattern": pattern}}})
        == [told][: bool(told)]
    )


def test_a_pattern_of_names_that_python_would_try_for_hours_is_left_out() -> None:
    schema = {
        "properties": {"n": {}},
        "patternProperties": {"(a+)+$": {"type": "integer"}, "^b": {"type": "integer"}},
    }

    assert faults({"a" * 40 + "c": "x", "b": "x"}, schema) == [
        "b: should be a whole number, not a text"
    ]


def test_no_more_than_a_hundred_faults_are_told() -> None:
    assert len(faults({**GOOD, "rules": [{} for _ in range(500)]})) == 100


def test_relations_are_found_at_any_depth() -> None:
    body = {**GOOD, "rules": [{"port_id": "p"}, {"port_id": None}], "groups": ["g", ""]}

    assert list(Shape(SCHEMA).relations(body)) == [
        (("tenant_id",), Ref("tenant", "t")),
        (("network_id",), Ref("network", "n")),
        (("rules", 0, "port_id"), Ref("port", "p")),
        (("groups", 0), Ref("group", "g")),
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ipv6", "2001:db8::1", "10.0.0.1"),
        ("cidr", "192.0.2.0/24", "192.0.2.0"),
        ("cidr-or-ipv4", "192.0.2.7", "192.0.2"),
        ("mac", "52:54:00:12:34:56", "52:54:00:12:34"),
        ("uuid", "8a6e08042bd04672b79dd97027f9071a", "8a6e0804"),
        ("hyph-uuid", "8a6e0804-2bd0-4672-b79d-d97027f9071a", "8a6e08042bd04672b79dd97027f9071a"),
        ("non-hyph-uuid-or-empty", "", "8a6e0804-2bd0-4672-b79d-d97027f9071a"),
        ("uri", "http://collector:7070", "a b"),
        ("hostname", "vpn.example.net", "-vpn"),
        ("email", "a@example.net", "a"),
        ("date-time", "2026-01-31T12:00:00Z", "2026-01-31"),
        ("date", "2026-01-31", "2026-02-30"),
        ("regex", "a+", "("),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    fits, _ = FORMATS[name]

    assert (fits(good), fits(bad)) == (True, False)
