"""What the historian writes: changes, and how far it has come, always together.

The position says, for each prefix, up to which revision all changes are there. It is read and moved
in the transaction that writes the rows. So whoever was killed, or is slower than another historian,
writes nothing twice and leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from ...clients.database import DatabaseAddress
from ...core.refs import Ref
from ..changes import ChangeKind, Gap, HistoryChange
from . import migrations
from .opening import Connection, engine, transaction
from .tables import changes, facts, gaps, live, pairs, positions

_GENERATION, _CLUSTER = "generation", "cluster"
_AT_ONCE = 500
"""Rows in one statement."""


@dataclass(frozen=True, slots=True)
class HistoryWitness:
    """A change that is in the database. etcd has it too, if it is still the same etcd."""

    key: str
    revision: int
    value: bytes


@dataclass(frozen=True, slots=True)
class State:
    """How far the database has come."""

    generation: int = 0
    cluster: str = ""
    """The id of etcd's cluster; empty before the first start."""
    positions: Mapping[str, int] = field(default_factory=dict)
    """By prefix, the revision up to which all changes are there."""
    witness: HistoryWitness | None = None


class ChangeWriter:
    """The database as the historian sees it.

    Every method raises :class:`~.opening.DatabaseUnavailable`.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        """:raises InvalidInput: a file cannot be made, or the tables are of a newer release."""
        self.address = address
        self.engine = engine(address, create=True)

    def close(self) -> None:
        self.engine.dispose()

    def migrate(self) -> list[int]:
        """Bring the tables to this release's version; the versions that were missing."""
        with transaction(self.engine, self.address) as connection:
            return migrations.apply(connection)

    def state(self) -> State:
        with transaction(self.engine, self.address) as connection:
            return _state(connection)

    def write(
        self,
        generation: int,
        found: Sequence[HistoryChange],
        reached: Mapping[str, int],
    ) -> int:
        """Add changes that a watch has brought.

        :param reached: by prefix, up to which revision they are complete.
        :returns: how many were new; -1: another historian has seen that etcd was restored.
        """
        with transaction(self.engine, self.address) as connection:
            state = _state(connection, lock=True)
            if state.generation != generation:
                return -1
            new = [c for c in found if c.revision > _position(state, c.key)]
            _add(connection, generation, new)
            _move(connection, state, reached)
            return len(new)

    def list(self, generation: int, found: Sequence[HistoryChange]) -> None:
        """Add changes of a listing; whoever lists adds them before the gap is closed."""
        with transaction(self.engine, self.address) as connection:
            _add(connection, generation, found)

    def close_gap(
        self,
        gap: Gap,
        before: State,
        present: Mapping[str, set[str]],
        cluster: str,
    ) -> bool:
        """Say what was missed, remove what is gone, and go on after it.

        :param before: what the gap was found by.
        :param present: by prefix, the keys that are there at the end of the gap.
        :returns: False when another historian has come further meanwhile; then nothing is written.
        """
        with transaction(self.engine, self.address) as connection:
            state = _state(connection, lock=True)
            if (state.generation, state.positions) != (
                before.generation,
                before.positions,
            ):
                return False
            _set(connection, _GENERATION, str(gap.generation))
            _set(connection, _CLUSTER, cluster)
            _add(connection, gap.generation, _gone(connection, gap, present))
            row = {
                "generation": gap.generation,
                "first": gap.first,
                "last": gap.last,
                "seen": gap.seen,
                "reason": gap.reason,
            }
            connection.execute(sql.insert(gaps), row)
            if gap.generation != state.generation:
                connection.execute(sql.delete(positions))
                state = State(gap.generation)
            _move(connection, state, dict.fromkeys(present, gap.last))
            return True

    def meet(self, cluster: str) -> None:
        """Note which etcd this is the history of."""
        with transaction(self.engine, self.address) as connection:
            _set(connection, _CLUSTER, cluster)


# Inside a transaction -----------------------------------------------------------------------------


def _state(connection: Connection, *, lock: bool = False) -> State:
    if lock and connection.dialect.name == "postgresql":
        # SQLite's transactions exclude each other anyway.
        connection.execute(sql.text("LOCK TABLE positions IN EXCLUSIVE MODE"))
    known = pairs(connection, facts)
    generation = int(known.get(_GENERATION, "0"))
    return State(
        generation,
        known.get(_CLUSTER, ""),
        pairs(connection, positions),
        None if lock else _witness(connection, generation),
    )


def _witness(connection: Connection, generation: int) -> HistoryWitness | None:
    newest = (
        sql.select(changes.c.key, changes.c.revision, changes.c.value)
        .where(changes.c.generation == generation, changes.c.value.is_not(None))
        .order_by(changes.c.id.desc())
        .limit(1)
    )
    row = connection.execute(newest).first()
    return (
        HistoryWitness(row.key, row.revision, bytes(row.value)) if row else None
    )


def _position(state: State, key: str) -> int:
    """Up to which revision the changes of a key are there."""
    return max(
        (
            revision
            for prefix, revision in state.positions.items()
            if key.startswith(prefix)
        ),
        default=0,
    )


def _add(
    connection: Connection, generation: int, found: Iterable[HistoryChange]
) -> None:
    rows = [_row(change, generation) for change in found]
    insert = (
        postgresql.insert
        if connection.dialect.name == "postgresql"
        else sqlite.insert
    )
    statement = insert(changes).on_conflict_do_nothing()
    for start in range(0, len(rows), _AT_ONCE):
        connection.execute(statement, rows[start : start + _AT_ONCE])


def _row(change: HistoryChange, generation: int) -> dict[str, Any]:
    kind, resource = change.ref or ("", "")
    return {
        "generation": generation,
        "key": change.key,
        "revision": change.revision,
        "created": change.created,
        "kind": change.kind.value,
        "type": kind,
        "resource": resource,
        "value": change.value,
        "seen": change.seen or 0.0,
        "late": change.late,
        "listed": change.listed,
    }


def _move(
    connection: Connection, state: State, reached: Mapping[str, int]
) -> None:
    """Positions only rise: a slower historian does not take a faster one back."""
    for prefix, revision in reached.items():
        there = state.positions.get(prefix)
        if there is None:
            row = {"prefix": prefix, "revision": revision}
            connection.execute(sql.insert(positions), row)
        elif revision > there:
            connection.execute(
                sql.update(positions)
                .where(positions.c.prefix == prefix)
                .values(revision=revision)
            )


def _set(connection: Connection, name: str, value: str) -> None:
    connection.execute(sql.delete(facts).where(facts.c.name == name))
    connection.execute(sql.insert(facts), {"name": name, "value": value})


def _gone(
    connection: Connection, gap: Gap, present: Mapping[str, set[str]]
) -> Iterator[HistoryChange]:
    """The removals of what was there before a gap and is not there after it."""
    for row in connection.execute(live()).all():
        prefix = next((p for p in present if row.key.startswith(p)), None)
        if prefix is None or row.key in present[prefix]:
            continue
        yield HistoryChange(
            row.key,
            ChangeKind(row.kind),
            Ref(row.type, row.resource) if row.type else None,
            gap.last,
            seen=gap.seen,
            late=True,
            listed=True,
        )
