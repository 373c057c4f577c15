"""How the arguments of Heat's intrinsic functions must look, before anybody asks what they name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from ...documents import members
from ...refs import Json
from ..findings import did_you_mean, kind_of
from .scope import Scope

Shape = Callable[[Json, Scope], Iterator[str]]


def anything(argument: Json, scope: Scope) -> Iterator[str]:
    yield from ()


def _is_call(argument: Json, scope: Scope) -> bool:
    return scope.call(argument, ()) is not None


def _list(example: str, least: int, most: int | None = None) -> Shape:
    def check(argument: Json, scope: Scope) -> Iterator[str]:
        if _is_call(argument, scope):
            return
        if (
            not isinstance(argument, list)
            or len(argument) < least
            or (most is not None and len(argument) > most)
        ):
            yield f"takes {example}"

    return check


def _keys(
    example: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Shape:
    def check(argument: Json, scope: Scope) -> Iterator[str]:
        if _is_call(argument, scope):
            return
        if not isinstance(argument, dict) or any(
            name not in argument for name in needed
        ):
            yield f"takes {example}"
            return
        known = (*needed, *optional)
        for name in argument:
            if name not in known:
                yield f"has no {name!r}; {did_you_mean(name, known)}"

    return check


def _text(argument: Json, scope: Scope) -> Iterator[str]:
    if not isinstance(argument, str) and not _is_call(argument, scope):
        yield f"takes a name, not {kind_of(argument)}"


def _get_param(argument: Json, scope: Scope) -> Iterator[str]:
    name = argument
    if isinstance(argument, list) and argument:
        name = argument[0]
    if not isinstance(name, str) and not _is_call(name, scope):
        yield f"takes a name, or a list of a name and a path, not {kind_of(argument)}"


def _get_attr(argument: Json, scope: Scope) -> Iterator[str]:
    least = 2
    if "str_split" in scope.version.functions:
        least = 1
    if not isinstance(argument, list) or len(argument) < least:
        yield "takes a list: [resource, attribute, path …]"


def _if(argument: Json, scope: Scope) -> Iterator[str]:
    least = 3
    if scope.version.optional_else:
        least = 2
    if not isinstance(argument, list) or not least <= len(argument) <= 3:
        yield "takes a list: [condition, value if true, value if false]"


def _digest(argument: Json, scope: Scope) -> Iterator[str]:
    if not isinstance(argument, list) or len(argument) != 2:
        yield "takes a list: [algorithm, value]"
    elif (
        isinstance(argument[0], str)
        and argument[0].lower() not in hashlib.algorithms_available
    ):
        yield f"knows no algorithm {argument[0]!r}"


def _list_join(argument: Json, scope: Scope) -> Iterator[str]:
    several = "str_split" in scope.version.functions
    yield from _list(
        "a list: [separator, list of texts]", 2, None if several else 2
    )(argument, scope)
    if (
        isinstance(argument, list)
        and isinstance(argument[:1], list)
        and argument
    ):
        if not isinstance(argument[0], str) and not _is_call(
            argument[0], scope
        ):
            yield f"takes a separator that is a text, not {kind_of(argument[0])}"
        for strings in argument[1:]:
            if (
                strings is not None
                and not isinstance(strings, list)
                and not _is_call(strings, scope)
            ):
                yield f"joins lists of texts, not {kind_of(strings)}"


def _str_replace(argument: Json, scope: Scope) -> Iterator[str]:
    yield from _keys(
        "an object of template and params", ("template", "params")
    )(argument, scope)
    if isinstance(argument, dict):
        params = argument.get("params")
        if "params" in argument and not isinstance(params, dict):
            yield f"takes params that are an object, not {kind_of(params)}"
        template = argument.get("template")
        if (
            "template" in argument
            and not isinstance(template, str)
            and not _is_call(template, scope)
        ):
            yield f"takes a template that is a text, not {kind_of(template)}"


def _strict(argument: Json, scope: Scope) -> Iterator[str]:
    yield from _str_replace(argument, scope)
    if (
        isinstance(argument, dict)
        and isinstance(argument.get("params"), dict)
        and isinstance(argument.get("template"), str)
    ):
        for name in argument["params"]:
            if name not in argument["template"]:
                yield f"has a param {name!r} that its template does not contain"


def _repeat(argument: Json, scope: Scope) -> Iterator[str]:
    yield from _keys(
        "an object of template and for_each",
        ("template", "for_each"),
        ("permutations",),
    )(argument, scope)
    loops = members(argument).get("for_each")
    if loops is not None and not isinstance(loops, dict):
        yield f"takes a for_each that is an object of lists, not {kind_of(loops)}"
    elif isinstance(loops, dict):
        for name, values in loops.items():
            if values is not None and not isinstance(values, (list, dict)):
                yield f"takes lists in for_each; {name!r} is {kind_of(values)}"


_URL = (
    "scheme",
    "username",
    "password",
    "host",
    "port",
    "path",
    "query",
    "fragment",
)
SHAPES: Mapping[str, Shape] = {
    "get_param": _get_param,
    "get_resource": _text,
    "get_attr": _get_attr,
    "str_replace": _str_replace,
    "str_replace_strict": _strict,
    "str_replace_vstrict": _strict,
    "list_join": _list_join,
    "repeat": _repeat,
    "digest": _digest,
    "if": _if,
    "str_split": _list("a list: [separator, text, place]", 2, 3),
    "map_merge": _list("a list of objects", 0),
    "map_replace": _list("a list: [object, {keys, values}]", 2, 2),
    "list_concat": _list("a list of lists", 0),
    "list_concat_unique": _list("a list of lists", 0),
    "filter": _list("a list: [values, list]", 2, 2),
    "contains": _list("a list: [value, list]", 2, 2),
    "equals": _list("a list of two values", 2, 2),
    "and": _list("a list of two conditions or more", 2),
    "or": _list("a list of two conditions or more", 2),
    "yaql": _keys(
        "an object of expression and data", ("expression",), ("data",)
    ),
    "make_url": _keys(f"an object of {', '.join(_URL)}", (), _URL),
}
"""How the argument of each function must look, by its name."""
