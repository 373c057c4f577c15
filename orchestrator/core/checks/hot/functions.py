"""Heat's intrinsic functions: where they stand in a template, whether they are well formed, and
what they name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from ...documents import elements
from ...refs import Json
from ...source import JsonPath
from ..findings import Finding, Findings, did_you_mean, hint, kind_of
from .parameters import PSEUDO
from .scope import Call, Scope
from .shapes import SHAPES, anything

_SLIP = 0.84
"""Similarity from which the only key of an object counts as a misspelt function."""


def check_functions(value: Json, path: JsonPath, scope: Scope) -> Findings:
    """Every function inside a value, at any depth."""
    if call := scope.call(value, path):
        yield from _check_call(call, scope)
        yield from check_functions(
            call.argument, call.inside, scope.within(call)
        )
    elif isinstance(value, dict):
        yield from _check_misspelt(value, path, scope)
        for name, inner in value.items():
            yield from check_functions(inner, (*path, name), scope)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from check_functions(inner, (*path, place), scope)


def _check_misspelt(
    value: Mapping[str, Json], path: JsonPath, scope: Scope
) -> Findings:
    """Heat takes an object for an object when its key names no function of this version."""
    if len(value) != 1:
        return
    (name,) = value
    if name in scope.heat.functions:
        needed = [
            word
            for word, version in scope.heat.versions.items()
            if name in version.functions
        ]
        yield Finding(
            (*path, name),
            f"this heat_template_version has no function {name}; {needed[0]} has",
        )
        return
    similar = {
        other: SequenceMatcher(None, name, other).ratio()
        for other in scope.version.functions
        if "_" in other
    }
    meant = max(similar, key=lambda other: similar[other], default="")
    if meant and similar[meant] >= _SLIP:
        yield Finding(
            (*path, name),
            f"there is no function {name!r}; did you mean {meant}?",
        )


def _check_call(call: Call, scope: Scope) -> Findings:
    for text in SHAPES.get(call.name, anything)(call.argument, scope):
        yield Finding(call.inside, f"{call.name} {text}")
    yield from _check_placeholders(call)
    if check := _NAMES.get(call.name):
        yield from check(call, scope)


def _check_placeholders(call: Call) -> Findings:
    """Params that stand nowhere in their template: nothing is replaced."""
    if call.name != "str_replace" or not isinstance(call.argument, dict):
        return
    template, names = call.argument.get("template"), call.argument.get("params")
    if not isinstance(template, str) or not isinstance(names, dict):
        return
    for name in names:
        if name not in template:
            yield hint(
                (*call.inside, "params", name),
                f"{name!r} stands nowhere in the template of str_replace",
            )


# What they name -----------------------------------------------------------------------------------


def _param(call: Call, scope: Scope) -> Findings:
    name = call.argument
    if isinstance(call.argument, list) and call.argument:
        name = call.argument[0]
    if (
        not isinstance(name, str)
        or scope.is_open(name)
        or name in scope.parameters
        or name in PSEUDO
    ):
        return
    known: Iterable[str] = scope.parameters
    if name.startswith("OS::"):
        known = PSEUDO
    yield Finding(
        call.inside,
        f"get_param of {name!r}, which is no parameter; {did_you_mean(name, known)}",
    )


def _resource(call: Call, scope: Scope) -> Findings:
    name = call.argument
    if (
        isinstance(name, str)
        and not scope.is_open(name)
        and name not in scope.kinds
    ):
        yield Finding(
            call.inside,
            f"get_resource of {name!r}, which is no resource;"
            f" {did_you_mean(name, scope.kinds)}",
        )


def _attribute(call: Call, scope: Scope) -> Findings:
    if not isinstance(call.argument, list) or not call.argument:
        return
    name, attribute = (*call.argument, None)[:2]
    if not isinstance(name, str) or scope.is_open(name):
        return
    if name not in scope.kinds:
        yield Finding(
            call.inside,
            f"get_attr of {name!r}, which is no resource;"
            f" {did_you_mean(name, scope.kinds)}",
        )
        return
    kind = scope.kinds[name]
    if (
        kind is None
        or kind.any_attribute
        or not isinstance(attribute, str)
        or scope.is_open(attribute)
    ):
        return
    if attribute not in kind.attributes:
        known = sorted(kind.attributes)
        yield Finding(
            call.inside,
            f"get_attr of {name!r}: it has no attribute {attribute!r}; "
            f"{did_you_mean(attribute, known)}",
        )


def _condition(call: Call, scope: Scope) -> Findings:
    if isinstance(call.argument, list) and call.argument:
        yield from check_condition(call.argument[0], (*call.inside, 0), scope)


def check_condition(value: Json, path: JsonPath, scope: Scope) -> Findings:
    """A condition: the name of one, true or false, or a function of conditions."""
    if (
        isinstance(value, str)
        and not scope.is_open(value)
        and value not in scope.conditions
    ):
        yield Finding(
            path,
            f"there is no condition {value!r};"
            f" {did_you_mean(value, sorted(scope.conditions))}",
        )
    elif isinstance(value, (int, float, list)) and not isinstance(value, bool):
        yield Finding(
            path,
            "expected a condition: a name, true, false or a function, not"
            f" {kind_of(value)}",
        )


def _file(call: Call, scope: Scope) -> Findings:
    yield Finding(
        call.inside,
        "get_file needs a file beside the template, and none is sent to Heat; "
        "put its text into the template",
    )


_NAMES: Mapping[str, Callable[[Call, Scope], Findings]] = {
    "get_param": _param,
    "get_resource": _resource,
    "get_attr": _attribute,
    "get_file": _file,
    "if": _condition,
}


def references(
    value: Json, path: JsonPath, scope: Scope
) -> Iterator[tuple[JsonPath, str]]:
    """The resources that a value needs, by ``get_resource`` and ``get_attr``."""
    if call := scope.call(value, path):
        name = call.argument
        if (
            call.name == "get_attr"
            and isinstance(call.argument, list)
            and call.argument
        ):
            name = call.argument[0]
        if call.name in ("get_resource", "get_attr") and isinstance(name, str):
            yield call.inside, name
        yield from references(call.argument, call.inside, scope)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from references(inner, (*path, key), scope)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from references(inner, (*path, place), scope)


def _named(argument: Json) -> Sequence[Json]:
    """The name that the argument of a ``get_param`` begins with, if it has one."""
    if isinstance(argument, str):
        return (argument,)
    return elements(argument)[:1]


def used_parameters(value: Json) -> Iterator[str]:
    """Every name that a ``get_param`` names, anywhere."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "get_param":
                yield from map(str, _named(inner))
            yield from used_parameters(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from used_parameters(inner)
