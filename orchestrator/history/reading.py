"""The history of a resource, from all that is there to tell it."""

from __future__ import annotations

from collections.abc import Mapping

from ..clients.store import Store
from ..core.keys import Keys
from ..core.refs import Ref
from ..core.templates import Template, parse_template_value
from ..errors import InvalidInput
from . import past, timeline
from .timeline import Timeline
from .veiling import Templates, Veiled

_COMPACTED = (
    "etcd has compacted what was before; a historian keeps it"
    " (docs/howto/history.md)"
)
_CUT = f"There is more: this took {past.MOST_REQUESTS} requests to etcd."
_NO_TIMES = (
    "etcd keeps no times: a change has one only where its record names it,"
    " or where a historian has seen it."
)


def templates_of(
    store: Store, keys: Keys, catalogue: Mapping[str, Template]
) -> Templates:
    """The templates of a name: etcd's, and the catalogue's."""

    def named(name: str) -> list[Template]:
        kv = store.get(keys.template(name))
        stored = parse_template_value(name, kv.value) if kv else None
        found = (stored, catalogue.get(name))
        return [one for one in found if isinstance(one, Template)]

    return named


def history(
    store: Store, keys: Keys, ref: Ref, catalogue: Mapping[str, Template]
) -> Timeline:
    """All that is known of a resource.

    :raises InvalidInput: nothing is.
    :raises StoreUnavailable: etcd does not answer.
    """
    found = past.read(store, keys, ref)
    if not found.changes:
        raise InvalidInput(
            f"nothing is known of {ref}: etcd has no record of it, as far back as it"
            " was read"
        )
    veiled = Veiled(found.changes, templates_of(store, keys, catalogue))
    listed = timeline.entries(found.changes, veiled)
    notes = [
        *([_COMPACTED] if found.compacted else []),
        *([_CUT] if found.cut else []),
    ]
    if any(entry.time is None for entry in listed):
        notes.append(_NO_TIMES)
    return Timeline(ref, tuple(listed), notes=tuple(notes))
