"""A schema list as a value, and as it is kept in etcd."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from orchestrator.clients import catalogue
from orchestrator.core import schema_list
from orchestrator.core.checks.bodies import Shape
from orchestrator.core.records import SchemasRecord, SchemaTrouble, stored_schemas
from orchestrator.core.schema_list import SchemaList, not_at_home
from orchestrator.core.schemas import Schemas, parse_schemas
from orchestrator.errors import InvalidInput

from tests.gohan.types import entry, own_entries

ITEMS = {"type": "array", "items": {"type": "string", "relation": "port"}}
NESTED = {
    "type": "object",
    "properties": {"of": {"type": "array", "items": {"properties": {"x": {"relation": "a"}}}}},
}
ENTRIES = [
    *own_entries(),
    entry(
        "port",
        schema={"properties": {"network_id": {"relation": "network"}, "name": {"type": "string"}}},
    ),
    entry(
        "server",
        template_path={
            "if_mapping": {"equal": ["Pa", "Cb"]},
            "then_mapping": "Cs",
            "else_mapping": "Ct",
        },
    ),
    entry("group", schema={"properties": {"ports": ITEMS, "deep": NESTED}}, state_versioning=True),
    entry(
        "vm",
        prefix="/v1.0",
        sync_key_template="/v1.0/devices/{{device_id}}/vms/{{id}}",
        sync_skip_config_prefix=True,
    ),
    entry("broken", template_path="Xwhat"),
    entry("note", sync_plain=True),
    {"id": "old", "prefix": "/v2.0/olds"},
]


def listed(document: Any = ENTRIES) -> SchemaList:
    return SchemaList.of(document, "http://gohan", "2026-11-27T21:49:01Z")


@pytest.mark.parametrize(
    "document", [ENTRIES, catalogue.load().schema_list], ids=["upstream", "catalogue"]
)
def test_what_is_kept_of_a_list_makes_the_same_types(document: Any) -> None:
    kept = {kind.id: kind for kind in listed(document).schemas()}
    assert kept == {kind.id: kind for kind in parse_schemas(document)}


def test_a_list_comes_back_from_etcd_as_it_was() -> None:
    before = listed()
    after = stored_schemas(SchemasRecord.of(before).to_json().encode(), before.data().encode())

    assert after == before
    assert (
        str(after.schemas(17).origin)
        == "the schema list of http://gohan (revision 17, read at 2026-11-27T21:49:01Z)"
    )
    assert str(after.schemas().origin) == "the schema list of http://gohan"


def test_the_record_that_workers_read_with_every_claim_is_small() -> None:
    assert len(SchemasRecord.of(listed()).to_json()) < 250


@pytest.mark.parametrize("part", ["record", "data"])
@pytest.mark.parametrize("value", [b"", b"{", b"{}", b"null", b"AAAA", b"\xff", b'{"source": 1}'])
def test_records_that_make_no_list_are_told(part: str, value: bytes) -> None:
    stored = {
        "record": SchemasRecord.of(listed()).to_json().encode(),
        "data": listed().data().encode(),
        part: value,
    }
    with pytest.raises((ValueError, InvalidInput)):
        stored_schemas(stored["record"], stored["data"])


def test_records_of_two_lists_are_no_list() -> None:
    with pytest.raises(ValueError, match="digest"):
        stored_schemas(
            SchemasRecord.of(listed()).to_json().encode(), listed(ENTRIES[:-1]).data().encode()
        )


def test_five_hundred_types_are_stored_in_a_tenth_of_the_limit() -> None:
    many = [
        entry(
            f"type_{n}",
            schema={
                "properties": {f"property_{n}_{m}": {"relation": f"type_{m}"} for m in range(30)}
            },
        )
        for n in range(500)
    ]
    assert len(listed(many).data()) < schema_list.LARGEST_STORED / 10


def test_a_list_that_etcd_would_not_take_is_told_before() -> None:
    random.seed(7)
    many = [
        entry(f"type_{n}", template_path=f"C{random.randbytes(2000).hex()}") for n in range(1000)
    ]
    with pytest.raises(InvalidInput, match="the schema list is too large: 1000 types take"):
        listed(many).data()


@pytest.mark.parametrize(
    "document", [[], {"schemas": []}, list(own_entries()), [entry("a", nosync=True)]]
)
def test_a_list_without_any_type_of_resources_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInput, match="names no type of resources"):
        listed(document)


MOVES: list[Any] = [
    pytest.param([entry("a")], [], id="another type"),
    pytest.param([], ["a"], id="none"),
    pytest.param([entry("a", prefix="/v3")], ["a"], id="another path"),
    pytest.param([entry("a", sync_key_template="/x/{{id}}")], ["a"], id="other keys"),
    pytest.param([entry("a", nosync=True)], ["a"], id="no resource"),
    pytest.param(
        [entry("a", template_path="Ca", state_versioning=True)], [], id="another template"
    ),
]


@pytest.mark.parametrize(("after", "moved"), MOVES)
def test_a_type_is_not_at_home_where_its_resources_would_not_be_found(
    after: Any, moved: list[str]
) -> None:
    before = parse_schemas([entry("a")])
    assert [kind.id for kind in not_at_home(before, parse_schemas([entry("b"), *after]))] == moved
    assert list(not_at_home(Schemas(()), before)) == []


def test_what_keeps_a_list_out_of_force_comes_back_as_it_was() -> None:
    trouble = SchemaTrouble("a page", "http://gohan", "2026-11-27T21:49:01Z", refused=True)
    assert SchemaTrouble.from_json(trouble.to_json()) == trouble
    assert json.loads(trouble.to_json())["refused"] is True


BODIES = {
    "type": "object",
    "title": "A port",
    "properties": {
        "title": {"type": "string", "title": "Title", "enum": ["a", "b"], "description": "Either."},
        "rules": {
            "type": "array",
            "items": {"type": "object", "properties": {"weight": {"type": "integer"}}},
        },
    },
    "required": ["title"],
    "propertiesOrder": ["title"],
}


def test_bodies_are_held_to_the_same_schema_by_the_list_that_etcd_has() -> None:
    own = Shape(BODIES)
    before = listed([entry("a", schema=BODIES)])
    kept = stored_schemas(
        SchemasRecord.of(before).to_json().encode(), before.data().encode()
    ).schemas(1)

    for body in (
        {"title": "a"},
        {"title": "c"},
        {},
        {"title": "a", "rules": [{"weight": "x"}]},
        {"titel": "a"},
    ):
        found = [str(finding) for finding in Shape(kept.json_schema("a")).check(body)]
        assert found == [str(finding) for finding in own.check(body)]


def test_titles_and_descriptions_change_no_list() -> None:
    told = {**BODIES, "title": "Another", "propertiesOrder": []}

    assert listed([entry("a", schema=told)]).digest == listed([entry("a", schema=BODIES)]).digest
    assert (
        listed([entry("a", schema={**BODIES, "required": []})]).digest
        != listed([entry("a", schema=BODIES)]).digest
    )


def test_a_list_that_was_stored_without_schemas_of_bodies_checks_none() -> None:
    (now,) = listed([entry("a", schema=BODIES)]).entries
    older = {name: value for name, value in now.items() if name != "bodies"}

    assert SchemaList("x", "t", (older,)).schemas().json_schema("a") is None
