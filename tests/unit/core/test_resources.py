"""What is wanted, from whatever lies below ``/config``."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.refs import Json, Ref
from orchestrator.core.resources import SIZE_LIMIT, Incoming, Rejected, Wanted, parse_config
from tests.factories import keys

KEYS = keys()
KEY = "/config/v2.0/ports/p1"
P1 = Ref("port", "p1")


def parsed(value: Json, key: str = KEY) -> Incoming:
    return parse_config(KEYS, key, json.dumps(value).encode(), incarnation=5, revision=7)


GOOD: list[Any] = [
    pytest.param(
        {"body": '{"id": "p1", "tenant_id": "t"}', "version": 3}, {"id": "p1", "tenant_id": "t"}, False, id="body as text"
    ),
    pytest.param({"body": {"id": "p1"}, "version": 3}, {"id": "p1"}, False, id="body as object"),
    pytest.param({"body": {}, "version": 3, "marked_for_deletion": False}, {}, False, id="no id in the body"),
    pytest.param({"body": "{}", "version": 3, "marked_for_deletion": True}, {}, True, id="marked"),
    pytest.param({"body": {}, "version": 3, "something": "else"}, {}, False, id="more than we know"),
]


@pytest.mark.parametrize(("value", "body", "marked"), GOOD)
def test_a_config_parses(value: Json, body: Json, marked: bool) -> None:
    assert parsed(value) == Wanted(P1, 3, body, marked, incarnation=5, revision=7)


REJECTED: list[Any] = [
    pytest.param(b"not json", "the value is not JSON: ", id="not JSON"),
    pytest.param(b"", "the value is not JSON: ", id="empty"),
    pytest.param(b"\xff\xfe\x00", "the value is not JSON: ", id="not text"),
    pytest.param(b"[" * 100_000, "the value is not JSON: ", id="too deep for the decoder"),
    pytest.param(b"[]", "the value is not an object", id="a list"),
    pytest.param(b"null", "the value is not an object", id="null"),
    pytest.param(b'{"body": {}}', "no version: expected a whole number from 1, got nothing", id="no version"),
    pytest.param(b'{"body": {}, "version": "1"}', "no version: expected a whole number from 1, got a text", id="version as text"),
    pytest.param(
        b'{"body": {}, "version": 1.5}', "no version: expected a whole number from 1, got a fraction", id="half a version"
    ),
    pytest.param(b'{"body": {}, "version": true}', "no version: expected a whole number from 1, got true or false", id="boolean"),
    pytest.param(b'{"body": {}, "version": 0}', "no version: expected a whole number from 1, got a number", id="version 0"),
    pytest.param(b'{"body": {}, "version": -1}', "no version: expected a whole number from 1", id="negative version"),
    pytest.param(b'{"body": {}, "version": {}}', "no version: expected a whole number from 1, got an object", id="object"),
]


@pytest.mark.parametrize(("value", "reason"), REJECTED)
def test_a_value_without_a_version_is_rejected(value: bytes, reason: str) -> None:
    rejected = parse_config(KEYS, KEY, value)

    assert isinstance(rejected, Rejected)
    assert rejected.key == KEY
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize("key", ["/config/v2.0/what/x", "/config/", "/config/v2.0/ports/"], ids=["type", "nothing", "no id"])
def test_a_key_of_no_known_type_is_rejected(key: str) -> None:
    rejected = parse_config(KEYS, key, b'{"body": {}, "version": 1}')

    assert isinstance(rejected, Rejected)
    assert (rejected.key, rejected.reason.partition(";")[0]) == (key, "no resource type of the schema list has this path")


FAULTS: list[Any] = [
    pytest.param({}, {}, "the body should be an object, not nothing", id="no body"),
    pytest.param({"body": None}, {}, "the body should be an object, not nothing", id="null"),
    pytest.param({"body": "{"}, {}, "the body is not JSON: ", id="text that is not JSON"),
    pytest.param({"body": "[]"}, {}, "the body should be an object, not a list", id="text of a list"),
    pytest.param({"body": 3}, {}, "the body should be an object, not a number", id="number"),
    pytest.param({"body": "3"}, {}, "the body should be an object, not a number", id="text of a number"),
    pytest.param({"body": {"id": "other"}}, {"id": "other"}, "the body's id is not the id in the key", id="another id"),
    pytest.param(
        {"body": {}, "marked_for_deletion": "no"}, {}, "marked_for_deletion should be true or false, not a text", id="mark as text"
    ),
    pytest.param(
        {"body": {}, "marked_for_deletion": None}, {}, "marked_for_deletion should be true or false, not nothing", id="mark null"
    ),
]


@pytest.mark.parametrize(("value", "body", "fault"), FAULTS)
def test_a_readable_version_whose_rest_cannot_be_used_keeps_its_fault(value: dict[str, Json], body: Json, fault: str) -> None:
    wanted = parsed({"version": 3, **value})

    assert isinstance(wanted, Wanted)
    assert wanted.fault.startswith(f"{KEY}: {fault}")
    assert wanted == Wanted(P1, 3, body, False, 5, 7, wanted.fault)


def test_a_value_above_the_limit_is_a_fault_and_one_at_the_limit_is_none() -> None:
    frame = len(json.dumps({"body": {"x": ""}, "version": 1}))
    exact, above = ({"body": {"x": "a" * (SIZE_LIMIT - frame + more)}, "version": 1} for more in (0, 1))
    fault = f"{KEY}: the value has {SIZE_LIMIT + 1} bytes; the limit is {SIZE_LIMIT}"

    assert [getattr(parsed(value), "fault", None) for value in (exact, above)] == ["", fault]


def nested(depth: int) -> Json:
    value: Json = []
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "object"])
def test_a_body_that_is_nested_too_deeply_is_a_fault(as_text: bool) -> None:
    body = nested(150)
    wanted = parsed({"body": json.dumps(body) if as_text else body, "version": 1})

    assert isinstance(wanted, Wanted)
    assert (wanted.fault, dict(wanted.body)) == (f"{KEY}: the body is nested deeper than 100 levels", {})


@pytest.mark.parametrize(("tenant", "told"), [("t1", "t1"), (None, ""), (7, ""), ("", "")], ids=["text", "null", "number", "empty"])
def test_the_tenant_is_the_bodys_if_it_is_a_text(tenant: Json, told: str) -> None:
    assert Wanted(P1, 1, {"tenant_id": tenant}).tenant == told


# Nothing at all makes it raise ---------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(
    st.sampled_from(["body", "version", "marked_for_deletion", "x"]),
    json_values | json_values.map(json.dumps) | st.integers(1, 9),
    max_size=4,
)


@given(
    st.binary(max_size=60) | documents.map(lambda d: json.dumps(d).encode()), st.sampled_from([KEY, "/config/", "/config/v2.0/x/y"])
)
@settings(max_examples=400)
def test_arbitrary_values_are_parsed_or_rejected(value: bytes, key: str) -> None:
    found = parse_config(KEYS, key, value)
    if isinstance(found, Wanted):
        assert found.version >= 1
        with contextlib.suppress(ValueError):
            json.dumps(dict(found.body), allow_nan=False)


def test_a_body_that_came_as_text_reads_as_the_object_it_is() -> None:
    wanted = parsed({"body": '{"id": "p1", "tags": ["a"]}', "version": 1})
    assert isinstance(wanted, Wanted)
    assert (wanted.body, len(wanted.body), list(wanted.body)) == ({"id": "p1", "tags": ["a"]}, 2, ["id", "tags"])
    assert (wanted.body["tags"], wanted.body.get("other"), "id" in wanted.body) == (["a"], None, True)
    assert repr(wanted.body) == "{'id': 'p1', 'tags': ['a']}"
