"""The check of HOT, which needs no server, and a real Heat come to the same judgement."""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest
from orchestrator.cli import cases, entries
from orchestrator.clients import catalogue, heat_types
from orchestrator.core.checks.hot import check_hot
from orchestrator.core.schemas import Schemas
from orchestrator.core.source import read_hot

from .heat_api import Project
from .test_heat import SERVICE

pytestmark = pytest.mark.integration


def faults(text: str) -> list[str]:
    (document,) = read_hot(text)
    return [
        str(finding)
        for finding in check_hot(document.value, heat_types.known(), {"name": "web"})
        if not finding.hint
    ]


def test_heat_takes_what_the_check_takes_every_case_of_the_catalogue(project: Project) -> None:
    found = entries.read(catalogue.default_folder())
    schemas = Schemas([entry.kind for entry in found if entry.kind])
    templates = {entry.name: entry.template for entry in found if entry.template}
    made = [
        (entry, case, cases.make(entry.name, case, schemas, templates))
        for entry in found
        for case in entry.cases
    ]

    answers = {
        f"{entry.name}/{case.name}": project.create(
            f"s{uuid.uuid4().hex}", one.request.template, parameters=dict(one.request.parameters)
        )
        for entry, case, one in made
        if one is not None
    }

    assert len(answers) > 30
    assert {name: answer for name, answer in answers.items() if answer[0] != 201} == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("cidr: 192.168.7.0/24", "cdir: 192.168.7.0/24", id="property"),
        pytest.param("cidr: 192.168.7.0/24", "cidr: [a, list]", id="a list for a text"),
        pytest.param("cidr: 192.168.7.0/24", "cidr: 192.168.7.0/33", id="form"),
        pytest.param("cidr: 192.168.7.0/24", "ip_version: 5", id="choice"),
        pytest.param("network: {get_resource: net}, cidr", "cidr", id="required property"),
        pytest.param("flavor: a-flavor", "flavour: a-flavor", id="misspelt required property"),
        pytest.param(
            "security_groups: [{get_resource: group}]",
            "security_groups: {get_resource: group}",
            id="text for a list",
        ),
        pytest.param("metadata: {role: web}", "metadata: web", id="text for an object"),
        pytest.param("rules: [{protocol: tcp}]", "rules: [{protcol: tcp}]", id="nested property"),
        pytest.param("rules: [{protocol: tcp}]", "rules: [{direction: up}]", id="nested choice"),
        pytest.param(
            "get_attr: [subnet, gateway_ip]", "get_attr: [subnet, gateway]", id="attribute"
        ),
        pytest.param(
            "get_attr: [subnet, gateway_ip]",
            "get_attr: [subnt, gateway_ip]",
            id="resource of an attribute",
        ),
        pytest.param(
            "network: {get_resource: net}, cidr",
            "network: {get_resource: ent}, cidr",
            id="resource",
        ),
        pytest.param("name: {get_param: name}", "name: {get_param: nmae}", id="parameter"),
        pytest.param("name: {get_param: name}", "name: {get_parm: name}", id="function"),
        pytest.param("OS::Neutron::SecurityGroup", "OS::Neutron::SecurityGruop", id="type"),
        pytest.param("OS::Neutron::SecurityGroup", "group.yaml", id="nested template"),
        pytest.param("image: an-image", "image: {get_file: image.txt}", id="file"),
        pytest.param("type: OS::Nova::Server", "tpye: OS::Nova::Server", id="word of a resource"),
        pytest.param(
            "type: OS::Nova::Server",
            "type: OS::Nova::Server\n    depends_on: prot",
            id="depends_on",
        ),
        pytest.param(
            "type: OS::Nova::Server",
            "type: OS::Nova::Server\n    deletion_policy: Keep",
            id="deletion policy",
        ),
        pytest.param(
            "{type: string, default: web}", "{type: strng, default: web}", id="type of a parameter"
        ),
        pytest.param(
            "{type: string, default: web}", "{type: string, defualt: web}", id="word of a parameter"
        ),
        pytest.param(
            "{type: string, default: web}",
            "{type: string, constraints: [{legnth: {min: 1}}]}",
            id="constraint",
        ),
        pytest.param(
            "{type: string, default: web}",
            "{type: string, constraints: [{length: {min: 9}}]}",
            id="value of a parameter",
        ),
        pytest.param("resources:", "resorces:", id="section"),
        pytest.param("2018-08-31", "2018-08-30", id="version"),
        pytest.param(
            "net: {value: {get_resource: net}}",
            "net: {vlaue: {get_resource: net}}",
            id="word of an output",
        ),
        pytest.param(
            "name: {get_param: name}", "value_specs: {x: {get_resource: server}}", id="circle"
        ),
    ],
)
def test_the_check_finds_what_heat_refuses(project: Project, old: str, new: str) -> None:
    assert old in SERVICE
    assert faults(SERVICE) == []
    broken = SERVICE.replace(old, new, 1)

    name = f"s{uuid.uuid4().hex}"
    status, _ = project.create(name, broken, parameters={"name": "web"})

    # What depends on another resource is judged by Heat only when that is there.
    assert status != 201 or project.done(name)["stack_status"] == "CREATE_FAILED"
    assert faults(broken)


def test_what_is_known_of_heat_is_what_the_installed_heat_says() -> None:
    program = [sys.executable, "-W", "ignore", "-m", "orchestrator.sandbox.heat_types", "--check"]

    done = subprocess.run(program, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
