"""What sweeps have found, as the leader follows it: how much there is, and what is corrected."""

from __future__ import annotations

import logging

from ..core import effects, records
from ..core.drift import is_correctable, policies_for
from ..core.keys import Keys
from ..core.policies import OnDrift
from ..core.records import Drift
from ..core.refs import Ref
from ..core.world import World
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)


class Drifts:
    """The records of drift."""

    def __init__(
        self, world: World, keys: Keys, leadership: Leadership
    ) -> None:
        self._world, self._keys = world, keys
        self._leadership = leadership
        self._found: dict[Ref, Drift] = {}
        self.sizes = {"drifted": 0, "lost": 0}
        """How many resources differ, and of how many the stack is gone."""

    def note(self, key: str, value: bytes | None, revision: int) -> None:
        """A worker has found something; None: nothing differs any more.

        :param revision: of the record.
        """
        ref = self._keys.ref(self._keys.drift, key)
        if ref is None:
            return
        drift = _read(value)
        self._found.pop(ref, None)
        if drift is not None and drift.shown:
            self._found[ref] = drift
        self.sizes = {
            "drifted": len(self._found),
            "lost": sum(one.lost for one in self._found.values()),
        }
        if drift is not None and self._counts(ref, drift):
            self._world.note_drift(ref, drifted=True)
            self._correct(ref, drift, key, revision)
        else:
            self._world.note_drift(ref, drifted=False)

    def _counts(self, ref: Ref, drift: Drift) -> bool:
        """Whether this is about the version that was built last, and nobody has accepted it."""
        handled = self._world.handled.get(ref)
        return drift.shown and handled is not None and handled.sent == drift.job

    def _correct(self, ref: Ref, drift: Drift, key: str, revision: int) -> None:
        """Have the version built again, if the template says so.

        That it is corrected once more is written first: drift that always comes back is corrected
        a few times only, whoever leads.
        """
        wanted = self._world.wanted.get(ref)
        if wanted is None or wanted.marked_for_deletion:
            return
        asked = ref in self._world.again or self._world.graph.on(ref)
        if asked or not is_correctable(drift):
            return
        if policies_for(self._world, wanted).drift is not OnDrift.CORRECT:
            return
        noted = effects.note_correction(key, drift, revision)
        if not self._leadership.commit(noted):
            return  # It was compared again: the next record says how it stands.
        count(EventName.DRIFT_CORRECTED)
        fields = {
            "event": "drift_corrected",
            "resource": str(ref),
            "reason": drift.reason,
        }
        log.warning("Drift is corrected by a rebuild", extra=fields)
        self._world.try_again(ref)


def _read(value: bytes | None) -> Drift | None:
    if value is None:
        return None
    try:
        return Drift.from_json(value)
    except records.UNREADABLE:
        return None  # Of a newer release.
