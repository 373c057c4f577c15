"""``templates check`` finds what is wrong with an entry of the catalogue, and names the file and the path."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli import checking
from orchestrator.clients import catalogue
from orchestrator.errors import InvalidInput

SCHEMA = "{id: disk, prefix: /v2.0/disks, metadata: {template_path: Cdisk}, schema: {type: object}}"
MAPPING = "parameter_mappings: {heat_timeout: C10, size: Psize, owner: Fperson+owner_id:name, jinja_tag: Ptag}"
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
PERSON = "{id: person, prefix: /v2.0/people}"
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


def problems(folder: Path, **files: str) -> list[tuple[str, str]]:
    """What is found in a good entry of which some files are replaced: (file, problem)."""
    content = {"schema.yaml": SCHEMA, "mapping.yaml": MAPPING, "template.yaml.j2": TEMPLATE, "cases/tagged.yaml": CASE}
    names = {"schema": "schema.yaml", "mapping": "mapping.yaml", "template": "template.yaml.j2", "case": "cases/tagged.yaml"}
    content |= {names[name]: text for name, text in files.items()}
    (folder / "person").mkdir()
    (folder / "person" / "schema.yaml").write_text(PERSON)
    for name, text in content.items():
        file = folder / "disk" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    checked = checking.check(checking.read(folder))
    return [(str(p.file.relative_to(folder / "disk")), p.text) for entry in checked for p in entry.problems]


def test_the_projects_own_catalogue_is_in_order() -> None:
    found = checking.check(checking.read(catalogue.default_folder()))

    assert [problem for checked in found for problem in checked.problems] == []
    assert all(checked.entry.cases for checked in found if checked.entry.template)


def test_a_good_entry_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "mapping",
            "Psize",
            "size",
            ("mapping.yaml", "template disk, parameter size: mapping 'size': starts with 's'; known are A, C, F, M, O, P and V"),
            id="a mapping does not parse",
        ),
        pytest.param(
            "schema",
            "Cdisk",
            "Xdisk",
            ("schema.yaml", "template_path of type disk: mapping 'Xdisk': starts with 'X'; known are A, C, F, M, O, P and V"),
            id="the template_path does not parse",
        ),
        pytest.param(
            "template",
            "endif",
            "endfi",
            ("cases/tagged.yaml", "template disk, line 12: Encountered unknown tag 'endfi'."),
            id="the template does not parse",
        ),
        pytest.param(
            "template",
            "if jinja_tag",
            "if jinja_tog",
            ("cases/tagged.yaml", "template disk, line 10: 'jinja_tog' is undefined"),
            id="the template does not render",
        ),
        pytest.param(
            "template",
            "outputs:",
            "outputs: [",
            (
                "cases/tagged.yaml",
                "the rendered template is not YAML: line 14, column 60: expected ',' or ']', but got '<stream end>'",
            ),
            id="what it renders is not YAML",
        ),
        pytest.param(
            "template",
            "heat_template_version: 2018-08-31",
            "version: 1",
            ("cases/tagged.yaml", "the rendered template is not HOT: expected one object with heat_template_version"),
            id="what it renders is not HOT",
        ),
        pytest.param(
            "template",
            '  owner: {type: string, default: ""}\n',
            "",
            ("cases/tagged.yaml", "parameters.owner: it is sent, and the template does not declare it; Heat refuses it"),
            id="a parameter is not declared",
        ),
        pytest.param(
            "template",
            "parameters:\n",
            "parameters:\n  kind: {type: string}\n",
            ("cases/tagged.yaml", "parameters.kind: it is declared, and no mapping gives it"),
            id="a parameter is not given",
        ),
        pytest.param(
            "case",
            "name: Ann",
            "name: null",
            ("cases/tagged.yaml", "expect.parameters.owner: 'Ann' was expected, not None"),
            id="a parameter has another value",
        ),
        pytest.param(
            "template",
            "  volume:",
            "  size:",
            ("cases/tagged.yaml", "parameters.size: a resource has the same name; Heat refuses that"),
            id="a parameter is called like a resource",
        ),
        pytest.param(
            "template",
            "description: Its id., ",
            "",
            ("cases/tagged.yaml", "outputs.id: it has no description"),
            id="an output is not described",
        ),
        pytest.param(
            "template",
            "get_resource: volume",
            "get_resource: volumes",
            ("cases/tagged.yaml", "outputs.id.value: get_resource of 'volumes', which is no resource"),
            id="a name leads nowhere",
        ),
        pytest.param(
            "case",
            "related: [{type: person, id: ann, body: {name: Ann}}]\n",
            "",
            (
                "cases/tagged.yaml",
                "it would be held back: refers to person:ann, which is not in the configuration (yet); add it to the case",
            ),
            id="somebody is missing",
        ),
        pytest.param(
            "case",
            "timeout_mins: 10",
            "timeout_mins: 11",
            ("cases/tagged.yaml", "expect.timeout_mins: 11 was expected, not 10"),
            id="another time limit",
        ),
        pytest.param(
            "case",
            "[[person, ann]]",
            "[]",
            ("cases/tagged.yaml", "expect.references: [] was expected, not [['person', 'ann']]"),
            id="another reference",
        ),
        pytest.param(
            "case",
            "tag: {get_param: owner}",
            "tag: {get_param: size}",
            (
                "cases/tagged.yaml",
                "expect.hot.resources.volume.properties.metadata.tag.get_param: 'size' was expected, not 'owner'",
            ),
            id="another HOT",
        ),
        pytest.param(
            "case",
            "[resources, attachment]",
            "[resources, volume, properties, size]",
            ("cases/tagged.yaml", "expect.absent: resources.volume.properties.size is there"),
            id="something should not be there",
        ),
        pytest.param(
            "case",
            "template: disk",
            "template: null",
            ("cases/tagged.yaml", "expect.template: None was expected, and 'disk' was chosen"),
            id="it is built and should not be",
        ),
        pytest.param(
            "case",
            "expect:",
            "expected:",
            ("cases/tagged.yaml", "unknown key 'expected'; known are description, resource, version, related, outputs, expect"),
            id="a key is misspelt",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, file: str, old: str, new: str, expected: tuple[str, str]) -> None:
    good = {"schema": SCHEMA, "mapping": MAPPING, "template": TEMPLATE, "case": CASE}[file]
    assert old in good

    found = problems(tmp_path, **{file: good.replace(old, new)})

    assert any((where, text[: len(expected[1])]) == expected for where, text in found), found


def test_null_for_a_parameter_without_a_default_is_found(tmp_path: Path) -> None:
    case = CASE.replace("size: 20, owner_id", "owner_id").replace("size: 20, owner: Ann", "size: null, owner: Ann")

    assert problems(tmp_path, case=case) == [
        ("cases/tagged.yaml", "parameters.size: null is sent, and there is no default; Heat refuses that")
    ]


def test_a_template_without_a_case_is_a_problem(tmp_path: Path) -> None:
    problems(tmp_path)
    (tmp_path / "disk" / "cases" / "tagged.yaml").unlink()

    (checked,) = checking.check(checking.read(tmp_path), ["disk"])

    assert [problem.text for problem in checked.problems] == [
        "there is no worked case; write at least one for each way through the template"
    ]


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    problems(tmp_path)

    with pytest.raises(InvalidInput, match="there is no template 'dsk'; known are disk, person"):
        checking.check(checking.read(tmp_path), ["dsk"])


@pytest.mark.parametrize(
    ("expected", "actual", "whole", "found"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, False, [], id="more is no difference"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, True, ["x.b: 2 is there and was not expected"], id="unless it is the whole"),
        pytest.param({"a": True}, {"a": 1}, False, ["x.a: True was expected, not 1"], id="true is not one"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, False, ["x.a.b: it is not there; expected 1"], id="missing"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, False, ["x.a: [1] was expected, not [1, 2]"], id="lists are equal or not"),
    ],
)
def test_differences(expected: object, actual: object, whole: bool, found: list[str]) -> None:
    assert list(checking.differences(expected, actual, "x", whole=whole)) == found
