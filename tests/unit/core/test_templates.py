"""Templates as they are pushed, and what is said about those that cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.core.mapping import Constant, Field
from orchestrator.core.refs import Json
from orchestrator.core.templates import BadTemplate, Template, parse_template, parse_template_value
from orchestrator.errors import TemplateError

BODY: dict[str, Json] = {
    "id": "port",
    "handler": "heat_worker",
    "watch": [],
    "template_file": "heat_template_version: x",
    "parameter_mappings": {"z": "C1", "a": "Pname"},
}
PARSED = Template("port", "heat_template_version: x", (("z", Constant("1")), ("a", Field("name"))))


@pytest.mark.parametrize("body", [BODY, json.dumps(BODY)], ids=["object", "text"])
def test_a_template_keeps_its_mappings_in_the_order_of_writing(body: Json) -> None:
    assert parse_template_value("port", json.dumps({"body": body, "version": 1}).encode()) == PARSED


def test_handler_watch_and_mappings_may_be_left_out() -> None:
    assert parse_template("port", {"template_file": "x"}) == Template("port", "x", ())


BAD: list[Any] = [
    pytest.param("text", "template port: the body should be an object", id="text"),
    pytest.param(None, "template port: the body should be an object", id="nothing"),
    pytest.param(
        {**BODY, "handler": "shell"},
        "template port: unknown handler 'shell'; known is 'heat_worker'",
        id="handler",
    ),
    pytest.param(
        {**BODY, "template_file": ""},
        "template port: template_file should be the template's text",
        id="empty",
    ),
    pytest.param(
        {**BODY, "template_file": {}},
        "template port: template_file should be the template's text",
        id="template as object",
    ),
    pytest.param(
        {**BODY, "parameter_mappings": ["a"]},
        "template port: parameter_mappings should be an object",
        id="mappings as list",
    ),
    pytest.param(
        {**BODY, "parameter_mappings": {"ip": "Xq"}},
        "template port, parameter ip: mapping 'Xq': starts with 'X'",
        id="a mapping",
    ),
]


@pytest.mark.parametrize(("body", "reason"), BAD)
def test_a_template_that_cannot_be_used_says_why(body: Json, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template("port", body)
    assert str(caught.value).startswith(reason)
    if not isinstance(body, str):
        assert parse_template_value("port", json.dumps({"body": body}).encode()) == BadTemplate(
            "port", str(caught.value)
        )


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"body": "{"}'],
    ids=["empty", "half", "bytes", "deep", "body"],
)
def test_a_value_that_is_not_json_is_a_bad_template(value: bytes) -> None:
    found = parse_template_value("port", value)

    assert isinstance(found, BadTemplate)
    assert found.reason.startswith("template port: not JSON: ")


def test_a_revision_names_the_content_in_whatever_order_it_is_written() -> None:
    mappings = {"z": "C1", "a": "Pname"}
    one = parse_template("port", {"template_file": "x", "parameter_mappings": mappings})
    turned = dict(reversed(mappings.items()))
    same = parse_template("port", {"parameter_mappings": turned, "template_file": "x"})
    other_text = parse_template("port", {"template_file": "y", "parameter_mappings": mappings})
    other_mappings = parse_template("port", {"template_file": "x", "parameter_mappings": {}})

    assert one.revision == same.revision
    assert len({one.revision, other_text.revision, other_mappings.revision}) == 3
