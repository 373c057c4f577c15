"""HOT is judged as Heat judges it, without a Heat; ``tests/sandbox/test_check_agrees.py`` compares the two."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.clients import heat_types
from orchestrator.core.checks.hot import check_hot, unused_parameters
from orchestrator.core.source import read_hot

HEAT = heat_types.known()
GOOD = """\
heat_template_version: 2018-08-31
parameters:
  name: {type: string, default: web}
  size: {type: number, default: 1, constraints: [{range: {min: 1, max: 9}}]}
  addresses: {type: json, default: []}
  zones: {type: comma_delimited_list, default: "a,b"}
conditions:
  large: {equals: [{get_param: size}, 9]}
  both: {and: [large, {not: {equals: [{get_param: name}, x]}}]}
resources:
  net: {type: OS::Neutron::Net, properties: {name: {get_param: name}}}
  sub: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 192.0.2.0/24}, depends_on: net}
  port:
    type: OS::Neutron::Port
    condition: both
    properties:
      network_id: {get_resource: net}
      fixed_ips: [{subnet: {get_resource: sub}, ip_address: {get_param: [addresses, 0]}}]
      security_groups: {list_concat: [{get_param: zones}, [x]]}
      admin_state_up: {if: [large, true, false]}
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: size}
      resource_def: {type: OS::Heat::RandomString, properties: {length: 4}}
  config:
    type: OS::Heat::SoftwareConfig
    properties:
      inputs: [{name: a}]
      config:
        str_replace:
          template: $a and %b
          params: {$a: {get_param: name}, "%b": {list_join: [",", {get_param: zones}]}}
outputs:
  addresses:
    description: All.
    value: {repeat: {template: "<%n%>:80", for_each: {<%n%>: {get_attr: [port, fixed_ips]}}}}
  first: {description: One., value: {get_attr: [group, resource.0.value]}}
  all: {description: All of it., value: {get_attr: [net]}}
  joined: {description: Joined., value: {map_merge: [{a: 1}, {get_attr: [net, show]}]}}
"""


def findings(text: str, sent: dict[str, Any] | None = None, *, hints: bool = False) -> list[str]:
    (document,) = read_hot(text)
    return [
        str(finding) for finding in check_hot(document.value, HEAT, sent) if finding.hint is hints
    ]


def test_a_template_that_heat_takes_has_no_fault() -> None:
    assert findings(GOOD) == []
    assert (
        findings(GOOD, {"name": None, "size": 9, "addresses": ["192.0.2.7"], "zones": ["z"]}) == []
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "2018-08-31",
            "2018-08-30",
            "heat_template_version: there is no version '2018-08-30'; did you mean",
        ),
        ("outputs:", "output:", "output: there is no section 'output'; did you mean outputs?"),
        (
            "conditions:",
            "environment:",
            "environment: there is no section 'environment' in a template, and no environment is sent",
        ),
        (
            "OS::Neutron::Net,",
            "OS::Neutron::Nett,",
            "resources.net.type: Heat has no type 'OS::Neutron::Nett'; did you mean OS::Neutron::Net?",
        ),
        (
            "OS::Neutron::Net,",
            "net.yaml,",
            "resources.net.type: 'net.yaml' is a file, and none is sent to Heat",
        ),
        ("OS::Neutron::Net,", "http://x/net,", "resources.net.type: 'http://x/net' is a file"),
        (
            "properties: {length: 4}",
            "properties: {lenght: 4}",
            "resources.group.properties.resource_def.properties.lenght: there is no property 'lenght'; did you mean length?",
        ),
        (
            "OS::Heat::RandomString",
            "OS::Heat::RandomSting",
            "resources.group.properties.resource_def.type: Heat has no type",
        ),
        (
            "type: OS::Heat::RandomString",
            "type: one.yaml",
            "resources.group.properties.resource_def.type: 'one.yaml' is a file",
        ),
        (
            "cidr: 192.0.2.0/24",
            "cidr: {get_file: cidr.txt}",
            "resources.sub.properties.cidr.get_file: get_file needs a file",
        ),
        (
            "cidr: 192.0.2.0/24",
            "cdir: 192.0.2.0/24",
            "resources.sub.properties.cdir: there is no property 'cdir'; did you mean cidr?",
        ),
        (
            "cidr: 192.0.2.0/24",
            "cidr: 192.0.2.0/33",
            "resources.sub.properties.cidr: should be a range of addresses",
        ),
        (
            "cidr: 192.0.2.0/24",
            "cidr: [192.0.2.0/24]",
            "resources.sub.properties.cidr: should be a text, not a list",
        ),
        (
            "cidr: 192.0.2.0/24",
            "ip_version: 5",
            "resources.sub.properties.ip_version: should be one of 4, 6",
        ),
        (
            "network: {get_resource: net}, ",
            "",
            "resources.sub.properties: the property 'network' is missing, which must be there",
        ),
        (
            "{get_resource: net}, cidr",
            "{get_resource: nett}, cidr",
            "resources.sub.properties.network.get_resource: get_resource of 'nett', which is no resource; did you mean net?",
        ),
        (
            "depends_on: net",
            "depends_on: nett",
            "resources.sub.depends_on: 'nett' is no resource; did you mean net?",
        ),
        (
            "depends_on: net",
            "depend_on: net",
            "resources.sub.depend_on: a resource has no 'depend_on'; did you mean depends_on?",
        ),
        (
            "depends_on: net",
            "deletion_policy: Retian",
            "resources.sub.deletion_policy: there is no policy 'Retian'; did you mean Retain",
        ),
        (
            "name: {get_param: name}",
            "name: {get_param: nmae}",
            "resources.net.properties.name.get_param: get_param of 'nmae', which is no parameter; did you mean name?",
        ),
        (
            "name: {get_param: name}",
            "name: {get_param: OS::stack_nme}",
            "get_param of 'OS::stack_nme', which is no parameter; did you mean OS::stack_name",
        ),
        (
            "name: {get_param: name}",
            "name: {get_parm: name}",
            "resources.net.properties.name: should be a text, not an object",
        ),
        (
            "{get_attr: [port, fixed_ips]}",
            "{get_attr: [port, fixed_ip]}",
            "get_attr of 'port': it has no attribute 'fixed_ip'; did you mean fixed_ips",
        ),
        (
            "{get_attr: [port, fixed_ips]}",
            "{get_attr: [prot, fixed_ips]}",
            "get_attr of 'prot', which is no resource; did you mean port?",
        ),
        (
            "{get_attr: [net]}",
            "{get_attr: net}",
            "outputs.all.value.get_attr: get_attr takes a list: [resource, attribute, path …]",
        ),
        (
            "condition: both",
            "condition: booth",
            "resources.port.condition: there is no condition 'booth'; did you mean both?",
        ),
        (
            "{if: [large,",
            "{if: [lagre,",
            "resources.port.properties.admin_state_up.if[0]: there is no condition 'lagre'; did you mean large?",
        ),
        ("true, false]", "true]", "resources.port.properties.admin_state_up.if: if takes a list"),
        (
            "true, false]",
            "true, [x]]",
            "resources.port.properties.admin_state_up.if[2]: should be true or false, not a list",
        ),
        (
            "{list_concat: [{get_param: zones}, [x]]}",
            "{get_resource: net}",
            "resources.port.properties.security_groups: should be a list, and get_resource gives a text",
        ),
        (
            "params: {$a",
            "parms: {$a",
            "resources.config.properties.config.str_replace: str_replace takes an object of template and params",
        ),
        (
            '{list_join: [",", {get_param: zones}]}',
            '{list_join: [","]}',
            "list_join takes a list: [separator, list of texts]",
        ),
        (
            "for_each: {<%n%>: {get",
            "for_each: {<%n%>: x, <%m%>: {get",
            "takes lists in for_each; '<%n%>' is a text",
        ),
        (
            "type: number,",
            "type: numbr,",
            "parameters.size.type: there is no type 'numbr'; did you mean number?",
        ),
        ("default: 1,", "default: [],", "parameters.size.default: should be a number, not a list"),
        ("default: 1,", "default: 10,", "parameters.size.default: should be at most 9"),
        (
            "default: 1,",
            "defualt: 1,",
            "parameters.size.defualt: a parameter has no 'defualt'; did you mean default?",
        ),
        (
            "{range: {min: 1, max: 9}}",
            "{rnage: {min: 1}}",
            "parameters.size.constraints[0].rnage: there is no constraint 'rnage'; did you mean range?",
        ),
        (
            "{range: {min: 1, max: 9}}",
            "{length: {min: 1}}",
            "parameters.size.constraints[0].length: a number has no length; it is for",
        ),
        (
            "{range: {min: 1, max: 9}}",
            "{range: {mim: 1}}",
            "parameters.size.constraints[0].range.mim: there is no 'mim'; did you mean min?",
        ),
        (
            "  net: {type",
            "  name: {type",
            "parameters.name: a resource has the same name; Heat refuses that",
        ),
        ("value: {get_attr: [net]}", "vlaue: {get_attr: [net]}", "outputs.all: it has no value"),
        (
            "all: {description",
            "all: {descripton",
            "outputs.all.descripton: an output has no 'descripton'; did you mean description?",
        ),
        (
            "properties: {name: {get_param: name}}",
            "properties: {name: {get_param: name}, value_specs: {x: {get_resource: port}}}",
            "resources.net: these resources need each other in a circle: net → port → sub → net",
        ),
    ],
)
def test_what_heat_would_refuse_is_found(old: str, new: str, fault: str) -> None:
    assert old in GOOD

    found = findings(GOOD.replace(old, new, 1))

    assert any(fault in text for text in found), found


def test_a_members_number_may_stand_for_any_value() -> None:
    assert findings(GOOD.replace("{length: 4}", '{length: "%index%", salt: "a %index%"}')) == []
    assert (
        findings(
            GOOD.replace("count: {get_param: size}", "index_var: $ix").replace(
                "{length: 4}", "{length: $ix}"
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("version", "body", "fault"),
    [
        (
            "2013-05-23",
            "{list_concat: [[a]]}",
            "this heat_template_version has no function list_concat; 2017-09-01 has",
        ),
        (
            "2018-08-31",
            "{'Fn::Select': [0, [a]]}",
            "this heat_template_version has no function Fn::Select; 2013-05-23 has",
        ),
        (
            "2018-08-31",
            "{if: [true, a]}",
            "if takes a list: [condition, value if true, value if false]",
        ),
        ("wallaby", "{if: [true, a]}", ""),
        ("rocky", "{yaql: {expression: $.data, data: [1]}}", ""),
        (
            "2018-08-31",
            "{getattr: [value, value]}",
            "there is no function 'getattr'; did you mean get_attr?",
        ),
        ("2018-08-31", "{template: one}", ""),
    ],
)
def test_each_version_has_its_own_functions(version: str, body: str, fault: str) -> None:
    text = f"heat_template_version: {version}\nresources:\n  value: {{type: OS::Heat::Value, properties: {{value: {body}}}}}\n"

    found = findings(text)

    assert fault in "\n".join(found)
    assert bool(found) is bool(fault)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ({"size": "ten"}, "parameters.size: the value that is sent should be a number, not a text"),
        ({"size": 0}, "parameters.size: the value that is sent should be at least 1"),
        ({"size": "2"}, ""),
        ({"name": ["a"]}, "parameters.name: the value that is sent should be a text, not a list"),
        ({"zones": "a,b"}, ""),
        ({"colour": "red"}, "sent.colour: the template declares no such parameter"),
        (
            {"addresses": ["not an address"]},
            "resources.port.properties.fixed_ips[0].ip_address: should be an IP address",
        ),
    ],
)
def test_values_that_are_sent_are_checked_too(sent: dict[str, Any], fault: str) -> None:
    found = findings(GOOD, {"name": None, "size": None, "addresses": None, "zones": None, **sent})

    assert bool(found) is bool(fault)
    assert not fault or found[0].startswith(fault)


def test_a_parameter_without_default_must_be_sent() -> None:
    text = GOOD.replace("{type: string, default: web}", "{type: string}")
    others = {"size": None, "addresses": None, "zones": None}

    assert findings(text, others) == [
        "parameters.name: it has no default, and no mapping gives it; Heat refuses that"
    ]
    assert findings(text, {**others, "name": None}) == [
        "parameters.name: null is sent, and there is no default; Heat refuses that"
    ]
    assert findings(text) == []


def test_a_resource_of_elsewhere_need_not_be_complete() -> None:
    text = "heat_template_version: 2018-08-31\nresources:\n  s: {type: OS::Nova::Server, external_id: abc}\n"

    assert findings(text) == []


def test_what_heat_does_not_mind_is_a_hint() -> None:
    text = GOOD.replace("description: One., ", "").replace("$a and %b", "$a")

    assert findings(text, hints=True) == [
        "resources.config.properties.config.str_replace.params.%b: '%b' stands nowhere in the template of str_replace",
        "outputs.first: it has no description",
    ]


def test_a_retired_type_is_a_hint() -> None:
    text = "heat_template_version: 2018-08-31\nresources:\n  c: {type: OS::Sahara::Cluster, properties: {name: x}}\n"

    assert findings(text) == []
    assert [hint.partition(":")[2] for hint in findings(text, hints=True)] != []


def test_parameters_that_nothing_uses() -> None:
    (document,) = read_hot(GOOD.replace("name: {get_param: name}", "name: x"))

    assert unused_parameters(document.value) == frozenset()
    assert unused_parameters(
        {"parameters": {"a": {}, "b": {}}, "resources": {"r": {"get_param": ["a", "x"]}}}
    ) == {"b"}


JUNK: list[Any] = [7, [1], {"a": None}, {"a": []}, {"a": {"type": []}}]


@pytest.mark.parametrize(
    "hot",
    [
        *(None, [], 7, "x", {}, {"heat_template_version": None}, {"heat_template_version": ["x"]}),
        *(
            {"heat_template_version": "2018-08-31", part: junk}
            for part in ("parameters", "resources", "outputs")
            for junk in JUNK
        ),
        {
            "heat_template_version": "2018-08-31",
            "resources": {"a": {"type": "OS::Nova::Server", "properties": {"get_param": []}}},
        },
        {
            "heat_template_version": "2018-08-31",
            "resources": {
                "a": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": []}}}
            },
        },
        {
            "heat_template_version": "2018-08-31",
            "resources": {"a": {"type": "OS::Heat::Value", "depends_on": [{}, 3, None]}},
        },
    ],
)
def test_nonsense_is_told_and_breaks_nothing(hot: Any) -> None:
    assert [finding for finding in check_hot(hot, HEAT, {}) if not finding.hint]
