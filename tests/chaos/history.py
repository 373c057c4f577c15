"""What the historian has written, read straight from its database, against the history of etcd as the recorder saw it.

* No change is there that etcd did not have, and none twice.
* Each change is there, but for those in a gap that the historian tells of. While it is away, compaction makes
  one gap at most.

Only the time up to the first restore of etcd is judged: what was lost with it nobody could see.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .facts import Facts
from .ledger import CONFIG, JOB_STATE, JOBS, OWN, STATE
from .verbs import Fault

RECORDED = (
    CONFIG,
    STATE,
    JOBS,
    JOB_STATE,
    "/esi-worker/heat_stacks/",
    *(f"{OWN}{folder}" for folder in ("handled/", "held/", "failed/", "built/", "runs/")),
    *(f"{OWN}{folder}" for folder in ("audit/", "left/", "retry/", "pause", "drift/", "updates/")),
)
"""The folders whose every change has to be there."""

Change = tuple[str, int, str | None]
"""Key, revision and value."""


@dataclass(frozen=True, slots=True)
class WrittenHistory:
    """The rows of the first history of etcd that the historian saw, and its gaps. *listed* are those that it found
    in a listing: of a removal the revision is then that of the listing."""

    changes: Sequence[Change]
    listed: frozenset[tuple[str, int]]
    gaps: Sequence[tuple[int, int]]


def read(database: Path) -> WrittenHistory:
    """:raises sqlite3.Error: it is no such database."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT key, revision, value, listed FROM changes WHERE generation = 0"
        ).fetchall()
        gaps = connection.execute(
            "SELECT first, last FROM gaps WHERE generation = 0 ORDER BY first"
        ).fetchall()
    changes = [
        (key, at, value.decode() if value is not None else None) for key, at, value, _ in rows
    ]
    listed = frozenset((key, at) for key, at, _, found in rows if found)
    return WrittenHistory(changes, listed, gaps)


def differences(facts: Facts, written: WrittenHistory) -> Iterator[Fault]:
    """What the historian has not as etcd had it."""
    end = facts.restores[0].revision if facts.restores else float("inf")
    had = [
        (event.key, event.revision, event.value)
        for event in facts.events
        if event.revision < end and event.key.startswith(RECORDED)
    ]
    times = Counter((key, at) for key, at, _ in written.changes)
    yield from (
        ("history", key, f"is there {number} times at revision {at}")
        for (key, at), number in times.items()
        if number > 1
    )
    known = set(had)
    for change in written.changes:
        key, at, _ = change
        judged = at < end and key.startswith(RECORDED) and (key, at) not in written.listed
        if judged and change not in known:
            yield "history", key, f"has a change at revision {at} that etcd did not have"
    yield from _missing(had, written, complete=not facts.restores)


def _missing(had: Sequence[Change], written: WrittenHistory, *, complete: bool) -> Iterator[Fault]:
    """The changes that are not there.

    :param complete: whether all had to be there; else those up to the last one that is.
    """
    there = set(written.changes)
    last = max((at for _, at, _ in written.changes), default=0)
    for change in had:
        key, at, _ = change
        in_gap = any(first <= at <= end for first, end in written.gaps)
        if change not in there and not in_gap and (complete or at <= last):
            yield "history", key, f"does not have its change at revision {at}"
