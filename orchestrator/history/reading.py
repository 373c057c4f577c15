"""The history of a resource, from all that is there to tell it: one view over two sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..clients.store import Store
from ..core.keys import Keys
from ..core.refs import Ref
from ..core.templates import Template, parse_template_value
from ..errors import InvalidInput
from . import past, timeline
from .changes import ChangeKind, Gap, HistoryChange, records_of, verbs_of
from .timeline import Timeline
from .veiling import Templates, Veiled

if TYPE_CHECKING:
    from .database.archive import Archive, Known

_COMPACTED = (
    "etcd has compacted what was before; a historian keeps it"
    " (docs/howto/history.md)."
)
_CUT = f"There is more: this took {past.MOST_REQUESTS} requests to etcd."
_NO_TIMES = (
    "etcd keeps no times: a change has one only where its record names it,"
    " or where a historian has seen it."
)
_RESTORED = (
    "etcd was restored from a backup, or is another one, since the historian wrote"
    " last: revisions begin anew."
)
_DROPPED = "The historian has dropped what was older than {}."


@dataclass(frozen=True, slots=True)
class FoundPast:
    """The changes of a resource, in order, and what is not known of it."""

    changes: tuple[HistoryChange, ...]
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


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
    store: Store,
    keys: Keys,
    ref: Ref,
    catalogue: Mapping[str, Template],
    archive: Archive | None = None,
) -> Timeline:
    """All that is known of a resource.

    :raises InvalidInput: nothing is.
    :raises StoreUnavailable: etcd does not answer.
    :raises DatabaseUnavailable: the database does not.
    """
    found = changes(store, keys, ref, archive)
    if not found.changes:
        raise InvalidInput(
            f"nothing is known of {ref}: there is no record of it, as far back as"
            " was read"
        )
    veiled = Veiled(found.changes, templates_of(store, keys, catalogue))
    listed = timeline.entries(found.changes, veiled)
    notes = list(found.notes)
    if any(entry.time is None for entry in listed):
        notes.append(_NO_TIMES)
    return Timeline(ref, tuple(listed), found.gaps, tuple(notes))


def changes(
    store: Store, keys: Keys, ref: Ref, archive: Archive | None
) -> FoundPast:
    """The changes of a resource: those in the database, and from etcd what it does not have yet."""
    if archive is None:
        read = past.read(store, keys, ref, there=_verbs(store, keys, ref))
        return FoundPast(read.changes, notes=_notes(read, compacted=_COMPACTED))
    known = archive.known()
    recorded = archive.of(ref, records_of(keys, ref))
    read, restored = _newer(store, keys, ref, known, recorded)
    generation = known.generation + restored
    newer = (replace(c, generation=generation) for c in read.changes)
    merged = {change.place: change for change in (*newer, *recorded)}
    notes = [*_notes(read, compacted="")]
    if restored:
        notes.insert(0, _RESTORED)
    if known.horizon is not None:
        notes.append(_DROPPED.format(timeline.iso(known.horizon)))
    return FoundPast(
        tuple(merged[place] for place in sorted(merged)),
        known.gaps,
        tuple(notes),
    )


def _verbs(store: Store, keys: Keys, ref: Ref) -> dict[str, ChangeKind]:
    """The records of the last verbs on a resource, by key: etcd keeps so many of them."""
    _, listed = store.list(verbs_of(keys, ref), keys_only=True)
    return {kv.key: ChangeKind.VERB for kv in listed}


def _newer(
    store: Store,
    keys: Keys,
    ref: Ref,
    known: Known,
    recorded: Iterable[HistoryChange],
) -> tuple[past.Past, bool]:
    """What etcd has and the database does not, and whether etcd was restored meanwhile."""
    floor = min(known.positions.values(), default=0)
    now = store.list(f"{keys.own}historian/", keys_only=True)[0]
    other = bool(known.cluster) and store.cluster != known.cluster
    verbs = _verbs(store, keys, ref)
    if other or now < floor:
        return past.read(store, keys, ref, there=verbs), True
    last = {c.key: c for c in recorded if c.generation == known.generation}
    there = verbs | {
        key: change.kind
        for key, change in last.items()
        if change.kind in (ChangeKind.JOB, ChangeKind.RUN)
        and change.value is not None
    }
    return past.read(store, keys, ref, floor=floor, there=there), False


def _notes(read: past.Past, *, compacted: str) -> tuple[str, ...]:
    told = {compacted: read.compacted, _CUT: read.cut}
    return tuple(note for note, holds in told.items() if note and holds)
