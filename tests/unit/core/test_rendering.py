"""From a job and a template to what Heat is asked."""

from __future__ import annotations

import pytest
from orchestrator.core import rendering
from orchestrator.core.jobs import Param
from orchestrator.core.mapping.evaluate import ListOf, OutputOf
from orchestrator.core.refs import Json, StackName
from orchestrator.core.rendering import StackRequest, needed_outputs, pick_outputs, request
from orchestrator.errors import TemplateError

from tests.doubles import PlainRenderer
from tests.factories import job, network, port, template

RENDER = PlainRenderer().render
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

    assert request(
        job(port(), params=params), template("port", text), {ID: "cloud"}, RENDER
    ) == StackRequest(
        StackName("port_p1"),
        "t1",
        "r1 r2 ",
        {"name": "x", "nothing": None, "network": "cloud", "nets": ["cloud", None, "y"]},
        3,
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
    assert (
        request(job(params=[Param("heat_timeout", value)]), template(), {}, RENDER).timeout_mins
        == minutes
    )


def test_without_a_timeout_there_is_none() -> None:
    assert request(job(), template(), {}, RENDER).timeout_mins is None


@pytest.mark.parametrize(
    "value", ["3m", "0", 0, -1, 1441, True, [3], {}, "NaN", 1.5, 1e400], ids=repr
)
def test_a_timeout_that_is_not_minutes_is_refused(value: Json) -> None:
    with pytest.raises(
        TemplateError, match="template network: heat_timeout should be whole minutes from 1 to 1440"
    ):
        request(job(params=[Param("heat_timeout", value)]), template(), {}, RENDER)


def test_the_outputs_that_a_job_needs_are_picked_from_the_stacks() -> None:
    needed = needed_outputs(
        job(params=[Param("a", ID), Param("b", ListOf((NAME, None))), Param("c", 1)])
    )

    assert needed == {ID, NAME}
    name = {"output_key": "name", "output_value": "x"}
    none = {"output_key": "id", "output_value": None}
    assert pick_outputs([ID, NAME], {"network:n1": {"id": none, "name": name}}) == (
        {ID: None, NAME: "x"},
        {},
    )
    assert pick_outputs([ID, NAME], {"network:n1": {"name": name}}) == (
        {NAME: "x"},
        {ID: "which has none; build network:n1 first"},
    )
    assert pick_outputs([ID], {}) == ({}, {ID: "which has none; build network:n1 first"})


def test_an_output_that_heat_could_not_compute_is_not_null() -> None:
    broken = {
        "output_key": "id",
        "output_value": None,
        "output_error": "'int' object has no attribute 'split'",
    }
    why = "which Heat could not compute: 'int' object has no attribute 'split'"
    assert pick_outputs([ID], {"network:n1": {"id": broken}}) == ({}, {ID: why})


def test_values_of_all_parameters_include_those_of_the_template() -> None:
    assert rendering.values(job(params=[Param("jinja_a", ID), Param("b", 2)]), {ID: "x"}) == {
        "jinja_a": "x",
        "b": 2,
    }
