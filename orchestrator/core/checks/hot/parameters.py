"""The parameters of a HOT: how they are declared, and whether a value that is sent fits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...documents import elements, one_or_more
from ...refs import Json
from ..findings import Finding, Findings, did_you_mean, kind_of
from .types import Version
from .words import is_number, listed, out_of_range

TYPES = ("string", "number", "comma_delimited_list", "json", "boolean")
PSEUDO = ("OS::stack_id", "OS::stack_name", "OS::project_id", "OS::region")
"""Parameters that every template has."""

_CONSTRAINTS = (
    "length",
    "range",
    "modulo",
    "allowed_values",
    "allowed_pattern",
    "custom_constraint",
)
_FOR_TYPES = {
    "range": ("number",),
    "modulo": ("number",),
    "length": ("string", "comma_delimited_list", "json"),
    "allowed_pattern": ("string",),
}
_TRUTHS = frozenset(
    ("true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n")
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as it is declared. *default* is None when there is none."""

    type: str
    default: Json
    constraints: tuple[Mapping[str, Json], ...]

    def value(self, given: Json) -> Json:
        """What ``get_param`` gives for a value that is sent; None when nothing is."""
        value = given
        if given is None:
            value = self.default
        if self.type == "comma_delimited_list" and isinstance(value, str):
            if value:
                return value.split(",")
            return []
        if self.type == "json" and isinstance(value, str) and value:
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value


def declared(parameters: Mapping[str, Json]) -> dict[str, Parameter]:
    """The parameters that are declared well enough to be used."""
    return {
        name: _parameter(entry)
        for name, entry in parameters.items()
        if isinstance(entry, dict)
    }


def _parameter(entry: Mapping[str, Json]) -> Parameter:
    found = elements(entry.get("constraints"))
    kind = entry.get("type")
    if not isinstance(kind, str):
        kind = ""
    return Parameter(
        kind,
        entry.get("default"),
        tuple(
            constraint for constraint in found if isinstance(constraint, dict)
        ),
    )


# Declarations -------------------------------------------------------------------------------------


def check_declarations(
    parameters: Mapping[str, Json], version: Version
) -> Findings:
    """What Heat would refuse in the section ``parameters``."""
    for name, entry in parameters.items():
        for finding in _check_declaration(entry, version):
            yield finding.below("parameters", name)


def _check_declaration(entry: Json, version: Version) -> Findings:
    if not isinstance(entry, dict):
        yield Finding(
            (), f"expected an object with a type, not {kind_of(entry)}"
        )
        return
    for key in entry:
        if key not in version.parameter:
            yield Finding(
                (key,),
                f"a parameter has no {key!r}; {did_you_mean(key, version.parameter)}",
            )
    kind = entry.get("type")
    if kind is None:
        yield Finding((), "it has no type")
        return
    if kind not in TYPES:
        yield Finding(
            ("type",),
            f"there is no type {kind!r}; {did_you_mean(str(kind), TYPES)}",
        )
        return
    for key in ("hidden", "immutable"):
        if key in entry and str(entry[key]).lower() not in ("true", "false"):
            yield Finding((key,), "should be true or false")
    yield from _check_constraints(entry.get("constraints"), kind, version)
    if entry.get("default") is not None:
        parameter = _parameter(entry)
        for text in faults_of(parameter, entry["default"]):
            yield Finding(("default",), text)


def _check_constraints(
    constraints: Json, kind: str, version: Version
) -> Findings:
    if constraints is None:
        return
    if not isinstance(constraints, list):
        yield Finding(("constraints",), "expected a list of constraints")
        return
    for place, constraint in enumerate(constraints):
        for finding in _check_constraint(constraint, kind, version):
            yield finding.below("constraints", place)


def _check_constraint(
    constraint: Json, kind: str, version: Version
) -> Findings:
    if not isinstance(constraint, dict):
        yield Finding((), "expected an object such as {range: {min: 1}}")
        return
    known = [
        name
        for name in _CONSTRAINTS
        if name != "modulo"
        or "tags" in version.parameter
        or "if" in version.functions
    ]
    names = [name for name in constraint if name != "description"]
    for name in names:
        if name not in known:
            yield Finding(
                (name,),
                f"there is no constraint {name!r}; {did_you_mean(name, known)}",
            )
        elif kind not in _FOR_TYPES.get(name, TYPES):
            yield Finding(
                (name,),
                f"a {kind} has no {name}; it is for {listed(_FOR_TYPES[name])}",
            )
        else:
            yield from _CHECKS[name](name, constraint[name])
    if not names:
        yield Finding(
            (), f"there is no constraint in it; known are {', '.join(known)}"
        )


def _check_limits(name: str, value: Json) -> Findings:
    keys = ("min", "max")
    if name == "modulo":
        keys = ("step", "offset")
    if not isinstance(value, dict) or not value:
        yield Finding((name,), f"expected an object with {listed(keys)}")
        return
    for key, number in value.items():
        if key not in keys:
            yield Finding(
                (name, key), f"there is no {key!r}; {did_you_mean(key, keys)}"
            )
        elif not is_number(number):
            yield Finding(
                (name, key), f"expected a number, not {kind_of(number)}"
            )


def _check_values(name: str, value: Json) -> Findings:
    if not isinstance(value, list):
        yield Finding(
            (name,), f"expected a list of values, not {kind_of(value)}"
        )


def _check_pattern(name: str, value: Json) -> Findings:
    if not isinstance(value, str) or not compiles(value):
        yield Finding((name,), "expected a regular expression")


def _check_custom(name: str, value: Json) -> Findings:
    if not isinstance(value, str):
        yield Finding(
            (name,), f"expected the name of a constraint, not {kind_of(value)}"
        )


_CHECKS: Mapping[str, Callable[[str, Json], Findings]] = {
    "length": _check_limits,
    "range": _check_limits,
    "modulo": _check_limits,
    "allowed_values": _check_values,
    "allowed_pattern": _check_pattern,
    "custom_constraint": _check_custom,
}


def compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


# Values -------------------------------------------------------------------------------------------


def check_sent(
    parameters: Mapping[str, Json], sent: Mapping[str, Json]
) -> Findings:
    """What Heat would refuse of the values that are sent, told at the parameter's declaration.

    Where there is none, the path is ``("sent", name)``.
    """
    known = declared(parameters)
    for name, value in sent.items():
        if name not in known:
            text = f"the template declares no such parameter; {did_you_mean(name, known)}"
            yield Finding(("sent", name), text)
            continue
        parameter = known[name]
        if value is None and parameter.default is None:
            yield Finding(
                ("parameters", name),
                "null is sent, and there is no default; Heat refuses that",
            )
        elif value is not None:
            for text in faults_of(parameter, value):
                yield Finding(
                    ("parameters", name), f"the value that is sent {text}"
                )
    for name, parameter in known.items():
        if name not in sent and parameter.default is None:
            yield Finding(
                ("parameters", name),
                "it has no default, and no mapping gives it; Heat refuses that",
            )


def faults_of(parameter: Parameter, value: Json) -> list[str]:
    """Why a value does not fit: the ends of sentences."""
    if parameter.type not in TYPES:
        return []
    if fault := _type_fault(parameter.type, value):
        return [fault]
    value = parameter.value(value)
    return [
        fault
        for constraint in parameter.constraints
        if (fault := _constraint_fault(constraint, parameter, value))
    ]


def _type_fault(kind: str, value: Json) -> str:
    match kind:
        case "number":
            good = is_number(value)
        case "boolean":
            good = (
                isinstance(value, (bool, int, str))
                and str(value).lower() in _TRUTHS
            )
        case "comma_delimited_list":
            good = isinstance(value, (list, str))
        case "json":
            good = not isinstance(value, str) or _is_json(value)
        case _:
            good = not isinstance(value, (list, dict))
    wanted = {
        "number": "a number",
        "boolean": "true or false",
        "json": "JSON",
        "string": "a text",
    }.get(kind, "a list")
    if good:
        return ""
    return f"should be {wanted}, not {kind_of(value)}"


def _is_json(text: str) -> bool:
    try:
        return not text or json.loads(text) is not Ellipsis
    except ValueError:
        return False


def _constraint_fault(
    constraint: Mapping[str, Json], parameter: Parameter, value: Json
) -> str:
    if isinstance(limits := constraint.get("range"), dict) and is_number(value):
        return out_of_range(
            "should be", float(value), limits.get("min"), limits.get("max")
        )
    if isinstance(limits := constraint.get("length"), dict) and isinstance(
        value, (str, list, dict)
    ):
        return out_of_range(
            "should have a length of",
            len(value),
            limits.get("min"),
            limits.get("max"),
        )
    if isinstance(values := constraint.get("allowed_values"), list):
        return _allowed_fault(values, parameter, value)
    pattern = constraint.get("allowed_pattern")
    if (
        isinstance(pattern, str)
        and compiles(pattern)
        and not re.fullmatch(pattern, str(value))
    ):
        return f"should match the pattern {pattern!r}"
    return ""


def _allowed_fault(
    values: list[Json], parameter: Parameter, value: Json
) -> str:
    given = {_comparable(parameter.type, item) for item in one_or_more(value)}
    if given <= {_comparable(parameter.type, allowed) for allowed in values}:
        return ""
    return f"should be one of {', '.join(map(str, values))}"


def _comparable(kind: str, value: Json) -> Json:
    if kind == "number":
        if is_number(value):
            return float(value)
        return value
    if kind == "boolean":
        return str(value).lower()
    return str(value)
