"""Whether the values that a type allows for a property fit the parameter that carries it."""

from __future__ import annotations

from collections.abc import Mapping

from ...documents import members
from ...mapping.nodes import Field, Node, Output
from ...refs import Json
from ...schemas import ResourceType
from ...templates import Template
from ..bodies import ALWAYS
from ..findings import Finding, Findings, hint
from .views import View, type_names

_PLAIN = ("string", "number", "boolean")


def check_parameters(
    template: Template,
    kind: ResourceType | None,
    parameters: Mapping[str, Json],
) -> Findings:
    """Whether the values that a type allows for a property are allowed for the parameter that
    carries it.
    :param parameters: as the rendered template declares them.
    """
    view = View(None, template.id, whole=True)
    if kind is not None:
        view = View.of_type(kind)
    for name, node in template.mappings:
        if name not in parameters:
            continue
        parameter = parameters[name]
        yield from _check_null(name, node, view, parameter)
        if isinstance(node, Field) and not node.path:
            schema = view.schema_of(node.name)
            if isinstance(schema, dict) and isinstance(parameter, dict):
                yield from _check_type(name, schema, parameter)
                yield from _check_values(name, schema, parameter)


def _check_null(name: str, node: Node, view: View, parameter: Json) -> Findings:
    """A property that need not be there, carried by a parameter that takes no null."""
    if not isinstance(parameter, dict) or parameter.get("default") is not None:
        return
    if not isinstance(node, Field | Output) or node.ignore_missing:
        return
    required = members(view.schema).get("required")
    if not isinstance(required, list) or not required:
        return
    first = _first_property(node)
    if first not in (*required, *ALWAYS):
        yield hint(
            (name,),
            f"{first} need not be there, and the parameter has no default: Heat refuses"
            " null",
        )


def _first_property(node: Field | Output) -> str:
    """The property that a mapping reads first."""
    if node.path:
        return node.path[0].property
    if isinstance(node, Field):
        return node.name
    return ""


def _check_type(
    name: str, schema: Mapping[str, Json], parameter: Mapping[str, Json]
) -> Findings:
    """A property with parts, carried by a parameter that takes none."""
    types = type_names(schema) or []
    has_parts = "array" in types or "object" in types
    if has_parts and parameter.get("type") in _PLAIN:
        yield Finding(
            (name,),
            f"the property is {' or '.join(map(str, types))}, "
            f"and the parameter {parameter['type']}; "
            "declare it json",
        )


def _check_values(
    name: str, schema: Mapping[str, Json], parameter: Mapping[str, Json]
) -> Findings:
    """A value that the type allows, and that a constraint of the parameter does not."""
    values = schema.get("enum")
    constraints = parameter.get("constraints")
    if not isinstance(values, list) or not isinstance(constraints, list):
        return
    for constraint in constraints:
        allowed = members(constraint).get("allowed_values")
        if isinstance(allowed, list):
            known = set(map(str, allowed))
            for value in values:
                if value is not None and str(value) not in known:
                    yield Finding(
                        (name,),
                        f"the type allows {value!r}, and the template's parameter does"
                        " not",
                    )
