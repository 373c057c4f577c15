"""``orchestrator history --verbs``: what people asked for by commands lately, whomever it is
about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.text import Text

from ...clients.store import Store
from ...core.keys import Keys
from ...core.records import UNREADABLE, AuditRecord
from ...core.refs import Json, Ref
from ...history.changes import classify
from ..output import BUSY, Section

NOT_YET = "not dealt with yet"
"""What is said of a verb without an outcome: the leading bridge has not seen it."""


@dataclass(frozen=True, slots=True)
class TakenVerb:
    """One record of a verb; *ref* is None when it is about no single resource."""

    ref: Ref | None
    record: AuditRecord
    created: int
    """The revision at which the verb was written."""

    def to_json(self) -> dict[str, Json]:
        ref = self.ref
        return {
            "type": ref and ref.type,
            "id": ref and ref.id,
            "verb": self.record.verb,
            "by": self.record.by,
            "why": self.record.why,
            "at": self.record.at,
            "selector": self.record.selector,
            "outcome": self.record.outcome,
            "ended": self.record.ended or None,
            "revision": self.created,
        }


def read(store: Store, keys: Keys) -> list[TakenVerb]:
    """The verbs of which etcd has a record, the oldest first."""
    return sorted(_read(store, keys), key=lambda taken: taken.created)


def _read(store: Store, keys: Keys) -> Iterator[TakenVerb]:
    for kv in store.list(keys.audits)[1]:
        try:
            record = AuditRecord.from_json(kv.value)
        except UNREADABLE:
            continue  # Of another release.
        yield TakenVerb(classify(keys, kv.key)[1], record, kv.created)


def table(taken: Iterable[TakenVerb]) -> list[Section | Text]:
    """One line for each resource of each verb."""
    rows = [
        (
            one.record.at,
            one.record.by,
            one.record.verb,
            str(one.ref or one.record.selector or "-"),
            Text(one.record.outcome or NOT_YET, _style(one)),
            one.record.why,
        )
        for one in taken
    ]
    if not rows:
        return [Text("Nobody has asked for anything by a command.")]
    columns = ("time", "who", "verb", "about", "outcome", "why")
    wide = frozenset({"outcome", "why"})
    return [Section("", columns, rows, wide=wide)]


def _style(taken: TakenVerb) -> str:
    if taken.record.outcome:
        return ""
    return BUSY
