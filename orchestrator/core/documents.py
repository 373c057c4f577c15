"""JSON as the standard has it: what Python takes beyond that is refused, for no other program could
read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import isfinite

from .refs import Json


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"a number that is out of range: {text[:20]}")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_number)


def parse_json(text: str | bytes) -> Json:
    """The value of a JSON document in UTF-8.

    :raises ValueError: it is none: ``NaN``, ``Infinity`` and ``1e999`` included.
    :raises RecursionError: it is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode()
    return _DECODER.decode(text)


_NO_MEMBERS: Mapping[str, Json] = {}


def members(value: Json) -> Mapping[str, Json]:
    """The members of an object; of anything else, none."""
    if isinstance(value, Mapping):
        return value
    return _NO_MEMBERS


def elements(value: Json) -> Sequence[Json]:
    """The elements of a list; of anything else, none."""
    if isinstance(value, list):
        return value
    return ()


def one_or_more(value: Json) -> Sequence[Json]:
    """The elements of a list; anything else stands for itself."""
    if isinstance(value, list):
        return value
    return (value,)


def inside(value: Json) -> Iterable[Json]:
    """What is directly inside a value: of an object, the values of its members."""
    match value:
        case dict():
            return value.values()
        case list():
            return value
    return ()


def canonical(value: Json) -> str:
    """One text for one value, in whatever order its properties were written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


# Documents inside others --------------------------------------------------------------------------

_INSIDE = ("body", "state", "heat_outputs", "monitoring")
"""Members of records whose value may be JSON inside a text."""


def unfolded(value: bytes) -> Json:
    """A value of etcd as one wants to read it, the JSON inside texts taken out.

    It may hold secrets. Whatever is no JSON is told by its size.
    """
    try:
        return _unfolded(json.loads(value))
    except (ValueError, RecursionError):
        return f"({len(value)} bytes that are not JSON)"


def _unfolded(document: Json) -> Json:
    if not isinstance(document, dict):
        return document
    return {
        name: _unfolded(_inner(name, value)) for name, value in document.items()
    }


def _inner(name: str, value: Json) -> Json:
    if name not in _INSIDE or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return f"({len(value)} characters that are not JSON)"


DIGEST = 9
"""Bytes of a digest: two of a million different values are the same with a chance of one in a
billion."""


def digest_of(value: Json) -> str:
    """A short name of a JSON value: equal for equal values."""
    return blake2b(canonical(value).encode(), digest_size=DIGEST).hexdigest()
