"""Mappings lead through properties, relations and outputs that exist, or it is said where they do not."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.checks.mappings import (
    Around,
    check_choice,
    check_mappings,
    check_names,
    choices,
)
from orchestrator.core.checks.template_text import (
    check_variables,
    line_map,
    lines_of_text,
    marked,
    variables,
)
from orchestrator.core.mapping.parser import parse
from orchestrator.core.schemas import parse_schemas
from orchestrator.core.templates import parse_template

from tests.doubles.renderer import PlainRenderer

LIST = [
    {
        "id": "port",
        "prefix": "/ports",
        "metadata": {"template_path": "Cport"},
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "network_id": {"type": "string", "relation": "network"},
                "other_id": {"type": "string"},
                "size": {"type": "object", "properties": {"cpu": {"type": "integer"}}},
                "fixed_ips": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"subnet_id": {"type": "string", "relation": "subnet"}},
                    },
                },
                "groups": {"type": "array", "items": {"type": "string", "relation": "group"}},
            },
        },
    },
    {
        "id": "network",
        "prefix": "/networks",
        "metadata": {"template_path": "Cnetwork"},
        "schema": {"properties": {"plan_id": {"type": "string", "relation": "plan"}}},
    },
    {
        "id": "subnet",
        "prefix": "/subnets",
        "metadata": {"template_path": "Csubnet"},
        "schema": {"properties": {"cidr": {}}},
    },
    {"id": "group", "prefix": "/groups", "metadata": {"template_path": "Cgroup"}},
    {"id": "plan", "prefix": "/plans", "schema": {"properties": {"flavor": {"type": "string"}}}},
]
SCHEMAS = parse_schemas(LIST)
OUTPUTS = {"network": frozenset({"id", "mtu"}), "subnet": frozenset({"id"})}
AROUND = Around(SCHEMAS, OUTPUTS.get, frozenset({"port", "network", "subnet", "group"}))


def faults(mapping: Any, name: str = "x") -> list[str]:
    template = parse_template("port", {"template_file": "x", "parameter_mappings": {name: mapping}})
    return [finding.text for finding in check_mappings(template, SCHEMAS.get("port"), AROUND)]


@pytest.mark.parametrize(
    "mapping",
    [
        *(
            "Cx",
            "Pname",
            "Pid",
            "Ptenant_id",
            "Osize:cpu",
            "Vauto_filled",
            "ACx&Pname",
            "Mnetwork:network_id:id",
        ),
        *(
            "Fnetwork+network_id:plan_id",
            "Fnetwork+network_id:plan+plan_id:flavor",
            "Mnetwork:other_id:mtu",
            "Fgroup+other_id:any",
        ),
        {"field": "plan_id", "path": ["network_id"]},
        {
            "for_field": "fixed_ips",
            "for_mapping": {"path": [{"type": "subnet", "id": "subnet_id"}], "output_key": "id"},
        },
        {
            "for_field": "groups",
            "for_mapping": {"path": [{"type": "group", "id": ""}], "output_key": "whatever"},
        },
        {"for_field": "groups", "for_mapping": {"field": ""}},
        {
            "if_mapping": {"equal": ["Pname", "Cx"]},
            "then_mapping": "Mnetwork:network_id:id",
            "else_mapping": "Cx",
        },
    ],
)
def test_what_leads_somewhere_is_no_fault(mapping: Any) -> None:
    assert faults(mapping) == []


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ("Pnmae", "port has no property 'nmae'; did you mean name?"),
        ("Ofixed_ips:cpu", "property 'fixed_ips' of port is no object, so it has no 'cpu'"),
        ("Osize:cup", "property 'size' of port has no property 'cup'; did you mean cpu?"),
        ("Fnetwrk+network_id:plan_id", "there is no type 'netwrk'; did you mean network?"),
        (
            "Fsubnet+network_id:cidr",
            "property 'network_id' of port leads to network, as its relation says, and not to subnet",
        ),
        (
            "Fnetwork+netwrk_id:plan_id",
            "port has no property 'netwrk_id'; did you mean network_id?",
        ),
        (
            "Fnetwork+network_id:plan+plan_di:flavor",
            "network has no property 'plan_di'; did you mean plan_id?",
        ),
        (
            "Fnetwork+network_id:plan+plan_id:flavour",
            "plan has no property 'flavour'; did you mean flavor?",
        ),
        (
            "Mnetwork:network_id:mut",
            "the template of network has no output 'mut'; did you mean mtu?",
        ),
        ("Fplan+size:flavor", "property 'size' of port holds no id, so no path leads through it"),
        (
            {"path": [{"type": "plan", "id": "other_id"}], "output_key": "id"},
            "plan is not built, so it has no output 'id'",
        ),
        (
            {"field": "x", "path": ["other_id"]},
            "property 'other_id' of port has no relation in the schema; name the type",
        ),
        ({"for_field": "name", "for_mapping": "Pname"}, "property 'name' of port is no list"),
        (
            {"for_field": "fixed_ips", "for_mapping": "Psubnt_id"},
            "an element of 'fixed_ips' has no property 'subnt_id'",
        ),
        ({"field": ""}, "an empty field is the element of a loop"),
        ("ACx&Mnetwork:network_id:id", "a stack's output cannot be put together with texts"),
        (
            {
                "if_mapping": {"equal": ["Mnetwork:network_id:id", "Cx"]},
                "then_mapping": "Cx",
                "else_mapping": "Cx",
            },
            "a stack's output cannot be compared",
        ),
    ],
)
def test_what_leads_nowhere_is_told(mapping: Any, fault: str) -> None:
    found = faults(mapping)

    assert any(text.startswith(fault) for text in found), found


def test_only_known_names_begin_with_heat() -> None:
    assert faults("C5", "heat_timeout") == []
    assert faults("C5", "heat_retry") == [
        "names that begin with heat_ are reserved; did you mean heat_retries?"
    ]


def test_a_reserved_mapping_has_one_of_its_values_and_reads_no_output() -> None:
    either = {
        "if_mapping": {"equal": ["Pname", "Cx"]},
        "then_mapping": "Creplace",
        "else_mapping": "Crecreate",
    }
    assert faults(either, "heat_on_failure") == [
        "heat_on_failure should be one of repair, replace, hold, not 'recreate'"
    ]
    assert faults({"constant": 3}, "heat_retries") == []
    assert faults("Mnetwork:network_id:mtu", "heat_retries") == [
        "it must not need another stack's output: it is read when there may be none"
    ]


def test_the_templates_that_a_type_chooses_are_there() -> None:
    chosen = {
        "if_mapping": {"equal": ["Pnmae", "Cx"]},
        "then_mapping": {"constant": None},
        "else_mapping": "Cprot",
    }
    (kind,) = parse_schemas([{**LIST[0], "metadata": {"template_path": chosen}}])

    assert [finding.text for finding in check_choice(kind, AROUND)] == [
        "port has no property 'nmae'; did you mean name?",
        "there is no template 'prot' in the catalogue; did you mean port?",
    ]
    assert choices(parse("Pname")) is None


# Names of Jinja2 -----------------------------------------------------------------------------------

TEXT = (
    "a: 1\n{% for x in jinja_list %}\nb: {{ x.y }} {{ jinja_one }}\n{% endfor %}\n"
    "{% set z = range(3) %}\nc: {{ z }} {{ other }}\n"
)


def test_variables_are_found_with_their_lines() -> None:
    assert variables(TEXT) == {"jinja_list": 2, "jinja_one": 3, "other": 6}
    assert variables("{% if %}") == variables("{{ a | nofilter }}") == {}


def test_names_that_are_used_and_not_given_or_given_and_not_used() -> None:
    mappings = {
        "jinja_list": "Px",
        "jinja_two": "Px",
        "jinja_force_dependency_x": "Fa+b:c",
        "jinja_for_its_hop": "Fa+b:c",
    }
    template = parse_template("t", {"template_file": TEXT, "parameter_mappings": mappings})

    assert [
        (finding.path, finding.text.partition(";")[0])
        for finding in check_variables(variables(TEXT), mappings)
    ] == [
        ((3,), "jinja_one is used, and no mapping gives it"),
        ((6,), "other is not there: only mappings named jinja_… feed the template"),
    ]
    assert [(finding.path, finding.hint) for finding in check_names(template, variables(TEXT))] == [
        (("jinja_two",), False),
        (("jinja_for_its_hop",), True),
    ]


# Lines ---------------------------------------------------------------------------------------------

LOOP = """\
one: 1
{% for x in jinja_list -%}
  item_{{ x }}: {{ x }}
  more: |
    {{ jinja_text }}
{% endfor %}
{# a comment
   of two lines #}
{% if jinja_off %}
off: 1
{% endif %}
last: {{ jinja_text }}
"""


def render(text: str, values: dict[str, Any]) -> str:
    return PlainRenderer().render("t", text, values, "t1")


def test_each_line_of_what_is_rendered_leads_back_to_the_line_that_made_it() -> None:
    values = {"jinja_list": ["a", "b"], "jinja_text": "x\ny", "jinja_off": False}
    with_marks = marked(LOOP)
    assert with_marks is not None
    plain = render(LOOP, values)

    lines = line_map(plain, render(with_marks, values))

    source = LOOP.split("\n")
    made = [
        (text.strip(), source[lines.line_of(number) - 1].strip())
        for number, text in enumerate(plain.split("\n"), 1)
    ]
    assert [pair for pair in made if pair[0]] == [
        ("one: 1", "one: 1"),
        ("item_a: a", "item_{{ x }}: {{ x }}"),
        ("more: |", "more: |"),
        ("x", "{{ jinja_text }}"),
        ("y", "{{ jinja_text }}"),
        ("item_b: b", "item_{{ x }}: {{ x }}"),
        ("more: |", "more: |"),
        ("x", "{{ jinja_text }}"),
        ("y", "{{ jinja_text }}"),
        ("last: x", "last: {{ jinja_text }}"),
        ("y", "last: {{ jinja_text }}"),
    ]
    assert lines_of_text(LOOP) - lines.rendered == {10}


def test_a_template_that_looks_at_its_own_text_has_no_lines() -> None:
    text = "{% set part %}a\nb{% endset %}{{ part | length }}\n"
    with_marks = marked(text)
    assert with_marks is not None

    assert line_map(render(text, {}), render(with_marks, {})).line_of(1) == 0
