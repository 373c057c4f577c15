"""YAML as JSON has it.

The rule: ``null``, ``true``, ``false`` and numbers are what JSON writes them as (``~``, ``True``
and ``NULL`` count, and an empty value is null); every other plain word is the text that was typed.
Words that can only be meant for a number that JSON does not have, such as ``.inf`` and ``NaN``, are
refused.
"""

from __future__ import annotations

import math
import re

import yaml

from ..refs import Json
from .located import Located, SourceError
from .nodes import Dialect, line_of, read

_WORDS: dict[str, Json] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?(\.(inf|Inf|INF)|Infinity)|\.(nan|NaN|NAN)|NaN")
_NUMERIC = frozenset("-+.0123456789IN")
"""What a number can begin with, those included that JSON does not have."""
_LONGEST_NUMBER = 4000
"""Digits; Python refuses to read integers of more than 4,300."""


class _Untyped(yaml.resolver.BaseResolver):
    """Leaves every plain word what it is: no word means a number, a truth or a time by itself."""


def read_yaml(text: str) -> list[Located]:
    """All documents of a text, empty ones left out.

    :raises SourceError: with the line.
    """
    return read(text, _DIALECT)


def _scalar(node: yaml.ScalarNode) -> Json:
    text: str = node.value
    if node.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _NUMBER.fullmatch(text):
        return _number(node)
    if _NO_NUMBER.fullmatch(text):
        raise SourceError(
            line_of(node),
            f"{text}: JSON has no such number; if it is a text, put it in quotes",
        )
    return text


def _number(node: yaml.ScalarNode) -> Json:
    text: str = node.value
    if len(text) <= _LONGEST_NUMBER:
        if text.lstrip("-").isdigit():
            return int(text)
        number = float(text)
        if math.isfinite(number):
            return number
    raise SourceError(
        line_of(node),
        "the number is out of range; if it is a text, put it in quotes",
    )


def _key(node: yaml.ScalarNode) -> str:
    value = _scalar(node)
    if not isinstance(value, str):
        raise SourceError(
            line_of(node),
            f"the key {node.value[:40]!r} should be a text; put it in quotes",
        )
    return value


_DIALECT = Dialect(_Untyped, _scalar, _key)
