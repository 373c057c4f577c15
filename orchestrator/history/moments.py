"""Moments as a command line names them: ``1d``, ``2h30m``, or a date and a time."""

from __future__ import annotations

import re
from datetime import datetime

from ..errors import InvalidInput

_UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SPAN = re.compile(r"(?:\d+[wdhms])+")
_PART = re.compile(r"(\d+)([wdhms])")


def moment(text: str, now: float, option: str) -> float:
    """Seconds since the epoch.

    :param now: the same, of now: a span such as ``1d`` counts back from here.
    :param option: the option that holds the text, for the error.
    :raises InvalidInput: it names no moment.
    """
    span = _span(text)
    if span is not None:
        return now - span
    return _time(text, option)


def coming(text: str, now: float, option: str) -> float:
    """The same of a moment that is yet to come: a span counts from *now* on.

    :raises InvalidInput: it names no moment, or one that is over.
    """
    span = _span(text)
    found = _time(text, option) if span is None else now + span
    if found <= now:
        raise InvalidInput(f"{option} {text}: this is over already")
    return found


def _span(text: str) -> float | None:
    """The seconds of a span; None when the text is none."""
    words = text.strip()
    if not _SPAN.fullmatch(words):
        return None
    parts = _PART.findall(words)
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _time(text: str, option: str) -> float:
    try:
        found = datetime.fromisoformat(text.strip())
        # Without an offset it is a time of this machine's zone.
        return found.astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{option} {text}: expected a span such as 1d or 2h30m, or a time such as"
            " 2026-11-28T04:57:22Z"
        ) from None
