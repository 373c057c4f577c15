"""The tables as the newest migration leaves them (:mod:`.migrations`)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql

metadata = sql.MetaData()

changes = sql.Table(
    "changes",
    metadata,
    # Rises in the order of writing. Within one key that is the order of revisions.
    sql.Column("id", sql.BigInteger, primary_key=True),
    # The number of etcd's history; it rises when etcd is restored from a backup.
    sql.Column("generation", sql.Integer, nullable=False),
    sql.Column("key", sql.Text, nullable=False),
    # etcd's mod revision; of a removal, that of the removal.
    sql.Column("revision", sql.BigInteger, nullable=False),
    # etcd's create revision; 0 of a removal.
    sql.Column("created", sql.BigInteger, nullable=False),
    sql.Column("kind", sql.Text, nullable=False),
    # Type and id of the resource; empty where the key names none.
    sql.Column("type", sql.Text, nullable=False),
    sql.Column("resource", sql.Text, nullable=False),
    # The record as etcd had it; NULL of a removal.
    sql.Column("value", sql.LargeBinary),
    # When the historian saw it, in seconds since the epoch by its clock.
    sql.Column("seen", sql.Double, nullable=False),
    # Whether it saw it when it caught up.
    sql.Column("late", sql.Boolean, nullable=False),
    # Whether it found it in a listing.
    sql.Column("listed", sql.Boolean, nullable=False),
)

positions = sql.Table(
    "positions",
    metadata,
    sql.Column("prefix", sql.Text, primary_key=True),
    # Up to this revision all changes below the prefix are in `changes`.
    sql.Column("revision", sql.BigInteger, nullable=False),
)

gaps = sql.Table(
    "gaps",
    metadata,
    sql.Column("generation", sql.Integer, primary_key=True),
    sql.Column("last", sql.BigInteger, primary_key=True),
    sql.Column("first", sql.BigInteger, nullable=False),
    sql.Column("seen", sql.Double, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
)

facts = sql.Table(
    "facts",
    metadata,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)

versions = sql.Table(
    "versions",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("says", sql.Text, nullable=False),
    sql.Column("applied", sql.Double, nullable=False),
)


def pairs(connection: Any, table: Any) -> dict[Any, Any]:
    """A table of two columns."""
    return {row[0]: row[1] for row in connection.execute(sql.select(table))}


def live(*, until: int | None = None) -> Any:
    """A query for the newest row of each key, without those that are removals.

    :param until: the id of the last row that counts; None: all count.
    """
    newest = sql.select(sql.func.max(changes.c.id)).group_by(changes.c.key)
    if until is not None:
        newest = newest.where(changes.c.id <= until)
    return sql.select(changes).where(
        changes.c.id.in_(newest), changes.c.value.is_not(None)
    )
