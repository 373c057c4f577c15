"""The table of drift, as `status` and `drift` show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..views.drifts import DriftView
from .output import DOUBT, Section, duration

DRIFTED = "Drifted: Heat differs from what was built"
"""The title of the table in `status`."""


def drift_table(
    found: Sequence[DriftView], now: float, title: str = ""
) -> Iterator[Section]:
    """What differs of each resource, and for how long; nothing where nothing does.

    :param now: seconds since the epoch.
    """
    if not found:
        return
    rows = [
        (
            str(one.ref),
            ", ".join(one.kinds),
            duration(now - one.since),
            one.reason,
        )
        for one in found
    ]
    columns = ("resource", "differs", "age", "reason")
    yield Section(title, columns, rows, DOUBT, frozenset({"reason"}))
