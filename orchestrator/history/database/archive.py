"""What commands read of the historian's database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from ...clients.database import DatabaseAddress
from ...core.refs import Ref
from ..changes import ChangeKind, Gap, HistoryChange
from . import migrations
from .opening import Connection, engine, transaction
from .retention import HORIZON, Horizon
from .tables import changes, facts, gaps, live, pairs, positions


@dataclass(frozen=True, slots=True)
class Known:
    """How far the database has come, and how far back it goes."""

    generation: int
    cluster: str
    positions: Mapping[str, int]
    gaps: tuple[Gap, ...]
    horizon: float | None = None
    """Since when all is kept, in seconds since the epoch; None: nothing was dropped."""


class Archive:
    """The database, for reading.

    Every method raises :class:`~.opening.DatabaseUnavailable`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self) -> Known:
        run = self._connection.execute
        told = pairs(self._connection, facts)
        horizon: float | None = None
        if HORIZON in told:
            horizon = Horizon.from_json(told[HORIZON]).seen
        found = run(sql.select(gaps).order_by(gaps.c.generation, gaps.c.last))
        return Known(
            int(told.get("generation", "0")),
            told.get("cluster", ""),
            pairs(self._connection, positions),
            tuple(map(_gap, found.all())),
            horizon,
        )

    def of(self, ref: Ref, keys: Collection[str]) -> list[HistoryChange]:
        """The changes of a resource, in the order in which they happened.

        :param keys: those of its records, which the historian may have known by no name.
        """
        own = (changes.c.type == ref.type) & (changes.c.resource == ref.id)
        found = sql.select(changes).where(own | changes.c.key.in_(keys))
        ordered = found.order_by(changes.c.generation, changes.c.revision)
        return [_change(row) for row in self._connection.execute(ordered)]

    def at(
        self, moment: float, kinds: Collection[ChangeKind]
    ) -> list[HistoryChange]:
        """The records of some kinds as they were last seen at a moment, in order of key."""
        last = sql.select(sql.func.max(changes.c.id))
        until = self._connection.execute(
            last.where(changes.c.seen <= moment)
        ).scalar()
        there = live(until=until or 0).where(changes.c.kind.in_(kinds))
        found = self._connection.execute(there.order_by(changes.c.key))
        return [_change(row) for row in found]

    def all(self) -> Iterator[HistoryChange]:
        """Every change, in the order of writing."""
        found = sql.select(changes).order_by(changes.c.id)
        for row in self._connection.execute(found):
            yield _change(row)

    def behind_at(self, moment: float) -> float | None:
        """When the historian saw the first change after a moment, if it saw it late; else None."""
        after = sql.select(changes.c.seen, changes.c.late).where(
            changes.c.seen > moment
        )
        row = self._connection.execute(
            after.order_by(changes.c.id).limit(1)
        ).first()
        return row.seen if row is not None and row.late else None

    def began(self) -> float | None:
        """When the historian saw its first change; None: it has seen none."""
        first = sql.select(sql.func.min(changes.c.seen))
        found: float | None = self._connection.execute(first).scalar()
        return found


@contextmanager
def opened(address: DatabaseAddress) -> Iterator[Archive]:
    """The database for as long as the block lasts, as of one moment.

    :raises InvalidInput: it is of another release.
    :raises DatabaseUnavailable: it is not there, or does not answer.
    """
    found = engine(address, create=False)
    try:
        with transaction(found, address) as connection:
            migrations.check(connection)
            yield Archive(connection)
    finally:
        found.dispose()


def _gap(row: Any) -> Gap:
    return Gap(row.first, row.last, row.seen, row.reason, row.generation)


def _change(row: Any) -> HistoryChange:
    return HistoryChange(
        key=row.key,
        kind=ChangeKind(row.kind),
        ref=Ref(row.type, row.resource) if row.type else None,
        revision=row.revision,
        created=row.created,
        value=None if row.value is None else bytes(row.value),
        seen=row.seen,
        late=row.late,
        listed=row.listed,
        generation=row.generation,
    )
