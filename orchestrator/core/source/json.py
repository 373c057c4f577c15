"""JSON documents, one after the other, with the line of each of their parts.

The standard library reads them; where a line is asked for, the text is walked once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from json import decoder
from math import isfinite
from typing import cast

from ..refs import Json
from .located import DEPTH_LIMIT, JsonPath, Located, SourceError

_SPACE = " \t\r\n"


class _Twice(Exception):
    """An object has a key twice."""


def read_json(text: str) -> list[Located]:
    """All documents of a text: one, or several one after the other.

    :raises SourceError: with the line.
    """
    found: list[Located] = []
    place, line, counted = _skip(text, 0), 1, 0
    while place < len(text):
        value, end = _decode(text, place)
        line, counted = line + text.count("\n", counted, place), place
        found.append(Located(value, line, partial(_line_of, text, place)))
        place = _skip(text, end)
    return found


def _decode(text: str, place: int) -> tuple[Json, int]:
    try:
        value, end = _DECODER.raw_decode(text, place)
        _check_depth(text, place, end)
        return value, end
    except json.JSONDecodeError as error:
        raise SourceError(
            error.lineno, f"column {error.colno}: {error.msg}"
        ) from None
    except _Twice:
        path, position = _second(text, place)
        raise SourceError(
            _line_at(text, position), f"key {path[-1]!r} is there twice"
        ) from None
    except RecursionError:
        raise SourceError(
            _line_at(text, place), f"nested deeper than {DEPTH_LIMIT} levels"
        ) from None
    except ValueError as error:
        raise SourceError(_line_of_number(text, place), str(error)) from None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _Twice
    return document


def _refuse(word: str) -> float:
    raise ValueError(
        f"{word}: JSON has no such number; if it is a text, put it in quotes"
    )


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(
            "the number is out of range; if it is a text, put it in quotes"
        )
    return number


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            "the number is out of range; if it is a text, put it in quotes"
        ) from None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse,
    parse_float=_float,
    parse_int=_int,
)
_text = cast(
    "Callable[[str, int, bool], tuple[str, int]]", vars(decoder)["scanstring"]
)
"""The text that begins after a quote, and where it ends. Its types are not declared."""
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)
"""Takes NaN and numbers of any length: it only has to know where a value ends."""


# Lines --------------------------------------------------------------------------------------------


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _line_of(text: str, start: int, path: JsonPath) -> int:
    nearest = start
    depth = 0
    for found, position in _walk(text, start, ()):
        if found == path:
            return _line_at(text, position)
        if depth < len(found) < len(path) and path[: len(found)] == found:
            nearest, depth = position, len(found)
    return _line_at(text, nearest)


def _second(text: str, start: int) -> tuple[JsonPath, int]:
    """The first key that is there for the second time."""
    seen: set[JsonPath] = set()
    for path, position in _walk(text, start, ()):
        if path in seen:
            return path, position
        seen.add(path)
    return ("",), start


def _line_of_number(text: str, start: int) -> int:
    """The line of the first value that is no number of JSON."""
    for _, position in _walk(text, start, (), values=True):
        try:
            _DECODER.raw_decode(text, position)
        except _Twice:
            continue
        except ValueError:
            return _line_at(text, position)
    return _line_at(text, start)


def _check_depth(text: str, place: int, end: int) -> None:
    brackets = text.count("[", place, end) + text.count("{", place, end)
    if brackets <= DEPTH_LIMIT:
        return
    for path, position in _walk(text, place, ()):
        if len(path) > DEPTH_LIMIT:
            raise SourceError(
                _line_at(text, position),
                f"nested deeper than {DEPTH_LIMIT} levels",
            )


def _walk(
    text: str, place: int, path: JsonPath, *, values: bool = False
) -> Iterator[tuple[JsonPath, int]]:
    """Every part of a document that parses, from the outside in: its path and where it begins.

    :param values: yield where scalar values begin, instead of keys and elements.
    """
    pending: list[tuple[int, JsonPath]] = [(place, path)]
    while pending:
        place, path = pending.pop()
        if text[place] == "{":
            children = _members(text, place)
        elif text[place] == "[":
            children = _elements(text, place)
        else:
            if values:
                yield path, place
            continue
        below: list[tuple[int, JsonPath]] = []
        for name, at, value_at in children:
            if not values:
                yield (*path, name), at
            below.append((value_at, (*path, name)))
        pending += reversed(below)


def _members(text: str, place: int) -> Iterator[tuple[str | int, int, int]]:
    place = _skip(text, place + 1)
    while text[place] != "}":
        name, after = _text(text, place + 1, True)
        value_at = _skip(text, _skip(text, after) + 1)
        yield name, place, value_at
        place = _next(text, value_at)


def _elements(text: str, place: int) -> Iterator[tuple[str | int, int, int]]:
    place = _skip(text, place + 1)
    number = 0
    while text[place] != "]":
        yield number, place, place
        number += 1
        place = _next(text, place)


def _next(text: str, value_at: int) -> int:
    """Where the next member or element begins, or the bracket that closes."""
    _, end = _LENIENT.raw_decode(text, value_at)
    end = _skip(text, end)
    if text[end] == ",":
        return _skip(text, end + 1)
    return end


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place
