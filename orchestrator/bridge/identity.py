"""Before anything is decided: does this bridge lead for what the one before led for?

A wrong prefix, or an etcd that was restored somewhere else, can make it look as if every config had
been removed. Such a bridge decides nothing until the setting is corrected or a person confirms it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import fields, replace

from ..clients.store import Store
from ..clock import CLOCK, Clock
from ..core import effects
from ..core.keys import Keys
from ..core.records import Identity, IdentityTrouble
from ..core.removals import BrakeLimits
from ..core.world import World
from ..errors import TemporaryError
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)

_NAMES = {
    "config": "ORCHESTRATOR_CONFIG_PREFIX",
    "state": "ORCHESTRATOR_STATE_PREFIX",
    "monitoring": "ORCHESTRATOR_MONITORING_PREFIX",
    "jobs": "ORCHESTRATOR_JOBS_PREFIX",
    "types": "the schema list's digest",
    "cluster": "etcd's cluster id",
}


class IdentityDiffers(TemporaryError):
    """By what this bridge leads for, most resources would be gone: nothing is decided."""


class IdentityGuard:
    """Compares what a term would lead for with what the leader before has recorded."""

    def __init__(
        self, store: Store, limits: BrakeLimits, clock: Clock = CLOCK
    ) -> None:
        """:param limits: as many built resources may have lost their config without anybody
        asking."""
        self._store, self._limits, self._clock = store, limits, clock

    def admit(
        self, leadership: Leadership, keys: Keys, world: World, types: str
    ) -> None:
        """Let a term begin, and record what it is for.

        :param types: the digest of the schema list in force.
        :raises IdentityDiffers: it must not begin.
        """
        ours, before = self._identity(keys, types), self._read(keys.identity)
        lost, built = len(world.removals), world.built
        if (
            before is not None
            and _elsewhere(before, ours)
            and lost > self._limits.allowed(built)
        ):
            if self._read(keys.identity_confirmed) != ours:
                raise self._refused(
                    leadership, keys, before, ours, f"{lost} of {built}"
                )
            count(EventName.IDENTITY_CONFIRMED)
            log.warning(
                "Identity change confirmed",
                extra={"event": "identity_confirmed"},
            )
        if before != ours or self._store.get(keys.identity_trouble) is not None:
            leadership.commit(effects.lead_for(keys, ours))

    def _identity(self, keys: Keys, types: str) -> Identity:
        prefixes = keys.prefixes
        return Identity(
            prefixes.config,
            prefixes.state,
            prefixes.monitoring,
            prefixes.jobs,
            types,
            self._store.cluster,
        )

    def _read(self, key: str) -> Identity | None:
        """None also when somebody else wrote there: what cannot be read stops nobody."""
        found = self._store.get(key)
        try:
            return Identity.from_json(found.value) if found else None
        except (ValueError, KeyError, TypeError):
            count(EventName.RECORD_UNREADABLE)
            log.error(
                "Record skipped",
                extra={"event": "record_unreadable", "record": key},
            )
            return None

    def _refused(
        self,
        leadership: Leadership,
        keys: Keys,
        before: Identity,
        ours: Identity,
        lost: str,
    ) -> IdentityDiffers:
        """The error to raise, once it is written down for the command line."""
        differences = "; ".join(_differences(before, ours))
        reason = (
            f"{differences}. By that, {lost} built resources have no config, and their"
            " stacks would be deleted. Nothing is decided. Correct what is wrong and"
            " restart the bridge, or run: orchestrator confirm identity"
        )
        known = self._store.get(keys.identity_trouble)
        trouble = IdentityTrouble(reason, self._clock.stamp(), ours)
        if known is None or not _same(known.value, trouble):
            leadership.commit(effects.refuse_identity(keys, trouble))
        return IdentityDiffers(reason)


def _elsewhere(before: Identity, ours: Identity) -> bool:
    """Whether it is another place.
    Another list of types is compared by whoever puts it in force."""
    return before != replace(ours, types=before.types)


def _differences(before: Identity, ours: Identity) -> Iterator[str]:
    for name in (each.name for each in fields(Identity)):
        was, now = getattr(before, name), getattr(ours, name)
        if was != now:
            yield f"{_NAMES[name]} is {now}, and was {was}"


def _same(value: bytes, trouble: IdentityTrouble) -> bool:
    try:
        known = IdentityTrouble.from_json(value)
    except (ValueError, KeyError, TypeError):
        return False
    return (known.reason, known.found) == (trouble.reason, trouble.found)
