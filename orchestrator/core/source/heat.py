"""YAML as Heat reads a template: YAML 1.1, in which ``on`` is true and ``0644`` is 420; only times
stay texts.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from ..refs import Json
from .located import Located, SourceError
from .nodes import Dialect, line_of, nodes, read

_TAG = "tag:yaml.org,2002:"
_TEXTS = frozenset(
    {
        f"{_TAG}str",
        f"{_TAG}timestamp",
        f"{_TAG}value",
        f"{_TAG}merge",
        None,
        "!",
        "?",
    }
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()


def read_hot(text: str) -> list[Located]:
    """What Heat makes of a template. Keys that are there twice are refused; Heat would take the
    last.
    :raises SourceError: with the line.
    """
    return read(text, _DIALECT)


def base_60(text: str) -> list[int]:
    """The lines of plain words that Heat takes for numbers in base 60: times, and MAC addresses of
    digits.
    """
    found = [
        node
        for document in nodes(text, _DIALECT)
        for node in _scalars(document, set())
    ]
    return sorted({line_of(node) for node in found if _is_base_60(node)})


def _is_base_60(node: yaml.ScalarNode) -> bool:
    return (
        not node.style
        and node.tag in (f"{_TAG}int", f"{_TAG}float")
        and _BASE_60.fullmatch(node.value) is not None
    )


def _scalars(node: yaml.Node, seen: set[int]) -> list[yaml.ScalarNode]:
    found: list[yaml.ScalarNode] = []
    pending = [node]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            found.append(node)
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value
        else:
            pending += [part for pair in node.value for part in pair]
    return found


def _scalar(node: yaml.ScalarNode) -> Json:
    if node.tag in _TEXTS:
        return node.value
    try:
        match node.tag.removeprefix(_TAG):
            case "int":
                return _CONSTRUCTOR.construct_yaml_int(node)
            case "float":
                return _finite(_CONSTRUCTOR.construct_yaml_float(node))
            case "bool":
                return _CONSTRUCTOR.construct_yaml_bool(node)
            case "null":
                return None
    except (ValueError, KeyError, OverflowError):
        raise SourceError(
            line_of(node),
            "this is no number of JSON; if it is a text, put it in quotes",
        ) from None
    return node.value


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number


def _key(node: yaml.ScalarNode) -> str:
    """As JSON would have it: Heat stores templates as JSON."""
    value = _scalar(node)
    if isinstance(value, bool):
        if value:
            return "true"
        return "false"
    if value is None:
        return "null"
    return str(value)


_DIALECT = Dialect(
    yaml.resolver.Resolver,
    _scalar,
    _key,
    frozenset(
        f"{_TAG}{name}"
        for name in (
            "int",
            "float",
            "bool",
            "null",
            "timestamp",
            "value",
            "merge",
        )
    ),
)
