"""What sweeps have found, as the leader follows it."""

from __future__ import annotations

from ..core import records
from ..core.keys import Keys
from ..core.records import Drift


class Drifts:
    """The records of drift, and how many there are."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._found: dict[str, Drift] = {}
        """By key."""
        self.sizes = {"drifted": 0, "lost": 0}
        """How many resources differ, and of how many the stack is gone."""

    def note(self, key: str, value: bytes | None) -> None:
        """A worker has found something; None: nothing differs any more."""
        self._found.pop(key, None)
        if value is not None:
            self._take_in(key, value)
        shown = [drift for drift in self._found.values() if drift.shown]
        self.sizes = {
            "drifted": len(shown),
            "lost": sum(drift.lost for drift in shown),
        }

    def _take_in(self, key: str, value: bytes) -> None:
        try:
            self._found[key] = Drift.from_json(value)
        except records.UNREADABLE:
            return  # Of a newer release.
