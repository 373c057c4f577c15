"""``templates check`` finds what is wrong with an entry of the catalogue, and names the file and the path."""

from __future__ import annotations

from pathlib import Path

import pytest
from orchestrator.cli import cases, checking, entries
from orchestrator.clients import catalogue, heat_types
from orchestrator.errors import InvalidInput

SCHEMA = """\
id: disk
prefix: /v2.0/disks
metadata: {template_path: Cdisk}
schema:
  type: object
  properties:
    id: {type: string}
    tenant_id: {type: string, relation: tenant}
    size: {type: integer}
    owner_id: {type: string, relation: person}
    tag: {type: string}
"""
MAPPING = """\
parameter_mappings:
  heat_timeout: C10
  size: Psize
  owner: Fperson+owner_id:name
  jinja_tag: Ptag
"""
TEMPLATE = """\
heat_template_version: 2018-08-31
parameters:
  size: {type: number}
  owner: {type: string, default: ""}
resources:
  volume:
    type: OS::Cinder::Volume
    properties:
      size: {get_param: size}
{% if jinja_tag %}
      metadata: {tag: {get_param: owner}}
{% endif %}
outputs:
  id: {description: Its id., value: {get_resource: volume}}
"""
PERSON = """\
id: person
prefix: /v2.0/people
schema: {type: object, properties: {id: {type: string}, name: {type: string}}}
"""
CASE = """\
description: With a tag.
resource: {id: d1, tenant_id: t, size: 20, owner_id: ann, tag: x}
version: 2
related: [{type: person, id: ann, body: {name: Ann}}]
outputs: {}
expect:
  template: disk
  timeout_mins: 10
  parameters: {size: 20, owner: Ann}
  references: [[person, ann]]
  hot: {resources: {volume: {properties: {metadata: {tag: {get_param: owner}}}}}}
  absent: [[resources, attachment]]
"""


def write(folder: Path, **files: str) -> Path:
    """A good entry of which some files are replaced."""
    content = {"schema": SCHEMA, "mapping": MAPPING, "template": TEMPLATE, "case": CASE} | files
    names = {
        "schema": "schema.yaml",
        "mapping": "mapping.yaml",
        "template": "template.yaml.j2",
        "case": "cases/tagged.yaml",
    }
    (folder / "person").mkdir()
    (folder / "person" / "schema.yaml").write_text(PERSON)
    for name, text in content.items():
        file = folder / "disk" / names[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def check(folder: Path, *names: str) -> list[checking.Checked]:
    return checking.check(entries.read(folder), heat_types.load(folder), names)


def problems(folder: Path, hints: bool = False, /, **files: str) -> list[tuple[str, str]]:
    """What is found in a good entry of which some files are replaced: (file:line, problem)."""
    found = [
        problem
        for entry in check(write(folder, **files))
        for problem in (entry.hints if hints else entry.problems)
    ]
    return [
        (
            f"{problem.file.relative_to(folder).as_posix().removeprefix('disk/')}:{problem.line}",
            problem.text,
        )
        for problem in found
    ]


def test_the_projects_own_catalogue_is_in_order() -> None:
    found = check(catalogue.default_folder())

    assert [problem for checked in found for problem in (*checked.problems, *checked.hints)] == []
    assert all(checked.entry.cases for checked in found if checked.entry.template)


def test_a_good_entry_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    assert [hint for checked in check(tmp_path) for hint in checked.hints] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "mapping",
            "Psize",
            "size",
            (
                "mapping.yaml:3",
                "parameter_mappings.size: mapping 'size': starts with 's'; known are A, C, F, M, O, P and V",
            ),
            id="a mapping does not parse",
        ),
        pytest.param(
            "mapping",
            "Psize",
            "Psiez",
            (
                "mapping.yaml:3",
                "parameter_mappings.size: disk has no property 'siez'; did you mean size?",
            ),
            id="a property is misspelt",
        ),
        pytest.param(
            "mapping",
            "Fperson",
            "Fpersons",
            (
                "mapping.yaml:4",
                "parameter_mappings.owner: there is no type 'persons'; did you mean person?",
            ),
            id="a type is misspelt",
        ),
        pytest.param(
            "mapping",
            "+owner_id",
            "+owner_di",
            (
                "mapping.yaml:4",
                "parameter_mappings.owner: disk has no property 'owner_di'; did you mean owner_id?",
            ),
            id="a hop is misspelt",
        ),
        pytest.param(
            "mapping",
            ":name",
            ":nmae",
            (
                "mapping.yaml:4",
                "parameter_mappings.owner: person has no property 'nmae'; did you mean name?",
            ),
            id="a property elsewhere is misspelt",
        ),
        pytest.param(
            "mapping",
            "Fperson+owner_id:name",
            "Mperson:owner_id:name",
            (
                "mapping.yaml:4",
                "parameter_mappings.owner: person is not built, so it has no output 'name'",
            ),
            id="an output of what is not built",
        ),
        pytest.param(
            "mapping",
            "jinja_tag",
            "jinja_tga",
            (
                "mapping.yaml:5",
                "parameter_mappings.jinja_tga: the template does not use jinja_tga; did you mean jinja_tag?",
            ),
            id="a name of Jinja2 is not used",
        ),
        pytest.param(
            "mapping",
            "heat_timeout",
            "heat_timout",
            (
                "mapping.yaml:2",
                "parameter_mappings.heat_timout: names that begin with heat_ are reserved; did you mean heat_timeout?",
            ),
            id="a reserved name",
        ),
        pytest.param(
            "mapping",
            "parameter_mappings:",
            "environment: {}\nparameter_mappings:",
            (
                "mapping.yaml:1",
                "environment: no files and no environment are sent to Heat; write it into the template",
            ),
            id="an environment",
        ),
        pytest.param(
            "schema",
            "Cdisk",
            "Xdisk",
            (
                "schema.yaml:3",
                "template_path of type disk: mapping 'Xdisk': starts with 'X'; known are A, C, F, M, O, P and V",
            ),
            id="the template_path does not parse",
        ),
        pytest.param(
            "schema",
            "Cdisk",
            "Cdsik",
            (
                "schema.yaml:3",
                "metadata.template_path: there is no template 'dsik' in the catalogue; did you mean disk?",
            ),
            id="the template_path leads nowhere",
        ),
        pytest.param(
            "schema",
            "relation: person",
            "relation: presno",
            (
                "schema.yaml:10",
                "schema.properties.owner_id.relation: there is no type 'presno'; did you mean person?",
            ),
            id="a relation is misspelt",
        ),
        pytest.param(
            "schema",
            "size: {type: integer}",
            "size: {type: integr}",
            (
                "schema.yaml:9",
                "schema.properties.size.type: expected one or a list of string, integer",
            ),
            id="a type of JSON is misspelt",
        ),
        pytest.param(
            "schema",
            "size: {type: integer}",
            "size: {tpye: integer}",
            (
                "schema.yaml:9",
                "schema.properties.size.tpye: a JSON schema has no 'tpye'; did you mean type?",
            ),
            id="a word of JSON schema is misspelt",
        ),
        pytest.param(
            "schema",
            "id: disk",
            "id: dsk",
            ("schema.yaml:1", "id: the id should be the name of its folder, 'disk'"),
            id="the id is not the folder's",
        ),
        pytest.param(
            "schema",
            "/v2.0/disks",
            "/v2.0/people",
            ("person/schema.yaml:2", "prefix: types disk and person have one path"),
            id="two types have one path",
        ),
        pytest.param(
            "template",
            "endif",
            "endfi",
            ("template.yaml.j2:12", "template disk, line 12: Encountered unknown tag 'endfi'."),
            id="the template does not parse",
        ),
        pytest.param(
            "template",
            "if jinja_tag",
            "if jinja_tog",
            (
                "template.yaml.j2:10",
                "jinja_tog is used, and no mapping gives it; did you mean jinja_tag?",
            ),
            id="a variable is misspelt",
        ),
        pytest.param(
            "template",
            "outputs:",
            "outputs: [",
            ("template.yaml.j2:14", "the rendered template is not YAML: "),
            id="what it renders is not YAML",
        ),
        pytest.param(
            "template",
            "heat_template_version: 2018-08-31",
            "version: 1",
            (
                "template.yaml.j2:1",
                "this is not HOT: expected one object with heat_template_version",
            ),
            id="what it renders is not HOT",
        ),
        pytest.param(
            "template",
            "2018-08-31",
            "2018-08-32",
            (
                "template.yaml.j2:1",
                "heat_template_version: there is no version '2018-08-32'; did you mean 2018-08-31",
            ),
            id="a version that is none",
        ),
        pytest.param(
            "template",
            '  owner: {type: string, default: ""}\n',
            "",
            ("mapping.yaml:4", "parameter_mappings.owner: the template declares no such parameter"),
            id="a parameter is not declared",
        ),
        pytest.param(
            "template",
            "parameters:\n",
            "parameters:\n  kind: {type: string}\n",
            (
                "template.yaml.j2:3",
                "parameters.kind: it has no default, and no mapping gives it; Heat refuses that",
            ),
            id="a parameter is not given",
        ),
        pytest.param(
            "template",
            "size: {type: number}",
            "size: {type: numbr}",
            (
                "template.yaml.j2:3",
                "parameters.size.type: there is no type 'numbr'; did you mean number?",
            ),
            id="a parameter's type is misspelt",
        ),
        pytest.param(
            "template",
            "OS::Cinder::Volume",
            "OS::Cinder::Volum",
            (
                "template.yaml.j2:7",
                "resources.volume.type: Heat has no type 'OS::Cinder::Volum'; did you mean OS::Cinder::Volume?",
            ),
            id="a type of Heat is misspelt",
        ),
        pytest.param(
            "template",
            "metadata: {tag",
            "metdata: {tag",
            (
                "template.yaml.j2:11",
                "resources.volume.properties.metdata: there is no property 'metdata'; did you mean metadata?",
            ),
            id="a property of Heat is misspelt",
        ),
        pytest.param(
            "template",
            "      size: {get_param: size}",
            "      size: {get_param: siez}",
            (
                "template.yaml.j2:9",
                "resources.volume.properties.size.get_param: get_param of 'siez', which is no parameter; did you mean size?",
            ),
            id="a parameter leads nowhere",
        ),
        pytest.param(
            "template",
            "      size: {get_param: size}",
            "      size: [{get_param: size}]",
            (
                "template.yaml.j2:9",
                "resources.volume.properties.size: should be a whole number, not a list",
            ),
            id="a property has another type",
        ),
        pytest.param(
            "template",
            "  volume:",
            "  size:",
            (
                "template.yaml.j2:3",
                "parameters.size: a resource has the same name; Heat refuses that",
            ),
            id="a parameter is called like a resource",
        ),
        pytest.param(
            "template",
            "get_resource: volume",
            "get_resource: volumes",
            (
                "template.yaml.j2:14",
                "outputs.id.value.get_resource: get_resource of 'volumes', which is no resource; did you mean volume?",
            ),
            id="a name leads nowhere",
        ),
        pytest.param(
            "template",
            "{get_resource: volume}",
            "{get_attr: [volume, sise]}",
            (
                "template.yaml.j2:14",
                "outputs.id.value.get_attr: get_attr of 'volume': it has no attribute 'sise'; did you mean size?",
            ),
            id="an attribute is misspelt",
        ),
        pytest.param(
            "template",
            "{get_resource: volume}",
            "{get_file: id.txt}",
            (
                "template.yaml.j2:14",
                "outputs.id.value.get_file: get_file needs a file beside the template, and none is sent to Heat",
            ),
            id="a file",
        ),
        pytest.param(
            "template",
            "OS::Cinder::Volume",
            "disk.yaml",
            (
                "template.yaml.j2:7",
                "resources.volume.type: 'disk.yaml' is a file, and none is sent to Heat; put its resources into this template",
            ),
            id="a nested template",
        ),
        pytest.param(
            "case",
            "name: Ann",
            "name: null",
            ("cases/tagged.yaml:9", "expect.parameters.owner: 'Ann' was expected, not None"),
            id="a parameter has another value",
        ),
        pytest.param(
            "case",
            "related: [{type: person, id: ann, body: {name: Ann}}]\n",
            "",
            (
                "cases/tagged.yaml:2",
                "it would be held back: refers to person:ann, which is not in the configuration (yet); add it to the case",
            ),
            id="somebody is missing",
        ),
        pytest.param(
            "case",
            "body: {name: Ann}",
            "body: {nmae: Ann}",
            (
                "cases/tagged.yaml:4",
                "related[0].body.nmae: there is no property 'nmae'; did you mean name?",
            ),
            id="a related body has a misspelt property",
        ),
        pytest.param(
            "case",
            "size: 20, owner_id",
            "size: big, owner_id",
            ("cases/tagged.yaml:2", "resource.size: should be a whole number, not a text"),
            id="the body does not fit its type",
        ),
        pytest.param(
            "case",
            "timeout_mins: 10",
            "timeout_mins: 11",
            ("cases/tagged.yaml:8", "expect.timeout_mins: 11 was expected, not 10"),
            id="another time limit",
        ),
        pytest.param(
            "case",
            "[[person, ann]]",
            "[]",
            ("cases/tagged.yaml:10", "expect.references: [] was expected, not [['person', 'ann']]"),
            id="another reference",
        ),
        pytest.param(
            "case",
            "tag: {get_param: owner}",
            "tag: {get_param: size}",
            (
                "cases/tagged.yaml:11",
                "expect.hot.resources.volume.properties.metadata.tag.get_param: 'size' was expected, not 'owner'",
            ),
            id="another HOT",
        ),
        pytest.param(
            "case",
            "[resources, attachment]",
            "[resources, volume, properties, size]",
            ("cases/tagged.yaml:12", "expect.absent[0]: resources.volume.properties.size is there"),
            id="something should not be there",
        ),
        pytest.param(
            "case",
            "template: disk",
            "template: null",
            ("cases/tagged.yaml:7", "expect.template: None was expected, and 'disk' was chosen"),
            id="it is built and should not be",
        ),
        pytest.param(
            "case",
            "expect:",
            "expected:",
            (
                "cases/tagged.yaml:6",
                "expected: there is no property 'expected'; did you mean expect?",
            ),
            id="a key is misspelt",
        ),
        pytest.param(
            "case",
            "version: 2",
            "verzion: 2",
            (
                "cases/tagged.yaml:3",
                "verzion: there is no property 'verzion'; did you mean version?",
            ),
            id="another key is misspelt",
        ),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, file: str, old: str, new: str, expected: tuple[str, str]
) -> None:
    good = {"schema": SCHEMA, "mapping": MAPPING, "template": TEMPLATE, "case": CASE}[file]
    assert old in good

    found = problems(tmp_path, **{file: good.replace(old, new)})

    assert any((where, text[: len(expected[1])]) == expected for where, text in found), found


def test_null_for_a_parameter_without_a_default_is_found(tmp_path: Path) -> None:
    case = CASE.replace("size: 20, owner_id", "owner_id").replace(
        "size: 20, owner: Ann", "size: null, owner: Ann"
    )

    assert problems(tmp_path, case=case) == [
        (
            "template.yaml.j2:3",
            "parameters.size: null is sent, and there is no default; Heat refuses that (case tagged)",
        )
    ]


def test_a_template_without_a_case_is_a_problem(tmp_path: Path) -> None:
    (write(tmp_path) / "disk" / "cases" / "tagged.yaml").unlink()

    (checked,) = check(tmp_path, "disk")

    assert [problem.text for problem in checked.problems] == [
        "there is no worked case; write at least one for each way through the template"
    ]


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path)

    with pytest.raises(InvalidInput, match=r"there is no template 'dsk'; did you mean disk\?"):
        check(tmp_path, "dsk")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "template",
            "description: Its id., ",
            "",
            ("template.yaml.j2:14", "outputs.id: it has no description"),
            id="undescribed",
        ),
        pytest.param(
            "template",
            "parameters:",
            "parameters:\n  kind: {type: string, default: x}",
            ("template.yaml.j2:3", "parameters.kind: no part of the template uses it"),
            id="a parameter that nothing uses",
        ),
        pytest.param(
            "case",
            "id: d1, tenant_id: t, size: 20, owner_id: ann, tag: x}",
            "id: d1, tenant_id: t, size: 20, owner_id: ann}",
            ("template.yaml.j2:11", "no case renders line 11; write one that does"),
            id="a way that no case takes",
        ),
    ],
)
def test_what_refuses_nothing_is_a_hint(
    tmp_path: Path, file: str, old: str, new: str, expected: tuple[str, str]
) -> None:
    good = {"template": TEMPLATE, "case": CASE}[file]
    assert old in good

    found = problems(tmp_path, True, **{file: good.replace(old, new)})

    assert any((where, text[: len(expected[1])]) == expected for where, text in found), found


def test_a_fault_inside_a_loop_is_told_at_the_line_that_made_it(tmp_path: Path) -> None:
    template = TEMPLATE.replace(
        "{% if jinja_tag %}\n      metadata: {tag: {get_param: owner}}\n{% endif %}\n",
        "{% for letter in jinja_tag %}\n  more_{{ letter }}:\n    type: OS::Cinder::Volume\n"
        "    properties: {sise: 1}\n{% endfor %}\n",
    )

    found = problems(
        tmp_path, template=template, case=CASE.replace("tag: x", "tag: xy").partition("  hot:")[0]
    )

    assert [(where, text.partition(":")[0]) for where, text in found] == [
        ("template.yaml.j2:13", "resources.more_x.properties.sise"),
        ("template.yaml.j2:13", "resources.more_y.properties.sise"),
    ]


def test_a_plug_ins_type_is_named_in_a_file_of_the_catalogue(tmp_path: Path) -> None:
    template = TEMPLATE.replace("OS::Cinder::Volume", "Acme::Disk")
    write(tmp_path, template=template)
    plugins = tmp_path / "heat_types.yaml"

    assert [problem.text.partition(";")[0] for problem in check(tmp_path, "disk")[0].problems] == [
        "resources.volume.type: Heat has no type 'Acme::Disk' (a plug-in's type is named in the catalogue's heat_types.yaml) "
        "(case tagged)"
    ]

    plugins.write_text("Acme::Disk:\n")
    assert check(tmp_path, "disk")[0].problems == ()

    plugins.write_text(
        "Acme::Disk: {properties: {size: {type: integer, required: true}, label: {type: string}}}\n"
    )
    (problem,) = check(tmp_path, "disk")[0].problems
    assert (
        problem.text
        == "resources.volume.properties.metadata: there is no property 'metadata'; known are label, size (case tagged)"
    )


@pytest.mark.parametrize(
    ("expected", "actual", "whole", "found"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, False, [], id="more is no difference"),
        pytest.param(
            {"a": 1},
            {"a": 1, "b": 2},
            True,
            ["x.b: 2 is there and was not expected"],
            id="unless it is the whole",
        ),
        pytest.param(
            {"a": True}, {"a": 1}, False, ["x.a: True was expected, not 1"], id="true is not one"
        ),
        pytest.param(
            {"a": {"b": 1}}, {"a": {}}, False, ["x.a.b: it is not there; expected 1"], id="missing"
        ),
        pytest.param(
            {"a": [1]},
            {"a": [1, 2]},
            False,
            ["x.a: [1] was expected, not [1, 2]"],
            id="lists are equal or not",
        ),
    ],
)
def test_differences(expected: object, actual: object, whole: bool, found: list[str]) -> None:
    assert list(map(str, cases.differences(expected, actual, ("x",), whole=whole))) == found
