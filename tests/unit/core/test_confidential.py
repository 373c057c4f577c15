"""Which values of a job are secret, wherever they come from."""

from __future__ import annotations

import time
from typing import Any

import pytest
from orchestrator.core import confidential, rendering
from orchestrator.core.confidential import declared_hidden
from orchestrator.core.jobs import Job, Param
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.refs import Json, Ref
from orchestrator.core.templates import Template, parse_template

from tests.doubles import PlainRenderer
from tests.factories import HOT, job, network

DB = Ref("database", "db")

HIDDEN = """heat_template_version: 2018-08-31
parameters:
  x: {type: string, hidden: true, default: the-default}
  y: {type: string, hidden: false}
  z: {type: string}
"""


ALIASES = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
LAUGHS = f"a0: &a0 [x]\n{ALIASES}parameters: {{x: {{hidden: true, default: *a59}}}}"
MERGES = "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], hidden: x}}\n" for n in range(1, 60))


def template(mappings: dict[str, Json], text: str = HOT) -> Template:
    return parse_template(
        "network", {"id": "network", "template_file": text, "parameter_mappings": mappings}
    )


def found(
    made: Job, used: Template | None, outputs: dict[OutputOf, Json] | None = None
) -> set[str]:
    request = None
    if used is not None and outputs is not None:
        request = rendering.request(made, used, outputs, PlainRenderer().render)
    return set(confidential.of_job(made, used, request))


def job_with(params: dict[str, Any], **body: Json) -> Job:
    return job(
        network("n"), params=tuple(Param(name, value) for name, value in params.items()), **body
    )


def test_a_property_with_a_secret_name_is_secret_under_whatever_parameter() -> None:
    made = job_with({"x": "hunter2"}, admin_pass="hunter2", name="web")

    assert found(made, template({"x": "Padmin_pass"})) == {"hunter2"}


def test_a_property_of_another_resource_is_secret_by_the_name_that_the_mapping_reads() -> None:
    """Its value stands in the job under an innocent name, and nowhere in the resource's own body."""
    mappings = {
        "x": "Fuser+user_id:password",
        "y": "Fuser+user_id:name",
        "z": "ACuser=&Fuser+user_id:psk",
    }
    made = job_with({"x": "hunter2", "y": "ann", "z": "user=abcdefg"})

    assert found(made, template(mappings)) == {"hunter2", "user=abcdefg"}


def test_an_output_of_another_stack_is_secret_under_a_secret_name_of_either() -> None:
    given = {
        OutputOf(DB, "value"): "hunter2",
        OutputOf(DB, "admin_password"): "swordfish",
        OutputOf(DB, "id"): "cloud-id",
    }
    outputs = dict(zip(("password", "x", "y"), given, strict=True))
    mappings = {
        "password": "Mdatabase:db_id:value",
        "x": "Mdatabase:db_id:admin_password",
        "y": "Mdatabase:db_id:id",
    }
    made = job_with(outputs)

    assert found(made, template(mappings), given) == {"hunter2", "swordfish"}


def test_a_variable_of_the_template_is_secret_by_its_name() -> None:
    given = {OutputOf(DB, "value"): "hunter2"}
    made = job_with({"jinja_password": OutputOf(DB, "value")})

    assert found(made, template({"jinja_password": "Mdatabase:db_id:value"}), given) == {"hunter2"}


def test_what_the_rendered_template_declares_hidden_is_secret_and_so_is_its_default() -> None:
    made = job_with({"x": "hunter2", "y": "shown", "z": "shown too"})

    assert found(made, template({}, HIDDEN), {}) == {"hunter2", "the-default"}


def test_what_only_the_rendering_shows_is_found() -> None:
    text = "parameters:\n{% for name in jinja_names %}  {{ name }}: {type: string, hidden: true}\n{% endfor %}"
    made = job_with({"jinja_names": ["a", "b"], "a": "hunter2", "b": "swordfish", "c": "shown"})

    assert found(made, template({}, text), {}) == {"hunter2", "swordfish"}


def test_without_a_request_the_template_tells_as_it_stands() -> None:
    text = "{% if jinja_a %}# {{ jinja_a }}{% endif %}\n" + HIDDEN.replace(
        "the-default", "'{{ jinja_b }}'"
    )
    made = job_with({"x": "hunter2", "y": "shown"})

    assert "hunter2" in found(made, template({}, text)) and "shown" not in found(
        made, template({}, text)
    )


@pytest.mark.parametrize(
    "used", [None, template({}, "hidden: [")], ids=["template gone", "template unreadable"]
)
def test_where_it_cannot_be_told_every_parameter_is_secret(used: Template | None) -> None:
    assert found(job_with({"x": "hunter2", "n": 5}), used) == {"hunter2", "5"}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        pytest.param(HIDDEN, {"x": "the-default"}, id="HOT"),
        pytest.param(
            '{"parameters": {"x": {"type": "string", "hidden": "true"}}}', {"x": None}, id="JSON"
        ),
        pytest.param(
            "Parameters: {x: {Type: String, NoEcho: 'true'}, y: {NoEcho: 'false'}}",
            {"x": None},
            id="the older form",
        ),
        pytest.param(
            "parameters: {x: {hidden: yes}, y: {hidden: 'no'}, z: {hidden: }}",
            {"x": None},
            id="yes and no",
        ),
        pytest.param("a: &a {hidden: true}\nparameters: {x: *a}", {"x": None}, id="an alias"),
        pytest.param("resources: {r: {hidden: true}}", {}, id="no parameter"),
        pytest.param("parameters: [hidden]", {}, id="no parameters"),
        pytest.param("hidden", {}, id="no document"),
        pytest.param("parameters: {x: {type: string}}", {}, id="nothing hidden"),
        pytest.param("hidden: " + "[" * 5000, None, id="nested without end"),
        pytest.param("{hidden: ", None, id="not YAML"),
        pytest.param("hidden: 2018-99-99", {}, id="an impossible date"),
        pytest.param(
            "parameters: {x: {hidden: true, default: 2018-99-99}}", {"x": "2018-99-99"}, id="a date"
        ),
        pytest.param(
            "parameters: {x: {hidden: true, default: 5432}}", {"x": "5432"}, id="a number"
        ),
        pytest.param(
            "parameters: {x: {hidden: true, default: null}}", {"x": None}, id="no default"
        ),
        pytest.param(LAUGHS, None, id="aliases of aliases"),
        pytest.param("a0: &a0 {x: y}\n" + MERGES, {}, id="merges of merges"),
    ],
)
def test_what_a_template_declares_hidden(text: str, hidden: Json) -> None:
    assert declared_hidden(text) == hidden


def test_a_property_is_secret_by_the_parameters_that_it_feeds() -> None:
    mappings: dict[str, Json] = {
        "x": "Pnote",
        "password": "ACu=&Pword",
        "psk": "Oike:first",
        "z": "Pname",
        "admin_pass": {
            "if_mapping": {"equal": ["Pname", "Cx"]},
            "then_mapping": "Pone",
            "else_mapping": "Ptwo",
        },
        "token": {"for_field": "list", "for_mapping": "Pvalue"},
    }
    body = {
        "note": "a",
        "word": "b",
        "ike": {"first": "c", "second": "d"},
        "name": "e",
        "one": "f",
        "two": "g",
        "list": [{"value": "h"}, {"value": 1}],
    }

    assert set(confidential.of_body(body, template(mappings, HIDDEN))) == {
        "a",
        "b",
        "c",
        "f",
        "g",
        "h",
        "1",
    }
    assert set(confidential.of_body(body, None)) == set()


@pytest.mark.parametrize("begin", ["{%", "{#", "{{", "{% {# {{ "])
def test_a_template_with_tags_without_end_is_looked_through_in_time(begin: str) -> None:
    before = time.process_time()

    assert (
        set(confidential.of_job(job_with({}), template({}, begin * (300_000 // len(begin)))))
        == set()
    )
    assert time.process_time() - before < 2.0


def test_jinja_is_left_out_of_a_template_that_is_not_rendered() -> None:
    text = "{# {% #}parameters: {% if a %}{x: {hidden: true, default: {{ {'a': 1} }}}}{% endif %}"

    assert set(
        confidential.of_job(job_with({"x": "hunter2", "y": "shown"}), template({}, text))
    ) == {"hunter2", "x"}
