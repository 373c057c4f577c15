"""What is dropped: what is too old, and what is too much.

Of each record that is still there the newest version is kept, however old it is. So the wanted
configuration is known for each moment that is kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import sqlalchemy as sql

from ...clients.database import DatabaseAddress
from .opening import Connection, Engine, transaction
from .tables import changes, facts, gaps

HORIZON = "horizon"
"""The name of the fact that says how far back all changes are kept."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """The first change from which on all are kept."""

    revision: int
    """Its revision of etcd."""
    seen: float
    """When the historian saw it, in seconds since the epoch."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Horizon:
        record = json.loads(text)
        return cls(int(record["revision"]), float(record["seen"]))


"""The fact that tells what was dropped last: a revision, and when it was seen."""
_DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept."""

    days: float
    """Age of a change at which it may be dropped."""
    rows: int
    """Changes that are kept at the most, besides the newest of each record."""


def prune(
    engine: Engine, address: DatabaseAddress, keep: Retention, now: float
) -> int:
    """Drop what is beyond the bounds; how many changes that were.

    :param now: seconds since the epoch.
    :raises DatabaseUnavailable: it could not be done.
    """
    with transaction(engine, address) as connection:
        oldest = now - keep.days * _DAY
        last = max(_by_age(connection, oldest), _by_count(connection, keep))
        if not last:
            return 0
        dropped = _drop(connection, last)
        connection.execute(sql.delete(gaps).where(gaps.c.seen < oldest))
        if dropped:
            _note(connection, last)
        return dropped


def _by_age(connection: Connection, oldest: float) -> int:
    """The id of the newest change that is too old; 0: none is."""
    found = sql.select(sql.func.max(changes.c.id))
    return (
        connection.execute(found.where(changes.c.seen < oldest)).scalar() or 0
    )


def _by_count(connection: Connection, keep: Retention) -> int:
    """The id of the newest change that is one too many; 0: none is."""
    found = sql.select(changes.c.id).order_by(changes.c.id.desc())
    one = found.offset(keep.rows).limit(1)
    return connection.execute(one).scalar() or 0


def _drop(connection: Connection, last: int) -> int:
    """Drop the changes up to an id, but for the newest of each record that was there then."""
    newer = changes.alias("newer")
    same = (newer.c.key == changes.c.key) & (newer.c.id > changes.c.id)
    superseded = sql.exists().where(same & (newer.c.id <= last))
    dropped: int = connection.execute(
        sql.delete(changes).where(changes.c.id <= last, superseded)
    ).rowcount
    # A removal stands for nothing once what it removed is dropped.
    removals = sql.delete(changes).where(
        changes.c.id <= last, changes.c.value.is_(None)
    )
    return dropped + int(connection.execute(removals).rowcount)


def _note(connection: Connection, last: int) -> None:
    """Remember how far back all is known."""
    first = sql.select(changes.c.revision, changes.c.seen)
    row = connection.execute(
        first.where(changes.c.id > last).order_by(changes.c.id).limit(1)
    ).first()
    if row is None:
        return
    told = Horizon(row.revision, row.seen).to_json()
    connection.execute(sql.delete(facts).where(facts.c.name == HORIZON))
    connection.execute(sql.insert(facts), {"name": HORIZON, "value": told})
