"""Resource types and what their properties lead to."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.mapping import Constant
from orchestrator.core.properties import NO_PROPERTIES, Properties, parse_properties
from orchestrator.core.refs import Json
from orchestrator.core.schemas import ResourceType, parse_schemas
from orchestrator.errors import InvalidInput


def test_a_schema_list_becomes_types_by_id_and_by_path() -> None:
    schemas = parse_schemas(
        {
            "schemas": [
                {
                    "id": "port",
                    "prefix": "/v2.0/ports",
                    "metadata": {"template_path": "Cport"},
                    "schema": {"properties": {"n": {"relation": "net"}}},
                },
                {"id": "plan", "prefix": "/v2.0/plans/", "metadata": None},
            ]
        }
    )
    a_port = ResourceType("port", "v2.0/ports", Constant("port"), Properties({"n": "net"}))

    assert list(schemas) == [a_port, ResourceType("plan", "v2.0/plans")]
    assert (
        schemas.get("port"),
        schemas.at("v2.0/ports"),
        schemas.get("x"),
        schemas.at("v2.0/x"),
        len(schemas),
    ) == (
        a_port,
        a_port,
        None,
        None,
        2,
    )


def test_the_path_is_the_url_where_there_is_one_and_else_the_prefix() -> None:
    upstream = [
        {"id": "network", "prefix": "/v2.0", "plural": "networks", "url": "/v2.0/networks"},
        {"id": "subnet", "prefix": "/v2.0", "plural": "subnets", "url": "/ns/v2.0/subnets/"},
        {"id": "port", "prefix": "/v2.0/ports", "url": ""},
    ]
    assert [kind.path for kind in parse_schemas(upstream)] == [
        "v2.0/networks",
        "ns/v2.0/subnets",
        "v2.0/ports",
    ]


INDISTINGUISHABLE: list[Any] = [
    pytest.param(
        [{"id": "a", "prefix": "/v2.0"}, {"id": "b", "prefix": "/v2.0"}],
        ["types a and b have one path"],
        id="one path",
    ),
    pytest.param(
        [{"id": "a", "prefix": "/x"}, {"id": "b", "prefix": "/x/y"}],
        ["'x/y' of type b", "of type a"],
        id="inside",
    ),
    pytest.param(
        [{"id": "a", "prefix": "/a"}, {"id": "a", "prefix": "/b"}],
        ["type a is in the schema list twice"],
        id="one id",
    ),
    pytest.param([{"id": "a:b", "prefix": "/a"}], ["type 'a:b'", "colon"], id="colon"),
    pytest.param(
        [
            {"id": "a", "prefix": "/v1/x"},
            {"id": "b", "prefix": "/b", "metadata": {"sync_key_template": "/v1/{{k}}/{{id}}"}},
        ],
        ["types a and b have one path: /v1/x/{{id}} and /v1/{{k}}/{{id}}"],
        id="key template",
    ),
    pytest.param(
        [
            {"id": "a", "prefix": "/a", "metadata": {"sync_key_template": "/v1/{{a}}/x/{{id}}"}},
            {
                "id": "b",
                "prefix": "/b",
                "metadata": {"sync_key_template": "/v1/{{b}}/{{c}}/{{id}}"},
            },
        ],
        ["types a and b have one path"],
        id="two key templates",
    ),
]


@pytest.mark.parametrize(("entries", "words"), INDISTINGUISHABLE)
def test_types_that_cannot_be_told_apart_are_an_error_that_names_both(
    entries: Json, words: list[str]
) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_schemas(entries)
    assert [word for word in words if word not in str(raised.value)] == []


def test_an_abstract_type_has_no_resources_and_needs_no_path() -> None:
    assert [
        kind.id
        for kind in parse_schemas([{"id": "base", "type": "abstract"}, {"id": "a", "prefix": "/a"}])
    ] == ["a"]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("/v1/devices/{{device_id}}", "needs {{id}} exactly once"),
        ("/v1/{{id}}/{{id}}", "needs {{id}} exactly once"),
        ("/{{id}}", "begins with a variable"),
        ("/v1/vm-{{id}}", "a part of the path is a fixed text or one variable"),
        ("/v1//{{id}}", "a part of the path is a fixed text or one variable"),
        (7, "expected a path such as"),
    ],
)
def test_a_key_template_that_cannot_be_read_is_a_fault_of_its_type_alone(
    template: Json, why: str
) -> None:
    entry = {"id": "vm", "url": "/v1/vms", "metadata": {"sync_key_template": template}}
    (kind,) = parse_schemas([entry])
    assert kind.fault.startswith("sync_key_template of type vm: ") and why in kind.fault
    assert kind.key_template is None


def test_a_bare_list_will_do() -> None:
    assert [kind.id for kind in parse_schemas([{"id": "a", "prefix": "/a"}])] == ["a"]


def test_a_template_path_that_does_not_parse_is_kept_as_a_fault_of_its_type_alone() -> None:
    schemas = parse_schemas(
        [
            {"id": "a", "prefix": "/a", "metadata": {"template_path": "Xa"}},
            {"id": "b", "prefix": "/b"},
        ]
    )

    fault = (
        "template_path of type a: mapping 'Xa': starts with 'X'; known are A, C, F, M, O, P and V"
    )
    assert list(schemas) == [ResourceType("a", "a", fault=fault), ResourceType("b", "b")]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="no list"),
        pytest.param(None, id="nothing"),
        pytest.param("schemas", id="a text"),
        pytest.param([{"id": "a"}], id="no prefix"),
        pytest.param([{"prefix": "/a"}], id="no id"),
        pytest.param(["a"], id="names only"),
    ],
)
def test_what_is_no_schema_list_is_refused(document: Json) -> None:
    with pytest.raises(InvalidInput):
        parse_schemas(document)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"id": "a", "prefix": "/a", "metadata": "text"}, id="metadata as text"),
        pytest.param(
            {"id": "a", "prefix": "/a", "metadata": ["template_path"]}, id="metadata as list"
        ),
        pytest.param({"id": "a", "prefix": "/a", "schema": "text"}, id="schema as text"),
        pytest.param(
            {"id": "a", "prefix": "/a", "schema": {"properties": {"x": "text"}}},
            id="a property as text",
        ),
    ],
)
def test_odd_parts_of_an_entry_count_as_absent_or_are_refused_but_never_crash(entry: Json) -> None:
    try:
        assert [kind.id for kind in parse_schemas([entry])] == ["a"]
    except InvalidInput as error:
        assert "a" in str(error)


PROPERTIES: list[Any] = [
    pytest.param(
        {"properties": {"n": {"type": "string", "relation": "net"}, "x": {}}},
        Properties({"n": "net"}),
        id="relation",
    ),
    pytest.param(
        {"properties": {"ids": {"items": {"relation": "net"}}}},
        Properties({}, {"ids": Properties({"": "net"})}),
        id="list of ids",
    ),
    pytest.param(
        {"properties": {"ips": {"items": {"properties": {"s": {"relation": "sub"}}}}}},
        Properties({}, {"ips": Properties({"s": "sub"})}),
        id="list of objects",
    ),
    pytest.param(
        {"properties": {"o": {"properties": {"s": {"relation": "sub"}}}}},
        Properties({}, {"o": Properties({"s": "sub"})}),
        id="object",
    ),
    pytest.param({"properties": {"x": {"type": "string"}}}, NO_PROPERTIES, id="no relations"),
    pytest.param(None, NO_PROPERTIES, id="no schema"),
    pytest.param({"properties": []}, NO_PROPERTIES, id="properties as list"),
]


@pytest.mark.parametrize(("schema", "properties"), PROPERTIES)
def test_relations_are_found_at_any_depth(schema: Json, properties: Properties) -> None:
    assert parse_properties(schema) == properties


def test_below_a_property_without_relations_there_are_none() -> None:
    assert Properties({"a": "b"}).below("x") is NO_PROPERTIES
