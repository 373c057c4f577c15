"""Files become documents, or errors that name the file and the document."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli import documents
from orchestrator.core.keys import Keys
from orchestrator.core.refs import Ref
from orchestrator.errors import InvalidInput


def check(keys: Keys, *raw: Any) -> list[documents.Document]:
    return documents.check(keys, [(f"f, document {number}", document) for number, document in enumerate(raw, 1)])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("f.yaml", "type: port\nid: a\nbody: {}\n---\n---\ntype: port\nid: b\nbody: {}\n", id="YAML documents"),
        pytest.param("f.yaml", "- {type: port, id: a, body: {}}\n- {type: port, id: b, body: {}}\n", id="a YAML list"),
        pytest.param(
            "f.json", '[{"type": "port", "id": "a", "body": {}}, {"type": "port", "id": "b", "body": {}}]', id="a JSON list"
        ),
        pytest.param("-", '{"type": "port", "id": "a", "body": {}}\n{"type": "port", "id": "b", "body": {}}\n', id="JSON lines"),
        pytest.param("-", "{type: port, id: a, body: {}}\n---\n{type: port, id: b, body: {}}", id="YAML that looks like JSON"),
    ],
)
def test_every_form_of_several_documents_is_read(name: str, text: str) -> None:
    assert documents.parse_text(text, name) == [{"type": "port", "id": "a", "body": {}}, {"type": "port", "id": "b", "body": {}}]


def test_dates_and_times_stay_the_texts_they_are() -> None:
    assert documents.load_yaml("when: 2018-08-31\nhot: {heat_template_version: 2018-08-31}") == [
        {"when": "2018-08-31", "hot": {"heat_template_version": "2018-08-31"}}
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(
            "a: [\nsecret: canary\n", "f.yaml: line 3, column 1: expected ',' or ']', but got '<stream end>'", id="not closed"
        ),
        pytest.param("a: 1\na: 2\n", "f.yaml: line 2, column 1: key 'a' is there twice", id="key twice"),
        pytest.param(
            "a: !!python/object:os.system {}\n", "f.yaml: line 1, column 4: could not determine a constructor", id="foreign tag"
        ),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line_and_without_its_text(text: str, error: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        documents.parse_text(text, "f.yaml")

    assert str(raised.value).startswith(error)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(7, "expected an object with type, id and body", id="no object"),
        pytest.param(
            {"type": "prot", "id": "a", "body": {}}, "unknown type 'prot'; did you mean port or router?", id="unknown type"
        ),
        pytest.param({"id": "a", "body": {}}, "the type is missing", id="no type"),
        pytest.param({"type": "port", "body": {}}, "the id is missing", id="no id"),
        pytest.param({"type": "port", "id": 5, "body": {}}, "the id should be a text; put it in quotes: 5", id="id a number"),
        pytest.param(
            {"type": "port", "id": "a b", "body": {}}, "the id 'a b' cannot be used: it is part of the stack's name", id="space"
        ),
        pytest.param({"type": "tenant", "id": "a/b", "body": {}}, "the id 'a/b' cannot be used: no '/'", id="slash"),
        pytest.param({"type": "port", "id": "a"}, "port:a: the body is missing", id="no body"),
        pytest.param({"type": "port", "id": "a", "body": "{}"}, "port:a: the body should be an object", id="body a text"),
        pytest.param({"type": "port", "id": "a", "body": {"id": "b"}}, "port:a: the body has another id", id="two ids"),
        pytest.param({"type": "port", "id": "a", "bdy": {}}, "unknown key 'bdy'; did you mean body?", id="misspelt key"),
        pytest.param(
            {"type": "port", "id": "a", "body": {False: 1}}, "port:a: body: key yes, no, on or off should be a text", id="bare no"
        ),
        pytest.param({"type": "port", "id": "a", "body": {"n": float("nan")}}, "port:a: body.n: JSON has no such number", id="NaN"),
        pytest.param(
            {"type": "port", "id": "a", "body": {"n": [{"s": b""}]}}, "port:a: body.n[0].s: JSON has no value of this", id="bytes"
        ),
        pytest.param(
            {"type": "port", "id": "a", "body": {"t": "x" * 600_000}}, "/config/v2.0/ports/a: the value has 600", id="too large"
        ),
    ],
)
def test_a_document_that_cannot_be_used_says_why(keys: Keys, raw: Any, error: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(keys, {"type": "port", "id": "good", "body": {}}, raw)

    assert str(raised.value).startswith(f"f, document 2: {error}")


def test_all_faults_are_told_at_once(keys: Keys) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(keys, 1, {"type": "port", "id": "a", "body": {}}, {"type": "port", "id": "a", "body": {}})

    assert str(raised.value).split("\n       ") == [
        "f, document 1: expected an object with type, id and body",
        "f, document 3: port:a is in f, document 2 already",
    ]


def test_a_document_that_multiplies_itself_is_stopped(keys: Keys) -> None:
    """Ten lines of YAML aliases can stand for billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (body,) = documents.load_yaml("\n".join(lines))

    with pytest.raises(InvalidInput, match="too large or nested too deep"):
        check(keys, {"type": "port", "id": "a", "body": body})


@pytest.mark.parametrize("name", ["port", "ports", "v2.0/ports", "/v2.0/ports"])
def test_a_type_goes_by_its_name_its_plural_and_its_path(keys: Keys, name: str) -> None:
    assert documents.resource(keys, name, "a") == Ref("port", "a")


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
    assert documents.split(*given) == understood
