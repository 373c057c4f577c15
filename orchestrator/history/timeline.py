"""The changes of a resource as they are shown: in order, with sentences, times and differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..core.refs import Json, Ref
from . import differences, telling
from .changes import ChangeKind, Gap, HistoryChange
from .differences import ABSENT, Difference, Side
from .veiling import Veiled

_QUIET = frozenset({ChangeKind.HANDLED, ChangeKind.JOB_STATE, ChangeKind.BUILT})
"""Records that say nothing to people that another one does not say."""
_QUIET_REMOVALS = frozenset(
    {
        ChangeKind.RUN,
        ChangeKind.HELD,
        ChangeKind.FAILED,
        ChangeKind.RETRY,
        ChangeKind.VERB,
    }
)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One change as it is shown."""

    change: HistoryChange
    document: Json
    """The record, masked; None of a removal."""
    says: str
    author: str
    """Who, where the record says it; else empty."""
    time: float | None
    """When, in seconds since the epoch; None where nothing tells."""
    source: str
    """Whose the time is: ``record``, ``historian``, or empty."""
    differences: tuple[Difference, ...]
    """What differs from the same record's version before."""
    quiet: bool = False
    """Whether it says nothing to people that another one does not say."""

    @property
    def at_the_latest(self) -> bool:
        """Whether the change may be much older than its time says."""
        change = self.change
        return self.source == "historian" and (change.late or change.listed)

    def to_json(self) -> dict[str, Json]:
        change = self.change
        return {
            "revision": change.revision,
            "time": iso(self.time),
            "time_from": self.source or None,
            "at_the_latest": self.at_the_latest,
            "record": change.kind.value,
            "key": change.key,
            "says": self.says,
            "author": self.author or None,
            "value": self.document,
            "differences": [d.to_json() for d in self.differences],
        }


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is known of a resource, the oldest first.

    *notes* say what is not known, for people.
    """

    ref: Ref
    entries: tuple[TimelineEntry, ...]
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {
            "type": self.ref.type,
            "id": self.ref.id,
            "changes": [entry.to_json() for entry in self.entries],
            "gaps": [gap_document(gap) for gap in self.gaps],
            "notes": list(self.notes),
        }


def gap_document(gap: Gap) -> dict[str, Json]:
    return {
        "first": gap.first,
        "last": gap.last,
        "noticed": iso(gap.seen),
        "reason": gap.reason,
    }


def iso(time: float | None) -> str | None:
    """``2026-11-28T04:57:22.123Z``."""
    if time is None:
        return None
    found = datetime.fromtimestamp(time, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entries(
    changes: Iterable[HistoryChange], veiled: Veiled
) -> list[TimelineEntry]:
    """The changes as they are shown, in the order in which they happened."""
    ordered = sorted(changes, key=lambda change: change.place)
    reported = {
        c.revision for c in ordered if c.kind is ChangeKind.STATE and c.value
    }
    before: dict[str, Side] = {}
    found: list[TimelineEntry] = []
    for change in ordered:
        side = ABSENT if change.value is None else veiled.side(change.value)
        earlier = before.get(change.key, ABSENT)
        found.append(_entry(change, earlier, side, reported))
        before[change.key] = side
    return found


def _entry(
    change: HistoryChange, before: Side, side: Side, reported: set[int]
) -> TimelineEntry:
    document = None
    if change.value is not None:
        document = side.shown
    time = telling.time_of(change.kind, document, before.shown)
    source = "record"
    if time is None:
        time, source = change.seen, "historian"
    if time is None:
        source = ""
    over = change.revision in reported
    return TimelineEntry(
        change,
        document,
        _says(change, document, over),
        telling.author(document),
        time,
        source,
        tuple(differences.between(before, side)),
        _is_quiet(change, document, over),
    )


def _says(change: HistoryChange, document: Json, over: bool) -> str:
    if change.kind is ChangeKind.JOB and change.value is None and not over:
        return "the job is removed without an outcome: superseded, or never run"
    return telling.sentence(change, document)


def _is_quiet(change: HistoryChange, document: Json, over: bool) -> bool:
    if change.kind in _QUIET:
        # Only this record says that a job follows an output.
        return not (isinstance(document, dict) and document.get("expected"))
    if change.value is not None:
        # The record of the verb, written together with the request, says the same.
        return change.kind is ChangeKind.RETRY and b'"audit"' in change.value
    return change.kind in _QUIET_REMOVALS or (
        change.kind is ChangeKind.JOB and over
    )


def since(
    listed: Sequence[TimelineEntry], moment: float
) -> list[TimelineEntry]:
    """The entries that are not older than *moment*.

    One without a time is older when something with a revision as high is.
    """
    older = [
        entry.change.place
        for entry in listed
        if entry.time is not None and entry.time < moment
    ]
    last = max(older, default=(0, 0, ""))[:2]
    return [entry for entry in listed if entry.change.place[:2] > last]


def visible(listed: Iterable[TimelineEntry]) -> Iterator[TimelineEntry]:
    """Without those that say nothing to people."""
    return (entry for entry in listed if not entry.quiet)
