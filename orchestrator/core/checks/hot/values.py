"""Whether a value fits the schema of a property, as Heat judges it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from ...documents import elements, one_or_more
from ...refs import Json
from ...source import JsonPath
from ..findings import Finding, Findings, did_you_mean, hint, kind_of
from .parameters import PSEUDO
from .scope import Call, Scope
from .types import Property, ResourceKind
from .words import is_number, out_of_range

_WANTED = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "an object",
}
_GIVES = {
    "list_join": "string",
    "str_replace": "string",
    "str_replace_strict": "string",
    "str_replace_vstrict": "string",
    "digest": "string",
    "make_url": "string",
    "get_resource": "string",
    "list_concat": "list",
    "list_concat_unique": "list",
    "filter": "list",
    "repeat": "list",
    "map_merge": "map",
    "map_replace": "map",
}
"""What a function's result is, where its name says it."""

_MAC = re.compile(
    r"([0-9a-fA-F]{1,2}[:-]){5}[0-9a-fA-F]{1,2}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}|[0-9a-fA-F]{12}"
)


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A value that is known only when the stack is built.

    *type* says what it will be, empty when nobody knows.
    """

    type: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a resource a value stands.

    *path* leads there in the template, *names* in the schema: the same without places in lists.
    *instead* are the pairs of properties of which either will do.
    """

    path: JsonPath
    scope: Scope
    instead: tuple[tuple[str, str], ...]
    names: tuple[str, ...] = ()

    def below(self, *path: str | int, name: str = "") -> _Place:
        names = self.names
        if name:
            names = (*self.names, name)
        return replace(self, path=(*self.path, *path), names=names)

    def stands_for(self, name: str) -> str:
        """The older property that may be given in place of a property of this object."""
        wanted = ".".join((*self.names, name))
        old = next((old for new, old in self.instead if new == wanted), "")
        return old.rpartition(".")[2]


def check_properties(
    properties: Mapping[str, Json],
    kind: ResourceKind,
    path: JsonPath,
    scope: Scope,
) -> Findings:
    """The properties of a resource."""
    yield from _check_entries(
        properties, kind.properties, _Place(path, scope, kind.instead)
    )


def _check_entries(
    given: Mapping[str, Json], known: Mapping[str, Property], place: _Place
) -> Findings:
    for name, value in given.items():
        if name in known:
            yield from _check(value, known[name], place.below(name, name=name))
        else:
            text = f"there is no property {name!r}; {did_you_mean(name, sorted(known))}"
            yield Finding((*place.path, name), text)
    for name, schema in known.items():
        needed = schema.required and not schema.has_default
        if needed and name not in given and place.stands_for(name) not in given:
            yield Finding(
                place.path,
                f"the property {name!r} is missing, which must be there",
            )


def _check(value: Json, schema: Property, place: _Place) -> Findings:
    if isinstance(value, str) and place.scope.is_open(value):
        return  # A member's number is put into it.
    call = place.scope.call(value, place.path)
    if call is None:
        yield from _check_plain(value, schema, place)
    elif call.name == "if" and isinstance(call.argument, list):
        for number, branch in enumerate(call.argument[1:], 1):
            yield from _check(branch, schema, place.below("if", number))
    else:
        yield from _check_allowed(call, schema, place)
        known = _resolved(call, place.scope)
        if isinstance(known, _Unknown):
            yield from _check_kind(known, call.name, schema, place)
        else:
            yield from _check_plain(known, schema, place)


def _check_plain(value: Json, schema: Property, place: _Place) -> Findings:
    """A value that is no function; inside, there may be some."""
    if value is None:
        return
    if fault := _type_fault(schema, value):
        yield Finding(place.path, f"{fault}, not {kind_of(value)}")
        return
    for text in _constraint_faults(schema, value):
        yield Finding(place.path, text)
    if isinstance(value, dict) and schema.schema:
        yield from _check_entries(value, schema.schema, place)
    elif isinstance(value, list) and schema.element:
        for number, inner in enumerate(value):
            yield from _check(inner, schema.element, place.below(number))


def _check_allowed(call: Call, schema: Property, place: _Place) -> Findings:
    """A parameter that allows values which its property does not take."""
    if (
        call.name != "get_param"
        or not isinstance(call.argument, str)
        or schema.values is None
    ):
        return
    parameter = place.scope.parameters.get(call.argument)
    if parameter is None:
        return
    for constraint in parameter.constraints:
        for value in elements(constraint.get("allowed_values")):
            if not _allowed(schema, value):
                text = (
                    f"the parameter {call.argument} allows {value!r}, which the"
                    " property refuses"
                )
                yield hint(place.path, text)


def _check_kind(
    found: _Unknown, function: str, schema: Property, place: _Place
) -> Findings:
    """A function's result whose kind is known: a text is no list, and a list no text."""
    if not found.type or found.type == schema.type or schema.conversion:
        return
    if {found.type, schema.type} <= {"string", "list", "map"}:
        text = (
            f"should be {_WANTED[schema.type]}, and {function} gives"
            f" {_WANTED[found.type]}"
        )
        yield Finding(place.path, text)


def _resolved(call: Call, scope: Scope) -> Json | _Unknown:
    """The value of a function, as far as it is known before the stack is built."""
    if call.name != "get_param":
        return _Unknown(_GIVES.get(call.name, ""))
    name, *steps = one_or_more(call.argument) or (call.argument,)
    if name in PSEUDO:
        return _Unknown("string")
    if not isinstance(name, str) or name not in scope.parameters:
        return _Unknown()
    value = scope.parameters[name].value(scope.sent.get(name))
    if value is None:
        return _Unknown()
    if not steps:
        return value
    if name not in scope.sent:
        return _Unknown()
    try:
        return reduce(_part, steps, value)
    except (KeyError, IndexError, ValueError, TypeError):
        # As Heat has it.
        return ""


def _part(value: Json, step: Json) -> Json:
    """What a step of a path leads to."""
    if isinstance(value, list):
        return value[int(step)]
    return value[step]


# Types and constraints ----------------------------------------------------------------------------


def _type_fault(schema: Property, value: Json) -> str:
    if _FITS[schema.type](schema, value):
        return ""
    return f"should be {_WANTED[schema.type]}"


def _is_integer(value: Json) -> bool:
    if isinstance(value, (bool, int, float)):
        return True
    return (
        isinstance(value, str)
        and re.fullmatch(r"\s*[-+]?\d+\s*", value) is not None
    )


_FITS: Mapping[str, Callable[[Property, Json], bool]] = {
    "any": lambda schema, value: True,
    "string": lambda schema, value: isinstance(value, (str, bool, int)),
    "integer": lambda schema, value: _is_integer(value),
    "number": lambda schema, value: isinstance(value, bool) or is_number(value),
    "boolean": lambda schema, value: (
        isinstance(value, bool) or str(value).lower() in ("true", "false")
    ),
    "list": lambda schema, value: (
        isinstance(value, list)
        or (schema.conversion and isinstance(value, str))
    ),
    "map": lambda schema, value: (
        isinstance(value, dict)
        or (schema.conversion and isinstance(value, (str, list)))
    ),
}


def _constraint_faults(schema: Property, value: Json) -> Iterator[str]:
    if schema.values is not None and not _allowed(schema, value):
        meant = ""
        if isinstance(value, str):
            meant = did_you_mean(
                str(value), [str(item) for item in schema.values]
            )
        told = ""
        if meant.startswith("did"):
            told = f"; {meant}"
        yield f"should be one of {', '.join(map(str, schema.values))}{told}"
    if schema.range and is_number(value):
        yield from filter(
            None, [out_of_range("should be", float(value), *schema.range)]
        )
    if schema.length and isinstance(value, (str, list, dict)):
        yield from filter(
            None,
            [
                out_of_range(
                    "should have a length of", len(value), *schema.length
                )
            ],
        )
    if (
        schema.pattern
        and isinstance(value, str)
        and not re.fullmatch(schema.pattern, value)
    ):
        yield f"should match the pattern {schema.pattern!r}"
    if (
        schema.custom in _CUSTOM
        and isinstance(value, (str, int))
        and value != ""
    ):
        fits, wanted = _CUSTOM[schema.custom]
        if not fits(str(value)):
            yield f"should be {wanted}"


def _allowed(schema: Property, value: Json) -> bool:
    values = schema.values or ()
    if isinstance(value, list):
        return all(
            not isinstance(item, (str, int)) or item in values for item in value
        )
    if schema.type == "string":
        return str(value) in map(str, values)
    if schema.type in ("integer", "number"):
        return is_number(value) and float(value) in [
            float(allowed) for allowed in values if is_number(allowed)
        ]
    return value in values


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_range(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


_CUSTOM: Mapping[str | None, tuple[Callable[[str], bool], str]] = {
    "ip_addr": (_is_address, "an IP address"),
    "net_cidr": (_is_range, "a range of addresses such as 192.0.2.0/24"),
    "ip_or_cidr": (_is_range, "an IP address or a range of them"),
    "mac_addr": (
        lambda text: _MAC.fullmatch(text) is not None,
        "a MAC address; in YAML, put it in quotes",
    ),
}
"""Constraints that Heat leaves to plug-ins and that need no cloud."""
