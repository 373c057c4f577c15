"""The outputs of stacks that others were built from: read once they may have changed.

The stack records hold them. Of most jobs nothing is read: a stack that has just been created has no
users.
"""

from __future__ import annotations

import logging

from .. import faults
from ..clients.store import KeyValue, Store
from ..core.keys import Keys
from ..core.records import UNREADABLE, StackRecord
from ..core.refs import Json, Ref
from ..core.transactions import MOST_OPERATIONS
from ..core.world import World
from ..events import EventName, count

log = logging.getLogger(__name__)


class OutputsRead:
    """Reads the outputs of stacks that have been built again, several together."""

    def __init__(self, world: World, store: Store, keys: Keys) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._waiting: dict[Ref, None] = {}

    def built(self, ref: Ref) -> None:
        """A job has built the stack: read its outputs soon, if others were built from them."""
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
