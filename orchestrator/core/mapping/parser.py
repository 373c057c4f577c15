"""Text or object to tree. A mapping that does not parse names the text at fault."""

from __future__ import annotations

from typing import Literal

from ...errors import MappingSyntaxError, shortened
from ..documents import inside
from ..refs import Json
from .nodes import (
    Concat,
    Constant,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
    Version,
)
from .patterns import Pattern, PatternError, compile_pattern
from .texts import text_of

_DEPTH_LIMIT = 32
"""Deeper nesting than any template needs; stops a hostile document before Python's recursion limit
does."""
_CONSTANT_DEPTH_LIMIT = 100
"""As for bodies: records are written with a recursive encoder."""
_COMPOSED = ("A", "F", "M")
"""Letters of the short strings that have parts: a concatenation, and those with hops."""
PART_LIMIT = 10_000
"""Parts of the mappings of one document: objects, short strings and hops."""
PATTERN_TEXT_LIMIT = 20_000
"""Characters of all regular expressions of one document. Compiling takes about 5 µs for each
(measured)."""


class Allowance:
    """What the mappings of one document may still have. One object for all of them, changed as they
    are parsed."""

    __slots__ = ("parts", "pattern_text")

    def __init__(self) -> None:
        self.parts = PART_LIMIT
        self.pattern_text = PATTERN_TEXT_LIMIT

    def take(self, mapping: Json, parts: int = 1) -> None:
        """:raises MappingSyntaxError: there are none left."""
        self.parts -= parts
        if self.parts < 0:
            raise MappingSyntaxError(
                mapping,
                f"the document's mappings have more than {PART_LIMIT} parts",
            )

    def take_pattern(self, mapping: Json, weight: int) -> None:
        """:raises MappingSyntaxError: there is none left."""
        self.pattern_text -= weight
        if self.pattern_text < 0:
            why = (
                "the document's regular expressions have more than"
                f" {PATTERN_TEXT_LIMIT} characters"
            )
            raise MappingSyntaxError(mapping, why)


def parse(mapping: Json, allowance: Allowance | None = None) -> Node:
    """The tree of one mapping.

    :param mapping: a short string (``Pname``) or an object (``{"field": "name"}``).
    :param allowance: what it and the other mappings of its document may have; by default, all for
        itself.
    :raises MappingSyntaxError: with the part at fault.
    """
    return _parse(mapping, 0, allowance or Allowance())


def _parse(mapping: Json, depth: int, allowance: Allowance) -> Node:
    if depth > _DEPTH_LIMIT:
        raise MappingSyntaxError(
            mapping, f"nested deeper than {_DEPTH_LIMIT} levels"
        )
    if isinstance(mapping, str):
        inner = 0
        if mapping[:1] in _COMPOSED:
            inner = mapping.count("&") + mapping.count(":")
        allowance.take(mapping, 1 + inner)
        return _parse_short(mapping)
    if isinstance(mapping, dict):
        allowance.take(mapping)
        return _parse_object(mapping, depth, allowance)
    raise MappingSyntaxError(
        mapping,
        "expected a short string such as 'Pname' or an object such as {\"field\":"
        ' "name"}',
    )


# Short strings: the first letter says what the rest is --------------------------------------------


def _parse_short(text: str) -> Node:
    rest = text[1:]
    match text[:1]:
        case "C":
            return Constant(rest)
        case "P":
            return Field(_name(rest, text))
        case "O":
            return _object_field(rest, text)
        case "F":
            return _field_elsewhere(rest, text)
        case "M":
            return _output(rest, text)
        case "V":
            return _version(rest, text)
        case "A":
            return Concat(tuple(_parse_short(part) for part in rest.split("&")))
        case "":
            raise MappingSyntaxError(text, "is empty")
        case letter:
            raise MappingSyntaxError(
                text,
                f"starts with {letter!r}; known are A, C, F, M, O, P and V",
            )


def _object_field(rest: str, text: str) -> ObjectField:
    owner, colon, name = rest.partition(":")
    if not (owner and colon and name):
        raise MappingSyntaxError(
            text, "expected O<object property>:<its property>"
        )
    return ObjectField(owner, name)


def _field_elsewhere(rest: str, text: str) -> Field:
    """``Fa+a_id:b+b_id:field``: hops of type and id property, then the field."""
    *hops, field = rest.split(":")
    if not (hops and field):
        raise MappingSyntaxError(
            text,
            "expected F<type>+<id property>[:<type>+<id property>…]:<field>",
        )
    return Field(field, tuple(_hop(hop, text) for hop in hops))


def _hop(hop: str, text: str) -> Hop:
    kind, plus, owner = hop.partition("+")
    if not (kind and plus and owner):
        raise MappingSyntaxError(
            text, f"hop {hop!r} is not <type>+<id property>"
        )
    return Hop(owner, kind)


def _output(rest: str, text: str) -> Output:
    """``Mnetwork:network_id:id``; more hops follow the same pattern of type and id property."""
    *path, key = rest.split(":")
    if not path or len(path) % 2 or not all(path) or not key:
        raise MappingSyntaxError(
            text, "expected M<type>:<id property>:<output key>"
        )
    return Output(
        key,
        tuple(
            Hop(owner, kind)
            for kind, owner in zip(path[::2], path[1::2], strict=True)
        ),
    )


def _version(word: Json, text: Json) -> Version:
    if word != "auto_filled":
        raise MappingSyntaxError(
            text, "the only version there is is 'auto_filled'"
        )
    return Version()


def _name(name: Json, text: Json) -> str:
    if not isinstance(name, str) or not name:
        raise MappingSyntaxError(text, "expected the name of a property")
    return name


# Objects: the set of keys says what it is ---------------------------------------------------------


def _parse_object(
    mapping: dict[str, Json], depth: int, allowance: Allowance
) -> Node:
    keys = mapping.keys() - {"ignore_missing"}
    ignore_missing = mapping.get("ignore_missing", False)
    if not isinstance(ignore_missing, bool):
        raise MappingSyntaxError(
            mapping, "ignore_missing must be true or false"
        )
    if keys == {"constant"}:
        return _constant(mapping)
    if keys == {"version"}:
        return _version(mapping["version"], mapping)
    if keys in ({"field"}, {"field", "path"}):
        return _field_object(mapping, allowance, ignore_missing)
    if keys == {"output_key", "path"}:
        return _output_object(mapping, allowance, ignore_missing)
    if keys == {"if_mapping", "then_mapping", "else_mapping"}:
        return _if(mapping, depth, allowance)
    if keys == {"for_field", "for_mapping"}:
        return _for_each(mapping, depth, allowance)
    raise MappingSyntaxError(
        mapping,
        "its keys fit none of: constant; version; field [path]; output_key path; "
        "if_mapping then_mapping else_mapping; for_field for_mapping",
    )


def _field_object(
    mapping: dict[str, Json], allowance: Allowance, ignore_missing: bool
) -> Field:
    field = mapping["field"]
    if not isinstance(field, str):
        raise MappingSyntaxError(
            mapping, "field must be the name of a property"
        )
    return Field(field, _path(mapping, allowance), ignore_missing)


def _output_object(
    mapping: dict[str, Json], allowance: Allowance, ignore_missing: bool
) -> Output:
    path = _path(mapping, allowance)
    if not path:
        raise MappingSyntaxError(
            mapping,
            "an output belongs to another resource: path must not be empty",
        )
    return Output(_name(mapping["output_key"], mapping), path, ignore_missing)


def _for_each(
    mapping: dict[str, Json], depth: int, allowance: Allowance
) -> ForEach:
    items = mapping["for_field"]
    if isinstance(items, str):
        node: Node = Field(items)
    else:
        node = _parse(items, depth + 1, allowance)
    return ForEach(node, _parse(mapping["for_mapping"], depth + 1, allowance))


def _constant(mapping: dict[str, Json]) -> Constant:
    value = mapping["constant"]
    if _depth(value) > _CONSTANT_DEPTH_LIMIT:
        raise MappingSyntaxError(
            mapping,
            f"a constant nested deeper than {_CONSTANT_DEPTH_LIMIT} levels",
        )
    return Constant(value)


def _depth(value: Json) -> int:
    """How many lists and objects are inside each other."""
    level, depth = [value], 0
    while level := [
        item for item in level if isinstance(item, (list, dict)) and item
    ]:
        depth += 1
        level = [inner for item in level for inner in inside(item)]
    return depth


def _path(mapping: dict[str, Json], allowance: Allowance) -> tuple[Hop, ...]:
    path = mapping.get("path", [])
    if not isinstance(path, list):
        raise MappingSyntaxError(mapping, "path must be a list of hops")
    allowance.take(mapping, len(path))
    return tuple(_object_hop(hop, mapping) for hop in path)


def _object_hop(hop: Json, mapping: Json) -> Hop:
    if isinstance(hop, str) and hop:
        return Hop(hop)
    if isinstance(hop, dict) and hop.keys() == {"type", "id"}:
        kind, owner = hop["type"], hop["id"]
        if isinstance(kind, str) and kind and isinstance(owner, str):
            return Hop(owner, kind)
    raise MappingSyntaxError(
        mapping,
        f'hop {hop!r} is neither the name of a property nor {{"type": …, "id": …}}',
    )


def _if(mapping: dict[str, Json], depth: int, allowance: Allowance) -> If:
    condition = mapping["if_mapping"]
    if not isinstance(condition, dict) or len(condition) != 1:
        raise MappingSyntaxError(
            mapping,
            "if_mapping must be one of {equal: [m, m]} and {regexp: [m, m]}",
        )
    ((test, sides),) = condition.items()
    if (
        test not in ("equal", "regexp")
        or not isinstance(sides, list)
        or len(sides) != 2
    ):
        raise MappingSyntaxError(
            mapping,
            "if_mapping must be one of {equal: [m, m]} and {regexp: [m, m]}",
        )
    left, right = (_parse(side, depth + 1, allowance) for side in sides)
    pattern = None
    if test == "regexp" and isinstance(right, Constant):
        pattern = _pattern(mapping, text_of(right.value), allowance)
    kind: Literal["equal", "regexp"] = "regexp"
    if test == "equal":
        kind = "equal"
    return If(
        kind,
        left,
        right,
        _parse(mapping["then_mapping"], depth + 1, allowance),
        _parse(mapping["else_mapping"], depth + 1, allowance),
        pattern,
    )


def _pattern(mapping: Json, text: str, allowance: Allowance) -> Pattern:
    try:
        pattern = compile_pattern(text)
        allowance.take_pattern(mapping, pattern.weight)
        return pattern
    except PatternError as error:
        why = f"regular expression {shortened(repr(text))}: {error.detail}"
        raise MappingSyntaxError(mapping, why) from error
