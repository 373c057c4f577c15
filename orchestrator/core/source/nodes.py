"""From the nodes of YAML to values with lines. What a plain word means is the dialect's business.

What holds for every dialect: tags of other languages are refused, keys stand only once, nesting is
bounded, and aliases cannot multiply without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from typing import Any

import yaml

from ..documents import one_or_more
from ..refs import Json
from .located import DEPTH_LIMIT, VALUE_LIMIT, JsonPath, Located, SourceError

COPY_LIMIT = 200_000
"""Most values of one file that aliases add to what is written: ten lines can stand for billions."""

_PARSER: Any = getattr(getattr(yaml, "cyaml", None), "CParser", None)
"""libyaml's, where PyYAML was built with it: five times as fast as the one in Python."""
_MERGE = "<<"


@dataclass(frozen=True)
class Dialect:
    """How plain words are read. *resolver* gives them tags; *scalar* and *key* make values."""

    resolver: Callable[[], Any]
    scalar: Callable[[yaml.ScalarNode], Json]
    key: Callable[[yaml.ScalarNode], str]
    tags: frozenset[str | None] = field(default_factory=frozenset)


def read(text: str, dialect: Dialect) -> list[Located]:
    """All documents of a text, empty ones left out.

    :raises SourceError: with the line.
    """
    copies = _Budget(COPY_LIMIT)
    try:
        found = [
            _located(node, number, text, dialect, copies)
            for number, node in enumerate(_compose(text, dialect))
        ]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SourceError(
            mark.line + 1 if mark else 0,
            error.problem or error.context or "not YAML",
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SourceError(
            line,
            f"character {error.character!r} must not stand in YAML: {error.reason}",
        ) from None
    except RecursionError:
        raise SourceError(
            0, f"nested deeper than {DEPTH_LIMIT} levels"
        ) from None
    return [located for located in found if located is not None]


@lru_cache(maxsize=4)
def nodes(text: str, dialect: Dialect) -> list[yaml.Node]:
    """The nodes once more, for whoever asks for lines.

    Kept for all documents from the start, they would slow reading down by half.
    """
    return list(_compose(text, dialect))


@cache
def _composer(resolver: Any) -> type[Any]:
    """Reads text to nodes."""
    if _PARSER is not None:
        return type(
            "Composer", (_PARSER, resolver), {"__init__": _start_fast(resolver)}
        )
    pure = (
        yaml.reader.Reader,
        yaml.scanner.Scanner,
        yaml.parser.Parser,
        yaml.composer.Composer,
    )
    return type(
        "Composer", (*pure, resolver), {"__init__": _start_pure(pure, resolver)}
    )


def _start_fast(resolver: Any) -> Callable[[Any, str], None]:
    def start(self: Any, stream: str) -> None:
        _PARSER.__init__(self, stream)
        resolver.__init__(self)

    return start


def _start_pure(
    parts: tuple[type[Any], ...], resolver: Any
) -> Callable[[Any, str], None]:
    def start(self: Any, stream: str) -> None:
        parts[0].__init__(self, stream)
        for part in (*parts[1:], resolver):
            part.__init__(self)

    return start


def _compose(text: str, dialect: Dialect) -> Iterator[yaml.Node]:
    composer = _composer(dialect.resolver)(text)
    try:
        while composer.check_node():
            yield composer.get_node()
    finally:
        if hasattr(composer, "dispose"):
            composer.dispose()


def _located(
    node: yaml.Node, number: int, text: str, dialect: Dialect, copies: _Budget
) -> Located | None:
    value = _Reading(dialect, copies).value(node, 0, copied=False)
    if value is None and isinstance(node, yaml.ScalarNode):
        return None
    return Located(value, line_of(node), partial(_find, text, number, dialect))


def line_of(node: yaml.Node) -> int:
    """From 1."""
    line: int = node.start_mark.line + 1
    return line


# Values -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Budget:
    """How many values may still be made."""

    left: int

    def spend(self, node: yaml.Node, why: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise SourceError(line_of(node), why)


@dataclass(slots=True)
class _Reading:
    """One document on its way to a value. *copies* is shared by the documents of a file."""

    dialect: Dialect
    copies: _Budget
    values: _Budget = field(default_factory=lambda: _Budget(VALUE_LIMIT))
    seen: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, depth: int, *, copied: bool) -> Json:
        copied = copied or id(node) in self.seen
        self.seen.add(id(node))
        self.values.spend(
            node, f"the document has more than {VALUE_LIMIT} values"
        )
        if copied:
            self.copies.spend(
                node, f"aliases make more than {COPY_LIMIT} values of it"
            )
        if depth > DEPTH_LIMIT:
            raise SourceError(
                line_of(node), f"nested deeper than {DEPTH_LIMIT} levels"
            )
        self._check_tag(node)
        if isinstance(node, yaml.ScalarNode):
            return self.dialect.scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.value(inner, depth + 1, copied=copied)
                for inner in node.value
            ]
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node, depth, copied=copied)

    def _mapping(
        self, node: yaml.MappingNode, depth: int, *, copied: bool
    ) -> dict[str, Json]:
        merged: dict[str, Json] | None = None
        own: dict[str, Json] = {}
        for key_node, value_node in node.value:
            value = self.value(value_node, depth + 1, copied=copied)
            if is_merge(key_node):
                if merged is not None:
                    raise SourceError(
                        line_of(key_node), "key '<<' is there twice"
                    )
                merged = _merged(value, key_node)
                continue
            key = self._key(key_node)
            if key in own:
                raise SourceError(
                    line_of(key_node), f"key {key!r} is there twice"
                )
            own[key] = value
        if merged:
            return {**merged, **own}
        return own

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise SourceError(
                line_of(node), "a key should be a text, not a list or an object"
            )
        self._check_tag(node)
        return self.dialect.key(node)

    def _check_tag(self, node: yaml.Node) -> None:
        """Lists, objects and texts may say what they are; any other tag is another language's."""
        if (
            node.tag not in _TAGS[type(node)]
            and node.tag not in self.dialect.tags
        ):
            raise SourceError(
                line_of(node),
                f"the tag {node.tag!r} is not taken; write the value as JSON has it",
            )


_TAGS: dict[type[yaml.Node], tuple[str | None, ...]] = {
    kind: (None, "?", "!", f"tag:yaml.org,2002:{tag}")
    for kind, tag in (
        (yaml.ScalarNode, "str"),
        (yaml.SequenceNode, "seq"),
        (yaml.MappingNode, "map"),
    )
}


def _merged(value: Json, key: yaml.Node) -> dict[str, Json]:
    """What ``<<`` brings in: an object, or the objects of a list, the first one first."""
    merged: dict[str, Json] = {}
    for source in one_or_more(value):
        if not isinstance(source, dict):
            raise SourceError(
                line_of(key), "'<<' takes an object, or a list of objects"
            )
        merged = {**source, **merged}
    return merged


def is_merge(node: yaml.Node) -> bool:
    return (
        isinstance(node, yaml.ScalarNode)
        and not node.style
        and node.value == _MERGE
    )


# Lines --------------------------------------------------------------------------------------------


def _find(text: str, number: int, dialect: Dialect, path: JsonPath) -> int:
    """The line of the key or element at the end of *path*, or of the last one on the way."""
    node = nodes(text, dialect)[number]
    line = line_of(node)
    for step in path:
        found = _step(node, step)
        if found is None:
            return line
        line, node = found
    return line


def _step(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode):
        if isinstance(step, int) and step < len(node.value):
            inner = node.value[step]
            return line_of(inner), inner
        return None
    if isinstance(node, yaml.MappingNode):
        return _entry(node, step)
    return None


def _entry(
    node: yaml.MappingNode, name: str | int
) -> tuple[int, yaml.Node] | None:
    for key, value in node.value:
        if key.value == name and not is_merge(key):
            return line_of(key), value
    for key, value in node.value:
        if not is_merge(key):
            continue
        for source in _sources(value):
            if isinstance(source, yaml.MappingNode) and (
                found := _entry(source, name)
            ):
                return found
    return None


def _sources(value: yaml.Node) -> list[yaml.Node]:
    if isinstance(value, yaml.SequenceNode):
        return list(value.value)
    return [value]
