"""What is wanted, from whatever lies below ``/config``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Json, Ref
from orchestrator.core.resources import (
    SIZE_LIMIT,
    Ignored,
    Incoming,
    Rejected,
    Wanted,
    parse_config,
    tenant_fault,
)
from orchestrator.core.schemas import ResourceType, Schemas, parse_schemas

from tests.factories import keys
from tests.properties import TIMES

KEYS = keys()
KEY = "/config/v2.0/ports/p1"
P1 = Ref("port", "p1")


def parsed(value: Json, key: str = KEY) -> Incoming:
    return parse_config(KEYS, key, json.dumps(value).encode(), incarnation=5, revision=7)


GOOD: list[Any] = [
    pytest.param(
        {"body": '{"id": "p1", "tenant_id": "t"}', "version": 3},
        {"id": "p1", "tenant_id": "t"},
        False,
        id="body as text",
    ),
    pytest.param({"body": {"id": "p1"}, "version": 3}, {"id": "p1"}, False, id="body as object"),
    pytest.param(
        {"body": {}, "version": 3, "marked_for_deletion": False}, {}, False, id="no id in the body"
    ),
    pytest.param({"body": "{}", "version": 3, "marked_for_deletion": True}, {}, True, id="marked"),
    pytest.param(
        {"body": {}, "version": 3, "something": "else"}, {}, False, id="more than we know"
    ),
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
    pytest.param(
        b'{"body": {}, "version": "1"}',
        "no version: expected a whole number from 0, got a text",
        id="version as text",
    ),
    pytest.param(
        b'{"body": {}, "version": 1.5}',
        "no version: expected a whole number from 0, got a fraction",
        id="half a version",
    ),
    pytest.param(
        b'{"body": {}, "version": true}',
        "no version: expected a whole number from 0, got true or false",
        id="boolean",
    ),
    pytest.param(
        b'{"body": {}, "version": 9223372036854775808}',
        "no version: expected a whole number from 0",
        id="huge version",
    ),
    pytest.param(
        b'{"body": {"x": NaN}, "version": 1}',
        "the value is not JSON: NaN is no JSON",
        id="not a number",
    ),
    pytest.param(
        b'{"body": {"x": -1e999}, "version": 1}',
        "the value is not JSON: a number that is out of range",
        id="too large",
    ),
    pytest.param(
        b'{"body": {}, "version": -1}',
        "no version: expected a whole number from 0",
        id="negative version",
    ),
    pytest.param(
        b'{"body": {}, "version": {}}',
        "no version: expected a whole number from 0, got an object",
        id="object",
    ),
]


@pytest.mark.parametrize(("value", "reason"), REJECTED)
def test_a_value_without_a_version_is_rejected(value: bytes, reason: str) -> None:
    rejected = parse_config(KEYS, KEY, value)

    assert isinstance(rejected, Rejected)
    assert rejected.key == KEY
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize(
    ("value", "version"), [({"body": {}}, 0), ({"body": {}, "version": 0}, 0)], ids=["none", "0"]
)
def test_a_config_of_an_unversioned_type_may_have_no_version(value: Json, version: int) -> None:
    wanted = parsed(value)
    assert isinstance(wanted, Wanted)
    assert (wanted.version, wanted.fault) == (version, "")


def test_a_config_of_a_versioned_type_has_one() -> None:
    versioned = Keys(Prefixes(), Schemas([ResourceType("port", "v2.0/ports", versioned=True)]))
    rejected = parse_config(versioned, KEY, b'{"body": {}}')
    assert rejected == Rejected(KEY, "no version: expected a whole number from 0, got nothing")
    assert isinstance(parse_config(versioned, KEY, b'{"body": {}, "version": 0}'), Wanted)


def test_an_id_with_a_slash_is_told_so() -> None:
    rejected = parse_config(KEYS, "/config/v2.0/ports/a/b", b'{"body": {}, "version": 1}')
    assert rejected == Rejected(
        "/config/v2.0/ports/a/b", "the id 'a/b' of type port contains a slash, which an id must not"
    )


def test_a_key_that_is_not_utf8_is_rejected_though_its_value_is_sound() -> None:
    rejected = parse_config(KEYS, "/config/v2.0/ports/\udcff\udcfe", b'{"body": {}, "version": 1}')
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith("the key is not UTF-8; remove it")


def test_a_number_in_the_body_is_the_same_id_as_its_digits_in_the_key() -> None:
    seven = parse_config(KEYS, "/config/v2.0/ports/7", b'{"body": {"id": 7}, "version": 1}')
    other = parse_config(KEYS, "/config/v2.0/ports/7", b'{"body": {"id": 8}, "version": 1}')
    truth = parse_config(KEYS, "/config/v2.0/ports/1", b'{"body": {"id": true}, "version": 1}')
    assert [getattr(found, "fault", None) for found in (seven, other, truth)] == [
        "",
        "/config/v2.0/ports/7: the body's id is not the id in the key",
        "/config/v2.0/ports/1: the body's id is not the id in the key",
    ]


@pytest.mark.parametrize(
    "metadata", [{"nosync": True}, {"sync_plain": True}, {"sync_property": "value"}], ids=str
)
def test_what_a_type_that_is_no_resource_writes_is_left_alone(metadata: Json) -> None:
    plain = Keys(
        Prefixes(), parse_schemas([{"id": "note", "prefix": "/v1/notes", "metadata": metadata}])
    )
    assert parse_config(plain, "/config/v1/notes/n", b"any text") == Ignored("/config/v1/notes/n")


def test_two_writes_of_the_same_have_one_digest_and_another_body_or_mark_has_another() -> None:
    values: list[Json] = [
        {"body": {"id": "p1", "a": 1}, "version": 1},
        {"version": 2, "body": '{"a":1,"id":"p1"}'},
        {"body": {"id": "p1", "a": 2}, "version": 1},
        {"body": {"id": "p1", "a": 1}, "version": 1, "marked_for_deletion": True},
        {"body": "{", "version": 1},
        {"body": "[", "version": 1},
    ]
    found = [parsed(value) for value in values]
    digests = [wanted.digest() for wanted in found if isinstance(wanted, Wanted)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == len(values) - 1


TENANTS: list[Any] = [
    pytest.param("t1", "", id="text"),
    pytest.param(None, "tenant_id is missing", id="null"),
    pytest.param("", "tenant_id is missing", id="empty"),
    pytest.param(
        42, "tenant_id should be a text, the id of an OpenStack project, not a number", id="number"
    ),
    pytest.param(
        ["t1"], "tenant_id should be a text, the id of an OpenStack project, not a list", id="list"
    ),
    pytest.param(
        True,
        "tenant_id should be a text, the id of an OpenStack project, not true or false",
        id="boolean",
    ),
    pytest.param(
        "t1/../t2", "tenant_id should be the id of an OpenStack project, not a path", id="path"
    ),
    pytest.param("..", "tenant_id should be the id of an OpenStack project, not a path", id="up"),
    pytest.param(
        "a\n", "tenant_id should be a printable text of at most 255 characters", id="line"
    ),
    pytest.param(
        "a" * 256, "tenant_id should be a printable text of at most 255 characters", id="long"
    ),
]


@pytest.mark.parametrize(("tenant", "fault"), TENANTS)
def test_a_tenant_that_cannot_be_a_project_is_told(tenant: Json, fault: str) -> None:
    found = tenant_fault({"tenant_id": tenant})
    assert found.startswith(fault) and bool(found) == bool(fault)


@pytest.mark.parametrize(
    "key",
    ["/config/v2.0/what/x", "/config/", "/config/v2.0/ports/"],
    ids=["type", "nothing", "no id"],
)
def test_a_key_of_no_known_type_is_rejected(key: str) -> None:
    rejected = parse_config(KEYS, key, b'{"body": {}, "version": 1}')

    assert isinstance(rejected, Rejected)
    assert (rejected.key, rejected.reason.partition(";")[0]) == (
        key,
        "no resource type of the schema list has this path",
    )


FAULTS: list[Any] = [
    pytest.param({}, {}, "the body should be an object, not nothing", id="no body"),
    pytest.param({"body": None}, {}, "the body should be an object, not nothing", id="null"),
    pytest.param({"body": "{"}, {}, "the body is not JSON: ", id="text that is not JSON"),
    pytest.param(
        {"body": "[]"}, {}, "the body should be an object, not a list", id="text of a list"
    ),
    pytest.param({"body": 3}, {}, "the body should be an object, not a number", id="number"),
    pytest.param(
        {"body": "3"}, {}, "the body should be an object, not a number", id="text of a number"
    ),
    pytest.param(
        {"body": {"id": "other"}},
        {"id": "other"},
        "the body's id is not the id in the key",
        id="another id",
    ),
    pytest.param(
        {"body": {}, "marked_for_deletion": "no"},
        {},
        "marked_for_deletion should be true or false, not a text",
        id="mark as text",
    ),
    pytest.param(
        {"body": {}, "marked_for_deletion": None},
        {},
        "marked_for_deletion should be true or false, not nothing",
        id="mark null",
    ),
]


@pytest.mark.parametrize(("value", "body", "fault"), FAULTS)
def test_a_readable_version_whose_rest_cannot_be_used_keeps_its_fault(
    value: dict[str, Json], body: Json, fault: str
) -> None:
    wanted = parsed({"version": 3, **value})

    assert isinstance(wanted, Wanted)
    assert wanted.fault.startswith(f"{KEY}: {fault}")
    assert wanted == Wanted(P1, 3, body, False, 5, 7, wanted.fault)


def test_a_value_above_the_limit_is_a_fault_and_one_at_the_limit_is_none() -> None:
    frame = len(json.dumps({"body": {"x": ""}, "version": 1}))
    exact, above = (
        {"body": {"x": "a" * (SIZE_LIMIT - frame + more)}, "version": 1} for more in (0, 1)
    )
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
    assert (wanted.fault, dict(wanted.body)) == (
        f"{KEY}: the body is nested deeper than 100 levels",
        {},
    )


@pytest.mark.parametrize(
    ("tenant", "told"),
    [("t1", "t1"), (None, ""), (7, ""), ("", "")],
    ids=["text", "null", "number", "empty"],
)
def test_the_tenant_is_the_bodys_if_it_is_a_text(tenant: Json, told: str) -> None:
    assert Wanted(P1, 1, {"tenant_id": tenant}).tenant == told


# Nothing at all makes it raise ---------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
documents = st.dictionaries(
    st.sampled_from(["body", "version", "marked_for_deletion", "x"]),
    json_values | json_values.map(json.dumps) | st.integers(1, 9),
    max_size=4,
)


@given(
    st.binary(max_size=60) | documents.map(lambda d: json.dumps(d).encode()),
    st.sampled_from([KEY, "/config/", "/config/v2.0/x/y"]),
)
@settings(max_examples=150 * TIMES)
def test_arbitrary_values_are_parsed_or_rejected(value: bytes, key: str) -> None:
    found = parse_config(KEYS, key, value)
    if isinstance(found, Wanted):
        assert found.version >= 0
        assert json.loads(json.dumps(dict(found.body), allow_nan=False)) == dict(found.body)


def test_a_body_that_came_as_text_reads_as_the_object_it_is() -> None:
    wanted = parsed({"body": '{"id": "p1", "tags": ["a"]}', "version": 1})
    assert isinstance(wanted, Wanted)
    assert (wanted.body, len(wanted.body), list(wanted.body)) == (
        {"id": "p1", "tags": ["a"]},
        2,
        ["id", "tags"],
    )
    assert (wanted.body["tags"], wanted.body.get("other"), "id" in wanted.body) == (
        ["a"],
        None,
        True,
    )
    assert repr(wanted.body) == "{'id': 'p1', 'tags': ['a']}"
