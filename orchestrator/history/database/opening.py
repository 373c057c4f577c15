"""A connection to the database, and its errors in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import event, exc

from ...clients.database import DatabaseAddress
from ...errors import InvalidInput, TemporaryError

Engine = Any
"""``sqlalchemy.Engine``; mypy does not follow its types."""
Connection = Any
"""``sqlalchemy.Connection``."""

_PATIENCE = 10
"""Seconds for which a connection is tried, and a lock of SQLite's is waited for."""
_ONLY_WE = 0o600
"""The database holds what /config holds: nobody else reads it."""


class DatabaseUnavailable(TemporaryError):
    """The history database does not answer, or could not do what it was asked for."""


def engine(address: DatabaseAddress, *, create: bool) -> Engine:
    """Opens no connection yet.

    :param create: whether a file that is not there is made.
    :raises InvalidInput: the file cannot be made.
    :raises DatabaseUnavailable: it is not there.
    """
    if not address.file:
        return sql.create_engine(
            address.url,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _PATIENCE},
        )
    path = Path(address.file)
    if create:
        _make(path)
    elif not path.is_file():
        raise DatabaseUnavailable(
            f"ORCHESTRATOR_HISTORY_DATABASE: {path} is not there; the historian makes"
            " it, on the machine where it runs"
        )
    found = sql.create_engine(
        sql.URL.create("sqlite", database=address.file),
        connect_args={"timeout": _PATIENCE},
    )
    _set_up(found, writes=create)
    return found


def _make(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, _ONLY_WE))
    except OSError as error:
        raise InvalidInput(
            f"ORCHESTRATOR_HISTORY_DATABASE: {path} cannot be written: {error.strerror}"
        ) from error


def _set_up(found: Engine, *, writes: bool) -> None:
    """SQLite as we need it: readers and a writer at the same time, and whole transactions.

    Python's driver would begin a transaction only with the first write, and none for a table that
    is made (https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, "Serializable isolation").
    """

    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        if writes:
            connection.execute("PRAGMA journal_mode=WAL")
            # A power failure may take the last transactions, each as a whole. They are written
            # again, for the position is among them.
            connection.execute("PRAGMA synchronous=NORMAL")

    def begun(connection: Any) -> None:
        # Whoever reads the position to write behind it holds the lock from the beginning.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(found, "connect", connected)
    event.listen(found, "begin", begun)


@contextmanager
def transaction(
    found: Engine, address: DatabaseAddress
) -> Iterator[Connection]:
    """A connection within a transaction; committed at the end of the block.

    :raises DatabaseUnavailable: it could not be done.
    """
    try:
        with found.begin() as connection:
            yield connection
    except exc.DBAPIError as error:
        raise DatabaseUnavailable(_told(address, error)) from error
    except exc.TimeoutError as error:
        raise DatabaseUnavailable(
            f"{address}: no connection in time"
        ) from error


def _told(address: DatabaseAddress, error: exc.DBAPIError) -> str:
    """The driver's own words, on one line, without the statement and its values."""
    words = " ".join(str(error.orig).split())
    return f"the history database {address} does not do it: {words}"
