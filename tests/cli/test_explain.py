"""What a type is, and what a shell offers."""

from __future__ import annotations

import json
import re

import pytest
from orchestrator.clients import catalogue
from orchestrator.core.keys import Keys
from orchestrator.core.refs import Ref
from orchestrator.core.templates import parse_template
from orchestrator.views.explain import (
    ExplainedOutput,
    ExplainedParameter,
    ExplainedProperty,
    Referrer,
    TypeView,
    explain,
)

from .conftest import Records, Run_


def of(keys: Keys, kind: str) -> TypeView:
    known = keys.schemas.get(kind)
    assert known is not None
    return explain(keys, known, catalogue.load().templates)


def test_a_type_tells_its_properties_and_what_they_name(keys: Keys) -> None:
    found = {one.name: one for one in of(keys, "port").properties}

    assert found["network_id"] == ExplainedProperty("network_id", "string", True, "network", "")
    assert found["security_groups"].relation == "security_group"
    assert found["fixed_ips[].subnet_id"].relation == "subnet"


def test_a_type_tells_where_its_parameters_come_from(keys: Keys) -> None:
    found = {one.name: one for one in of(keys, "port").parameters}

    assert found["name"] == ExplainedParameter("port", "name", "Pname")
    assert found["network"].reads == ("id of network_id",)
    assert found["security_groups"].reads == ("id of its elements",)


def test_a_type_tells_its_outputs_and_who_refers_to_it(keys: Keys) -> None:
    found = of(keys, "port")

    assert ExplainedOutput("port", "id", "Neutron's id of the port.") in found.outputs
    assert "monitoring_link" in {one.name for one in found.outputs}
    assert Referrer("floating_ip", "port_id") in found.referred_by
    assert Referrer("load_balancer_conf", "members.port_id") in found.referred_by


def test_outputs_are_read_however_they_are_written(keys: Keys) -> None:
    text = (
        "heat_template_version: 2018-08-31\n"
        "outputs:\n"
        "  one:\n    description: 'The first, of all'\n    value: {get_param: a}\n"
        '  two: {description: "Second", value: 1}\n'
        "  plain:\n    description: In bytes, as the cloud has it.\n"
        "{% if jinja_x %}\n"
        "  three: {value: 1}\n"
        "{% endif %}\n"
        "resources:\n  r: {type: OS::Heat::None}\n"
    )
    template = parse_template("port", {"template_file": text})
    known = keys.schemas.get("port")
    assert known is not None

    outputs = explain(keys, known, {"port": template}).outputs

    assert [(one.name, one.description) for one in outputs] == [
        ("one", "The first, of all"),
        ("two", "Second"),
        ("plain", "In bytes, as the cloud has it."),
        ("three", ""),
    ]


@pytest.mark.parametrize("kind", [kind.id for kind in catalogue.load().schemas])
def test_every_type_of_the_catalogue_can_be_explained(keys: Keys, kind: str) -> None:
    found = of(keys, kind)

    assert found.faults == () and json.dumps(found.to_json())
    assert bool(found.parameters) == bool(found.templates)


def test_the_command_explains_a_type(run: Run_, written: Records) -> None:
    result = run("explain", "port")
    assert result.exit_code == 0
    assert result.stdout.startswith("port  keys /v2.0/ports/ID, with versions\n")
    assert re.search(r"^network_id +string, required +network +-$", result.stdout, re.MULTILINE)
    assert "Types that refer to it" in result.stdout
    assert json.loads(run("explain", "network", "-o", "json").stdout)["templates"] == ["network"]
    assert run("explain", "disk").exit_code == 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("orchestrator get netw", ["network"]),
        ("orchestrator get network ", ["n1", "n2"]),
        ("orchestrator get network n2", ["n2"]),
        ("orchestrator get network:n", ["network:n1", "network:n2"]),
        ("orchestrator explain subn", ["subnet"]),
        ("orchestrator graph nothing ", []),
    ],
)
def test_a_shell_offers_types_and_ids(
    run: Run_, written: Records, words: str, offered: list[str]
) -> None:
    for name in ("n1", "n2"):
        written.config(Ref("network", name))
    completing = {
        "_ORCHESTRATOR_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }

    assert run(prog_name="orchestrator", **completing).stdout.split() == offered


def test_a_shell_is_offered_nothing_while_etcd_is_away(run: Run_) -> None:
    away = {"ORCHESTRATOR_ETCD_ENDPOINTS": "127.0.0.1:9"}
    completing = {
        "_ORCHESTRATOR_COMPLETE": "complete_bash",
        "COMP_WORDS": "orchestrator get network ",
        "COMP_CWORD": "3",
    }
    result = run(prog_name="orchestrator", **completing, **away)

    assert (result.exit_code, result.stdout.split()) == (0, [])
