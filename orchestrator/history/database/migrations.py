"""How the tables came to be: one step for each version of the schema, each in one transaction.

A migration is never changed once it is released; a new one is added at the end. The historian
applies what is missing when it starts. Several that start together wait for each other. A database
of a newer release is refused: an older historian could write what the newer one does not expect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from ...errors import InvalidInput
from . import tables

Connection = Any
"""``sqlalchemy.Connection``; mypy does not follow its types."""
_LOCK = 7305310
"""The number of the advisory lock in PostgreSQL under which the schema is changed."""

_WORDS = {
    "sqlite": {
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bytes": "BLOB",
        "double": "DOUBLE",
    },
    "postgresql": {
        "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "bytes": "BYTEA",
        "double": "DOUBLE PRECISION",
    },
}
"""What the two databases call things."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step, and what it does, for people."""

    says: str
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "changes, positions, gaps and facts",
        (
            """
            CREATE TABLE changes (
                id {serial},
                generation INTEGER NOT NULL,
                key TEXT NOT NULL,
                revision BIGINT NOT NULL,
                created BIGINT NOT NULL,
                kind TEXT NOT NULL,
                type TEXT NOT NULL,
                resource TEXT NOT NULL,
                value {bytes},
                seen {double} NOT NULL,
                late BOOLEAN NOT NULL,
                listed BOOLEAN NOT NULL,
                UNIQUE (key, generation, revision)
            )
            """,
            "CREATE INDEX changes_of_a_resource ON changes (type, resource)",
            "CREATE INDEX changes_by_time ON changes (seen)",
            """
            CREATE TABLE positions (
                prefix TEXT PRIMARY KEY,
                revision BIGINT NOT NULL
            )
            """,
            """
            CREATE TABLE gaps (
                generation INTEGER NOT NULL,
                last BIGINT NOT NULL,
                first BIGINT NOT NULL,
                seen {double} NOT NULL,
                reason TEXT NOT NULL,
                PRIMARY KEY (generation, last)
            )
            """,
            "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        ),
    ),
)
"""In order; the first makes version 1."""

_VERSIONS = """
    CREATE TABLE IF NOT EXISTS versions (
        number INTEGER PRIMARY KEY,
        says TEXT NOT NULL,
        applied {double} NOT NULL
    )
"""


def version(connection: Connection) -> int:
    """The schema's version; 0: there is none yet."""
    if not sql.inspect(connection).has_table(tables.versions.name):
        return 0
    newest = sql.select(sql.func.max(tables.versions.c.number))
    return int(connection.execute(newest).scalar() or 0)


def check(connection: Connection, known: int = len(MIGRATIONS)) -> None:
    """Whether this release can read the tables.

    :raises InvalidInput: they are of another release.
    """
    there = version(connection)
    if there == known:
        return
    if there > known:
        raise InvalidInput(_newer(there, known))
    raise InvalidInput(
        f"the history database has version {there} of its tables, and this release"
        f" needs {known}: start `orchestrator historian` once, which brings it there"
    )


def apply(
    connection: Connection, migrations: Sequence[Migration] = MIGRATIONS
) -> list[int]:
    """Bring the tables to the newest version, within the connection's transaction.

    :returns: the versions that were missing.
    :raises InvalidInput: the tables are of a newer release.
    """
    words = _WORDS[connection.dialect.name]
    if connection.dialect.name == "postgresql":
        lock = sql.func.pg_advisory_xact_lock(_LOCK)
        connection.execute(sql.select(lock))
    there = version(connection)
    if there > len(migrations):
        raise InvalidInput(_newer(there, len(migrations)))
    connection.execute(sql.text(_VERSIONS.format(**words)))
    for number in range(there + 1, len(migrations) + 1):
        _perform(connection, number, migrations[number - 1], words)
    return list(range(there + 1, len(migrations) + 1))


def _perform(
    connection: Connection,
    number: int,
    migration: Migration,
    words: dict[str, str],
    now: Callable[[], float] = time.time,
) -> None:
    for statement in migration.statements:
        connection.execute(sql.text(statement.format(**words)))
    row = {"number": number, "says": migration.says, "applied": now()}
    connection.execute(sql.insert(tables.versions), row)


def _newer(there: int, known: int) -> str:
    return (
        f"the history database has version {there} of its tables, and this release"
        f" knows {known}: use the release that wrote it, or a newer one"
    )
