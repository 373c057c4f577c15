"""JSON as the standard has it: what Python takes beyond that is refused, for no other program could
read it."""

from __future__ import annotations

import json
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
    return _DECODER.decode(text.decode() if isinstance(text, bytes) else text)


def canonical(value: Json) -> str:
    """One text for one value, in whatever order its properties were written."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
