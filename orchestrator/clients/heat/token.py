"""A token of Keystone: what it is for, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ...core.refs import Json

LIFE = 3600.0
"""Seconds of a token whose life cannot be read."""
EARLY = 120.0
"""Seconds before its end at which a token is renewed; of a short one, half of its life. A request
may wait in a busy Heat before the token is checked (30 s were seen on two cores)."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and where Heat is for its project.

    *headers* carry it; *project* is the id of the project that it is for, empty when it is for
    none. *made* and *renew* (when it is time for a new one) are by the monotonic clock.
    """

    headers: Mapping[str, str] = field(repr=False)
    project: str
    catalog: Json = field(repr=False, default=None)
    made: float = 0.0
    renew: float = float("inf")

    @property
    def value(self) -> str:
        return self.headers.get("X-Auth-Token", "")

    def is_fresh(self, now: float) -> bool:
        """:param now: by the monotonic clock."""
        return now < self.renew


def made(
    headers: Mapping[str, str],
    project: str,
    catalog: Json,
    life: float,
    now: float,
) -> Token:
    """A token of *now* that is good for *life* seconds.

    :param catalog: Keystone's; only what it says of Heat is kept.
    """
    renew = now + life - min(EARLY, life / 2)
    return Token(headers, project, _of_heat(catalog), now, renew)


def _of_heat(catalog: Json) -> list[Json]:
    if not isinstance(catalog, list):
        return []
    return [
        service
        for service in catalog
        if isinstance(service, dict) and service.get("type") == "orchestration"
    ]


def life(token: Mapping[str, Json]) -> float:
    """Seconds from the making of a token to its end, by Keystone's clock alone."""
    try:
        ends = datetime.fromisoformat(str(token["expires_at"]))
        begins = datetime.fromisoformat(str(token["issued_at"]))
        return max((ends - begins).total_seconds(), 1.0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return LIFE
