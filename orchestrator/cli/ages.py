"""How long ago, since when, and until when: times as people read them, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from .output import duration

_DAY = 86_400.0


def age(now: float, since: float) -> str:
    """How long it is so: ``3 h 5 min``; empty when nobody knows since when."""
    if not since:
        return ""
    seconds = max(now - since, 0.0)
    if seconds >= 2 * _DAY:
        return f"{seconds // _DAY:.0f} d {seconds % _DAY // 3600:.0f} h"
    return duration(seconds)


def clock_time(now: float, at: float) -> str:
    """A moment: ``04:12:09Z`` of today, ``2026-11-27T04:12Z`` of another day; empty when nobody
    knows."""
    if not at:
        return ""
    moment = datetime.fromtimestamp(at, UTC)
    if moment.date() == datetime.fromtimestamp(now, UTC).date():
        return moment.strftime("%H:%M:%SZ")
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def stamp(at: float) -> str:
    """A moment for programs: ``2026-11-27T04:12:09Z``; empty when nobody knows."""
    if not at:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def due(now: float, at: float) -> str:
    """When something happens: ``in 3 min 2 s``, ``now``; empty when nobody knows."""
    if not at:
        return ""
    if at <= now:
        return "now"
    return f"in {duration(at - now)}"
