"""Templates are somebody else's programs."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core import rendering
from orchestrator.core.jobs import Param
from orchestrator.core.mapping.evaluate import ListOf, OutputOf
from orchestrator.core.refs import Json, StackName
from orchestrator.core.rendering import SIZE_LIMIT, StackRequest, needed_outputs, pick_outputs, render, request
from orchestrator.errors import TemplateError
from tests.factories import job, network, port, template

ID, NAME = OutputOf(network(), "id"), OutputOf(network(), "name")


def test_jinja_names_feed_the_template_and_the_rest_are_the_stacks_parameters() -> None:
    params = [
        Param("heat_timeout", "3"),
        Param("name", "x"),
        Param("nothing", None),
        Param("network", ID, (network(),)),
        Param("nets", ListOf((ID, None, "y"))),
        Param("jinja_many", [1, 2]),
    ]
    text = "{% for i in jinja_many %}r{{ i }} {% endfor %}"

    assert request(job(port(), params=params), template("port", text), {ID: "cloud"}) == StackRequest(
        StackName("port_p1"), "t1", "r1 r2 ", {"name": "x", "nothing": None, "network": "cloud", "nets": ["cloud", None, "y"]}, 3
    )


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        pytest.param("3", 3, id="text"),
        pytest.param(3, 3, id="number"),
        pytest.param(None, None, id="null"),
        pytest.param("", None, id="empty"),
        pytest.param(1440, 1440, id="a day"),
    ],
)
def test_the_timeout_is_in_minutes(value: Json, minutes: int | None) -> None:
    assert request(job(params=[Param("heat_timeout", value)]), template(), {}).timeout_mins == minutes


def test_without_a_timeout_there_is_none() -> None:
    assert request(job(), template(), {}).timeout_mins is None


@pytest.mark.parametrize("value", ["3m", "0", 0, -1, 1441, True, [3], {}, "NaN", 1.5, 1e400], ids=repr)
def test_a_timeout_that_is_not_minutes_is_refused(value: Json) -> None:
    with pytest.raises(TemplateError, match="template network: heat_timeout should be whole minutes from 1 to 1440"):
        request(job(params=[Param("heat_timeout", value)]), template(), {})


FAULTY: list[Any] = [
    pytest.param("{{ jinja_x }}", "template port: 'jinja_x' is undefined", id="a name it does not have"),
    pytest.param("{{ jinja_a.b.c }}", "template port: 'dict object' has no attribute 'b'", id="a property that is not there"),
    pytest.param("{% if jinja_x %}{% endif %}", "'jinja_x' is undefined", id="a test of a name it does not have"),
    pytest.param("one\n{% for %}", "template port, line 2: ", id="a syntax error"),
    pytest.param("{{ 1 / 0 }}", "template port: an expression raised ZeroDivisionError", id="a division by zero"),
    pytest.param("{{ jinja_s + 1 }}", "template port: an expression raised TypeError", id="a wrong type"),
    pytest.param("{{ jinja_s | int | what }}", "template port, line 1: No filter named 'what'", id="an unknown filter"),
    pytest.param("{% include 'x' %}", "template port: ", id="an include"),
]


@pytest.mark.parametrize(("text", "error"), FAULTY)
def test_a_template_that_does_not_render_says_where_and_no_value(text: str, error: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render("port", text, {"jinja_a": {}, "jinja_s": "hunter2"})
    assert error in str(caught.value)
    assert str(caught.value).startswith("template port")
    assert "hunter2" not in str(caught.value)


ESCAPES: list[Any] = [
    pytest.param("{{ ''.__class__.__mro__ }}", id="the classes of a text"),
    pytest.param("{{ ''['__class__']['__mro__'] }}", id="by item"),
    pytest.param("{{ ''|attr('__class__')|attr('__mro__') }}", id="by filter"),
    pytest.param("{{ jinja_list.append(1) }}", id="changing a variable"),
    pytest.param("{{ '{0.__class__.__mro__}'.format('') }}", id="by format"),
    pytest.param("{{ range(10000000)|list }}", id="a huge range"),
    pytest.param("{{ self.__init__.__globals__ }}", id="the globals"),
    pytest.param("{{ cycler.__init__.__globals__.os }}", id="by a helper"),
]


@pytest.mark.parametrize("text", ESCAPES)
def test_the_sandbox_has_no_way_out(text: str) -> None:
    variables: dict[str, Json] = {"jinja_list": []}
    with pytest.raises(TemplateError):
        render("port", text, variables)
    assert variables == {"jinja_list": []}


def test_what_is_rendered_is_bounded() -> None:
    loop = "{% for i in range(jinja_times) %}" + "x" * 1024 + "{% endfor %}"

    assert len(render("port", loop, {"jinja_times": SIZE_LIMIT // 1024})) == SIZE_LIMIT
    with pytest.raises(TemplateError, match=f"template port renders more than {SIZE_LIMIT} characters"):
        render("port", loop, {"jinja_times": SIZE_LIMIT // 1024 + 1})


def test_values_are_not_escaped_and_white_space_stays() -> None:
    assert render("port", "a: {{ jinja_x }}\n\n{% if true %}\nb\n{% endif %}\n", {"jinja_x": "<&\"'>"}) == "a: <&\"'>\n\n\nb\n"


def test_the_outputs_that_a_job_needs_are_picked_from_the_stacks() -> None:
    needed = needed_outputs(job(params=[Param("a", ID), Param("b", ListOf((NAME, None))), Param("c", 1)]))

    assert needed == {ID, NAME}
    name = {"output_key": "name", "output_value": "x"}
    none = {"output_key": "id", "output_value": None}
    assert pick_outputs([ID, NAME], {"network:n1": {"id": none, "name": name}}) == ({ID: None, NAME: "x"}, {})
    assert pick_outputs([ID, NAME], {"network:n1": {"name": name}}) == ({NAME: "x"}, {ID: "which has none; build network:n1 first"})
    assert pick_outputs([ID], {}) == ({}, {ID: "which has none; build network:n1 first"})


def test_an_output_that_heat_could_not_compute_is_not_null() -> None:
    broken = {"output_key": "id", "output_value": None, "output_error": "'int' object has no attribute 'split'"}
    why = "which Heat could not compute: 'int' object has no attribute 'split'"
    assert pick_outputs([ID], {"network:n1": {"id": broken}}) == ({}, {ID: why})


def test_values_of_all_parameters_include_those_of_the_template() -> None:
    assert rendering.values(job(params=[Param("jinja_a", ID), Param("b", 2)]), {ID: "x"}) == {"jinja_a": "x", "b": 2}
