"""Small judgements about values and the words for them, shared by the checks of HOT."""

from __future__ import annotations

from collections.abc import Iterable

from ...refs import Json


def is_number(value: Json) -> bool:
    """Whether Heat takes it for a number: texts that write one count, true and false do not."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def out_of_range(start: str, number: float, least: Json, most: Json) -> str:
    """``should be at least 1``, or nothing when the number is within its limits."""
    if is_number(least) and number < float(least):
        return f"{start} at least {least}"
    if is_number(most) and number > float(most):
        return f"{start} at most {most}"
    return ""


def listed(words: Iterable[str]) -> str:
    """``min and max``, ``string, json and number``."""
    *first, last = words
    if first:
        return f"{', '.join(first)} and {last}"
    return last
