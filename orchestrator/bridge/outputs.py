"""The outputs of stacks that others were built from: read once they may have changed.

The stack records hold them. Of most jobs nothing is read: a stack that has just been created has no
users.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from .. import faults
from ..clients.store import KeyValue, Store
from ..core.facts import Entry
from ..core.keys import Keys
from ..core.records import UNREADABLE, StackRecord
from ..core.refs import Json, Ref
from ..core.transactions import MOST_OPERATIONS
from ..core.world import World
from ..events import EventName, count
from . import loading

log = logging.getLogger(__name__)


_NO_OUTPUTS: Mapping[str, str] = {}


class OutputsRead:
    """Reads the outputs of stacks that have been built again, several together."""

    def __init__(self, world: World, store: Store, keys: Keys) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._waiting: dict[Ref, None] = {}

    def note(self, entry: Entry) -> None:
        """A worker has recorded what a stack was built from.

        A worker reads outputs when it makes the request. If it read another value than is known
        here, then what is known here is old.
        """
        fact = loading.take_in_built(self._world, self._keys, entry)
        if fact is None or fact.built is None:
            return
        for output in fact.built.changed(self._known):
            self.built(output.ref)

    def _known(self, ref: Ref) -> Mapping[str, str]:
        return self._world.outputs.get(ref, _NO_OUTPUTS)

    def built(self, ref: Ref) -> None:
        """The outputs of a stack may have changed: read them soon, if others were built from
        them."""
        self._world.forget_outputs(ref)
        if self._world.has_readers(ref) and self._keys.is_placed(ref):
            self._waiting[ref] = None

    def read(self) -> None:
        """Read what is to be read. Who was built from another value is to be decided."""
        while self._waiting:
            refs = list(self._waiting)[:MOST_OPERATIONS]
            keys = {
                self._keys.below(self._keys.stacks, ref): ref for ref in refs
            }
            found = self._store.get_many(list(keys))
            for key, ref in keys.items():
                self._waiting.pop(ref)
                self._note(ref, found.get(key))

    def _note(self, ref: Ref, kv: KeyValue | None) -> None:
        outputs = _outputs(kv)
        if outputs is not None:
            faults.reach("bridge-before-follow")
            self._world.note_outputs(ref, outputs)


def _outputs(kv: KeyValue | None) -> tuple[Json, ...] | None:
    """The outputs of a stack record; None when there is none that can be read."""
    if kv is None:
        return None
    try:
        return StackRecord.from_json(kv.value).outputs
    except UNREADABLE as error:
        count(EventName.RECORD_UNREADABLE)
        fields = {
            "event": "record_unreadable",
            "record": kv.key,
            "reason": repr(error),
        }
        log.error("Record skipped", extra=fields)
        return None
