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
    words = text.strip()
    if _SPAN.fullmatch(words):
        parts = _PART.findall(words)
        return now - sum(int(number) * _UNITS[unit] for number, unit in parts)
    try:
        found = datetime.fromisoformat(words)
        # Without an offset it is a time of this machine's zone.
        return found.astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{option} {text}: expected a span such as 1d or 2h30m, or a time such as"
            " 2026-11-28T04:57:22Z"
        ) from None
