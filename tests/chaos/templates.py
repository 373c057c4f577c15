"""The templates of a chaos run."""

from __future__ import annotations

from typing import Any

_TEMPLATE_FILE = """heat_template_version: 2018-08-31
parameters: {value: {type: string}, level: {type: string}, PARENTS}
resources: {r: {type: OS::Heat::RandomString}}
outputs:
  id: {description: id, value: {get_resource: r}}
  value: {description: value, value: {get_param: value}}
  level: {description: level, value: LEVEL}
"""


def template(name: str, *parents: str, comment: str = "") -> dict[str, Any]:
    """The template of a type. What its stacks are built from: of each parent the id and the level."""
    read = [name for parent in parents for name in (parent, f"{parent}_level")]
    declared = ", ".join(f"{name}: {{type: string, default: ''}}" for name in read)
    levels = [f"{{get_param: {name}}}" for name in ("level", *read[1::2])]
    text = _TEMPLATE_FILE.replace("PARENTS", declared)
    text = text.replace("LEVEL", f"{{list_join: ['/', [{', '.join(levels)}]]}}")
    return {
        "id": name,
        "handler": "heat_worker",
        "watch": [],
        "template_file": text + comment,
        "parameter_mappings": {
            "value": "Pvalue",
            "level": "Plevel",
            "heat_timeout": "C5",
            **{parent: {"path": [f"{parent}_id"], "output_key": "id"} for parent in parents},
            **{
                f"{parent}_level": {"path": [f"{parent}_id"], "output_key": "level"}
                for parent in parents
            },
        },
    }


TEMPLATES = (template("node", "parent"), template("link", "left", "right"))
