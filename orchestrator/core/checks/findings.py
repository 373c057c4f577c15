"""What a check finds: where in a document, what is wrong, and whether it is only a hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..refs import Json
from ..source import JsonPath, show_path


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    *path* leads to it from the top of the document. *text* says what is wrong and what to do,
    without quoting values, which may be secrets. A *hint* is worth knowing and refuses nothing.
    """

    path: JsonPath
    text: str
    hint: bool = False

    def __str__(self) -> str:
        place = show_path(self.path)
        if place:
            return f"{place}: {self.text}"
        return self.text

    def below(self, *path: str | int) -> Finding:
        """The same finding in a document that holds this one at *path*."""
        return replace(self, path=(*path, *self.path))


Findings = Iterator[Finding]


def hint(path: JsonPath, text: str) -> Finding:
    return Finding(path, text, hint=True)


_NEAR = 0.6
"""Similarity from which a name counts as a misspelling of another."""
_LISTED = 12
"""Most names that an error lists."""


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that *name* may be a misspelling of, the nearest first."""
    found = list(dict.fromkeys(known))
    lowered = {other.lower(): other for other in found}
    if name.lower() in lowered:
        return [lowered[name.lower()]]
    return difflib.get_close_matches(name, found, n=3, cutoff=_NEAR)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: what comes near, or what there is."""
    listed = list(dict.fromkeys(known))
    if meant := near(name, listed):
        return f"did you mean {' or '.join(meant)}?"
    if not listed:
        return "there are none"
    more = ""
    if len(listed) > _LISTED:
        more = f" and {len(listed) - _LISTED} more"
    return f"known are {', '.join(listed[:_LISTED])}{more}"


def kind_of(value: Json) -> str:
    """What a value is, never what it says: it may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
