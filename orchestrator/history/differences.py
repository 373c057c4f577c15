"""What differs between two documents: the paths, with the values before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ..core.refs import Json


class MissingValue(Enum):
    """Stands for a value that is not there: null is a value."""

    MISSING = "missing"


NOTHING = MissingValue.MISSING
_MOST = 2000
"""Differences of two documents; more help nobody."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs, as it may be shown."""

    path: str
    """``body.rules[2].port``; empty for the whole document."""
    before: Json
    """:data:`NOTHING`: it was not there."""
    after: Json
    """:data:`NOTHING`: it is not there any more."""

    @property
    def masked(self) -> bool:
        """Whether all that may be shown is the same: a secret has changed."""
        return self.before is not NOTHING and _same(self.before, self.after)

    def to_json(self) -> dict[str, Json]:
        found: dict[str, Json] = {"path": self.path}
        if self.before is not NOTHING:
            found["before"] = self.before
        if self.after is not NOTHING:
            found["after"] = self.after
        if self.masked:
            found["masked"] = True
        return found


@dataclass(frozen=True, slots=True)
class Side:
    """A document as it is, and as it may be shown."""

    real: Json
    shown: Json

    def inner(self, name: Json) -> Side:
        """The part of that name, or number."""
        return Side(_part(self.real, name), _part(self.shown, name))


ABSENT = Side(NOTHING, NOTHING)


def between(before: Side, after: Side) -> list[Difference]:
    """What differs, in order of path. Found in the real documents, told by those to be shown."""
    found: list[Difference] = []
    for difference in _between("", before, after):
        found.append(difference)
        if len(found) == _MOST:
            break
    return found


def _between(path: str, before: Side, after: Side) -> Iterator[Difference]:
    if _both(dict, before, after):
        for name in dict.fromkeys((*before.real, *after.real)):
            inner = f"{path}.{name}" if path else str(name)
            yield from _between(inner, before.inner(name), after.inner(name))
    elif _both(list, before, after):
        for number in range(max(len(before.real), len(after.real))):
            inner = f"{path}[{number}]"
            yield from _between(
                inner, before.inner(number), after.inner(number)
            )
    elif not _same(before.real, after.real):
        yield Difference(path, before.shown, after.shown)


def _same(one: Json, other: Json) -> bool:
    """Whether two values are alike, at any depth. ``1`` and ``true`` are not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            _same(value, other[name]) for name, value in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _both(kind: type, before: Side, after: Side) -> bool:
    """Whether all four are of a kind: what is masked as a whole is compared as a whole."""
    return all(
        isinstance(value, kind)
        for side in (before, after)
        for value in (side.real, side.shown)
    )


def _part(document: Json, name: Json) -> Json:
    if isinstance(document, dict):
        return document.get(name, NOTHING)
    if isinstance(document, list) and name < len(document):
        return document[name]
    return NOTHING
