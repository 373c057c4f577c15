"""What the reserved mappings of a template say, and which names a template must not declare."""

from __future__ import annotations

import json
from typing import Any

import pytest
from orchestrator.core import policies
from orchestrator.core.jobs import Param
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.policies import Follow, OnDrift, OnFailure, Policies, declared
from orchestrator.core.rendering import policies_of, request
from orchestrator.core.templates import BadTemplate, Template, parse_template_value
from orchestrator.errors import InvalidInput, TemplateError

from tests.doubles import PlainRenderer
from tests.factories import HOT, job, network, template

RENDER = PlainRenderer().render


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({}, Policies(), id="nothing"),
        pytest.param(
            {"heat_on_failure": "replace", "heat_retries": "3"},
            Policies(None, OnFailure.REPLACE, 3),
            id="short constants",
        ),
        pytest.param(
            {"heat_on_failure": "hold", "heat_retries": 0, "heat_timeout": 5},
            Policies(5, OnFailure.HOLD, 0),
            id="constants of JSON",
        ),
        pytest.param(
            {"heat_drift": "correct", "heat_drift_ignore": "name, router.admin_state_up"},
            Policies(drift=OnDrift.CORRECT, drift_ignore=("name", "router.admin_state_up")),
            id="drift",
        ),
        pytest.param(
            {"heat_drift": "stop", "heat_drift_ignore": ["name"]},
            Policies(drift=OnDrift.STOP, drift_ignore=("name",)),
            id="drift, in JSON",
        ),
        pytest.param(
            {"heat_rebuild": "report"}, Policies(follow=Follow.REPORT), id="outputs of others"
        ),
        pytest.param(
            {"heat_on_failure": None, "heat_retries": "", "heat_timeout": None},
            Policies(),
            id="null and the empty text stand for the default",
        ),
    ],
)
def test_reserved_mappings_say_how_a_stack_is_treated(values: Any, said: Policies) -> None:
    assert policies.read({"name": "x", **values}) == said


UNUSABLE: dict[str, list[Any]] = {
    "heat_on_failure": ["Replace", 1, True, ["hold"]],
    "heat_retries": ["often", "-1", 21, 1.5, True, 1e400, [3]],
    "heat_rebuild": ["Auto", True, 0, ["never"]],
    "heat_timeout": [0, "0", 1441, False, {}],
    "heat_drift": ["Report", "fix", 1, True, ["stop"]],
    "heat_drift_ignore": [7, {}, ["a", ""], "a,,b", [1]],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in UNUSABLE.items() for value in values],
)
def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_mapping(
    name: str, value: Any
) -> None:
    with pytest.raises(InvalidInput, match=f"^{name} should be "):
        policies.read({name: value})
    assert policies.lenient({name: value}) == Policies()


def test_no_reserved_mapping_becomes_a_parameter_of_the_stack() -> None:
    params = [Param("heat_on_failure", "hold"), Param("heat_retries", "2"), Param("name", "x")]
    made = job(params=params)

    assert request(made, template(), {}, RENDER).parameters == {"name": "x"}
    assert policies_of(made.params) == Policies(None, OnFailure.HOLD, 2)


def test_heat_is_not_asked_with_a_policy_that_cannot_be_used() -> None:
    with pytest.raises(
        TemplateError,
        match=r"^template network: heat_on_failure should be one of repair, replace, hold$",
    ):
        request(job(params=[Param("heat_on_failure", "recreate")]), template(), {}, RENDER)


def test_the_policy_of_a_job_whose_mapping_reads_an_output_is_the_default() -> None:
    assert policies_of([Param("heat_retries", OutputOf(network(), "id"))]) == Policies()


YAML = """\
heat_template_version: 2018-08-31
parameters:
  # heat_timeout: a comment
{% if jinja_sized %}
  size:
    type: json
    default:
      heat_retries: 3
{% endif %}
  'heat_on_failure':
    type: string
resources:
  heat_timeout: {type: OS::Heat::Value}
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(YAML, {"heat_on_failure": 10}, id="YAML with Jinja2"),
        pytest.param(
            json.dumps({"parameters": {"heat_retries": {}, "heat_rests": {}}}, indent=1),
            {"heat_retries": 3},
            id="JSON",
        ),
        pytest.param(
            "parameters: {}\nresources:\n  heat_retries: {type: x}\n", {}, id="in another section"
        ),
        pytest.param(HOT, {}, id="none"),
    ],
)
def test_the_reserved_names_that_a_template_declares_are_found(
    text: str, names: dict[str, int]
) -> None:
    assert declared(text) == names


def test_a_template_that_declares_a_reserved_name_is_refused_with_a_sentence() -> None:
    def parsed(text: str) -> Template | BadTemplate:
        return parse_template_value("disk", json.dumps({"body": {"template_file": text}}).encode())

    refused = parsed(YAML)
    assert isinstance(refused, BadTemplate)
    assert refused.reason == (
        "template disk: the HOT declares the parameter heat_on_failure, but names that begin"
        " with heat_ are reserved and their values do not reach the stack; give the parameter"
        " another name"
    )
    assert isinstance(parsed(YAML.replace("heat_on_failure", "on_failure")), Template)
