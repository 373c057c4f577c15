"""Files become documents, or errors that name the file and the line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.cli import documents, naming
from orchestrator.core.checks.bodies import Shapes
from orchestrator.core.keys import Keys
from orchestrator.core.refs import Ref
from orchestrator.errors import InvalidInput


def check(keys: Keys, *raw: Any, validate: bool = False) -> list[documents.Document]:
    """Documents as lines of JSON: the number of each is its line."""
    text = "\n".join(map(json.dumps, raw))
    shapes = Shapes(keys.schemas.json_schema) if validate else None
    return documents.check(keys, documents.parse_text(text, "f.json"), shapes=shapes)


def values(text: str, name: str = "f.yaml") -> list[Any]:
    return [raw.value for raw in documents.parse_text(text, name)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(
            "f.yaml",
            "type: port\nid: a\nbody: {}\n---\n---\ntype: port\nid: b\nbody: {}\n",
            id="YAML documents",
        ),
        pytest.param(
            "f.yaml",
            "- {type: port, id: a, body: {}}\n- {type: port, id: b, body: {}}\n",
            id="a YAML list",
        ),
        pytest.param(
            "f.json",
            '[{"type": "port", "id": "a", "body": {}}, {"type": "port", "id": "b", "body": {}}]',
            id="a JSON list",
        ),
        pytest.param(
            "-",
            '{"type": "port", "id": "a", "body": {}}\n{"type": "port", "id": "b", "body": {}}\n',
            id="JSON lines",
        ),
        pytest.param(
            "-",
            "{type: port, id: a, body: {}}\n---\n{type: port, id: b, body: {}}",
            id="YAML that looks like JSON",
        ),
    ],
)
def test_every_form_of_several_documents_is_read(name: str, text: str) -> None:
    assert values(text, name) == [
        {"type": "port", "id": "a", "body": {}},
        {"type": "port", "id": "b", "body": {}},
    ]


def test_dates_and_times_stay_the_texts_they_are() -> None:
    assert values("when: 2018-08-31\nat: 12:30:45\nhot: {heat_template_version: 2018-08-31}") == [
        {"when": "2018-08-31", "at": "12:30:45", "hot": {"heat_template_version": "2018-08-31"}}
    ]


def test_a_mac_address_of_digits_stays_the_text_that_was_typed(keys: Keys) -> None:
    """YAML 1.1 takes 52:54:00:12:34:56 for the number 41135085296; 52:54:00 is QEMU's own prefix."""
    text = "type: port\nid: port-mac\nbody:\n  tenant_id: t1\n  network_id: net-front\n  mac_address: 52:54:00:12:34:56\n"

    (document,) = documents.check(
        keys, documents.parse_text(text, "f.yaml"), shapes=Shapes(keys.schemas.json_schema)
    )

    assert document.body["mac_address"] == "52:54:00:12:34:56"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("a: [\nsecret: canary\n", "f.yaml:3: ", id="not closed"),
        pytest.param("a: 1\na: 2\n", "f.yaml:2: key 'a' is there twice", id="key twice"),
        pytest.param(
            "a: 1\nb: !!python/object:os.system {}\n", "f.yaml:2: the tag ", id="foreign tag"
        ),
        pytest.param(
            "a: 1\nb: .nan\n", "f.yaml:2: .nan: JSON has no such number", id="no number of JSON"
        ),
        pytest.param(
            '{"a": 1,\n"a": 2}', "f.yaml:2: key 'a' is there twice", id="key of JSON twice"
        ),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line_and_without_its_text(
    text: str, error: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        documents.parse_text(text, "f.yaml")

    assert str(raised.value).startswith(error)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(7, "expected an object with type, id and body", id="no object"),
        pytest.param(
            {"type": "prot", "id": "a", "body": {}},
            "unknown type 'prot'; did you mean port or router?",
            id="unknown type",
        ),
        pytest.param({"id": "a", "body": {}}, "the type is missing", id="no type"),
        pytest.param({"type": "port", "body": {}}, "the id is missing", id="no id"),
        pytest.param(
            {"type": "port", "id": 5, "body": {}},
            "the id should be a text; put it in quotes: 5",
            id="id a number",
        ),
        pytest.param(
            {"type": "port", "id": "a b", "body": {}},
            "the id 'a b' cannot be used: it is part of the stack's name",
            id="space",
        ),
        pytest.param(
            {"type": "tenant", "id": "a/b", "body": {}},
            "the id 'a/b' cannot be used: no '/'",
            id="slash",
        ),
        pytest.param({"type": "port", "id": "a"}, "port:a: the body is missing", id="no body"),
        pytest.param(
            {"type": "port", "id": "a", "body": "{}"},
            "port:a: the body should be an object",
            id="body a text",
        ),
        pytest.param(
            {"type": "port", "id": "a", "body": {"id": "b"}},
            "port:a: the body has another id",
            id="two ids",
        ),
        pytest.param(
            {"type": "port", "id": "a", "bdy": {}},
            "unknown key 'bdy'; did you mean body?",
            id="misspelt key",
        ),
        pytest.param(
            {"type": "port", "id": "a", "body": {"t": "x" * 600_000}},
            "/config/v2.0/ports/a: the value has 600",
            id="too large",
        ),
    ],
)
def test_a_document_that_cannot_be_used_says_why(keys: Keys, raw: Any, error: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(keys, {"type": "port", "id": "good", "body": {}}, raw)

    assert str(raised.value).startswith(f"f.json:2: {error}")


def test_the_words_of_other_systems_are_told_what_they_are_called_here(keys: Keys) -> None:
    text = "apiVersion: v1\nkind: port\nmetadata: {name: a}\nspec: {}\n"

    with pytest.raises(InvalidInput) as raised:
        documents.check(keys, documents.parse_text(text, "f.yaml"))

    assert str(raised.value).split("\n") == [
        "f.yaml:1: there is no 'apiVersion' here; leave it out; a document has type, id and body",
        "f.yaml:2: 'kind' is called type here; a document has type, id and body",
        "f.yaml:3: there is no 'metadata' here: its name is the id, and the rest belongs into the body; "
        "a document has type, id and body",
        "f.yaml:4: 'spec' is called body here; a document has type, id and body",
    ]


def test_all_faults_are_told_at_once(keys: Keys) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(
            keys,
            1,
            {"type": "port", "id": "a", "body": {}},
            {"type": "port", "id": "a", "body": {}},
        )

    assert str(raised.value).split("\n") == [
        "f.json:1: expected an object with type, id and body",
        "f.json:3: port:a is in f.json:2 already",
    ]


BODIES = """\
type: port
id: a
body:
  tenant_id: t1
  netwrk_id: net-front
  admin_state_up: on
  fixed_ips:
  - ip_address: 192.0.2.1
---
type: subnet
id: b
body: {tenant_id: t1, network_id: n, cidr: 192.0.2.0/24, ip_version: 5}
"""


def test_every_fault_of_every_body_is_told_at_the_line_of_its_property(keys: Keys) -> None:
    with pytest.raises(InvalidInput) as raised:
        documents.check(
            keys, documents.parse_text(BODIES, "f.yaml"), shapes=Shapes(keys.schemas.json_schema)
        )

    assert sorted(str(raised.value).split("\n")) == [
        "f.yaml:12: subnet:b: body.ip_version: should be one of 4, 6",
        "f.yaml:3: port:a: body: network_id is missing",
        "f.yaml:5: port:a: body.netwrk_id: there is no property 'netwrk_id'; did you mean network_id?",
        "f.yaml:6: port:a: body.admin_state_up: should be true or false, not a text; write true or false, as JSON does",
        "f.yaml:8: port:a: body.fixed_ips[0]: subnet_id is missing",
    ]


def test_without_schemas_bodies_are_taken_as_they_are(keys: Keys) -> None:
    assert len(documents.check(keys, documents.parse_text(BODIES, "f.yaml"))) == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            {"template_file": "{% if x %}"},
            "line 1 of the template: Unexpected end of template",
            id="Jinja2",
        ),
        pytest.param(
            {"template_file": "x", "parameter_mappings": {"name": "name"}},
            "template t, parameter name: mapping 'name': starts with 'n'",
            id="a mapping",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_told_before_it_is_written(
    keys: Keys, body: dict[str, Any], error: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(keys, {"type": "heat_template", "id": "t", "body": body}, validate=True)

    assert error in str(raised.value)


def test_a_document_that_multiplies_itself_is_stopped() -> None:
    """Ten lines of YAML aliases can stand for billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(
        InvalidInput, match=r"^f\.yaml:\d+: (the document has|aliases make) more than 200000 values"
    ):
        documents.parse_text("\n".join(lines), "f.yaml")


@pytest.mark.parametrize("name", ["port", "ports", "v2.0/ports", "/v2.0/ports"])
def test_a_type_goes_by_its_name_its_plural_and_its_path(keys: Keys, name: str) -> None:
    assert naming.resource(keys, name, "a") == Ref("port", "a")


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ((None, None), (None, None)),
        (("port", None), ("port", None)),
        (("port", "a"), ("port", "a")),
        (("port:a", None), ("port", "a")),
        (("tenant:a:b", None), ("tenant", "a:b")),
    ],
)
def test_what_an_answer_calls_a_resource_can_be_typed(given: Any, understood: Any) -> None:
    assert naming.split(*given) == understood
