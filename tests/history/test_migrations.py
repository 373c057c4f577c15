"""The tables of the history database, in both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql
from orchestrator.clients.database import DatabaseAddress, parse
from orchestrator.core.refs import Ref
from orchestrator.errors import InvalidInput
from orchestrator.history.changes import ChangeKind, HistoryChange
from orchestrator.history.database import migrations, tables
from orchestrator.history.database.archive import opened
from orchestrator.history.database.migrations import MIGRATIONS, Migration
from orchestrator.history.database.opening import DatabaseUnavailable, transaction
from orchestrator.history.database.writing import ChangeWriter

CHANGE = HistoryChange(
    "/config/n", ChangeKind.CONFIG, Ref("network", "n"), 7, 7, b"\x00\xff", seen=5.5
)
NEXT = Migration("a column more", ("ALTER TABLE changes ADD COLUMN more TEXT",))
BROKEN = Migration("no such table", ("CREATE TABLE half (x TEXT)", "INSERT INTO none VALUES (1)"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChangeWriter]:
    if request.param == "sqlite":
        found = ChangeWriter(parse(str(tmp_path / "history.db")))
    else:
        found = ChangeWriter(parse(request.getfixturevalue("postgresql")))
    yield found
    found.close()


def apply(recorder: ChangeWriter, *more: Migration) -> list[int]:
    with transaction(recorder.engine, recorder.address) as connection:
        return migrations.apply(connection, (*MIGRATIONS, *more))


def columns(recorder: ChangeWriter) -> dict[str, set[tuple[str, bool]]]:
    """The columns of each table, and whether they may be empty."""
    inspector: Any = sql.inspect(recorder.engine)
    return {
        name: {(column["name"], column["nullable"]) for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
        if not name.startswith("sqlite_")
    }


def test_the_migrations_make_the_tables_that_the_program_uses(recorder: ChangeWriter) -> None:
    recorder.migrate()

    made = columns(recorder)
    used = {
        table.name: {(column.name, column.nullable) for column in table.columns}
        for table in tables.metadata.tables.values()
    }
    # SQLite calls every primary key nullable; no row is ever written without one.
    keys = {(t.name, c.name) for t in tables.metadata.tables.values() for c in t.primary_key}
    without = {
        name: {(column, (name, column) in keys or empty) for column, empty in found}
        for name, found in made.items()
    }
    assert without == {
        name: {(column, (name, column) in keys or empty) for column, empty in found}
        for name, found in used.items()
    }


def test_a_migration_is_applied_once(recorder: ChangeWriter) -> None:
    assert [recorder.migrate(), recorder.migrate()] == [list(range(1, len(MIGRATIONS) + 1)), []]


def test_what_was_written_before_a_migration_is_there_after_it(recorder: ChangeWriter) -> None:
    recorder.migrate()
    recorder.write(0, [CHANGE], {"/config/": 7})

    assert apply(recorder, NEXT) == [len(MIGRATIONS) + 1]

    assert recorder.state().positions == {"/config/": 7}
    with transaction(recorder.engine, recorder.address) as connection:
        row = connection.execute(sql.select(tables.changes)).one()
    assert (row.key, bytes(row.value), row.seen) == (CHANGE.key, CHANGE.value, CHANGE.seen)


def test_a_migration_that_fails_leaves_everything_as_it_was(recorder: ChangeWriter) -> None:
    recorder.migrate()
    before = columns(recorder)

    with pytest.raises(DatabaseUnavailable):
        apply(recorder, NEXT, BROKEN)

    assert columns(recorder) == before
    assert recorder.migrate() == []


def test_tables_of_a_newer_release_are_refused(recorder: ChangeWriter) -> None:
    recorder.migrate()
    apply(recorder, NEXT)

    with pytest.raises(InvalidInput, match="a newer one"):
        recorder.migrate()
    with pytest.raises(InvalidInput, match="a newer one"), opened(recorder.address):
        pass


def test_whoever_reads_does_not_change_the_tables(recorder: ChangeWriter) -> None:
    with (
        pytest.raises(InvalidInput, match="start `orchestrator historian`"),
        opened(recorder.address),
    ):
        pass

    assert columns(recorder) == {}


def test_what_is_behind_the_position_is_not_written_again(recorder: ChangeWriter) -> None:
    """As by a historian that is slower than another one, after the rows were dropped."""
    recorder.migrate()
    recorder.write(0, [CHANGE], {"/config/": 9})
    with transaction(recorder.engine, recorder.address) as connection:
        connection.execute(sql.delete(tables.changes))

    assert recorder.write(0, [CHANGE], {"/config/": 7}) == 0

    assert recorder.state().positions == {"/config/": 9}
    with opened(recorder.address) as archive:
        assert list(archive.all()) == []


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written: No such file"):
        ChangeWriter(DatabaseAddress(file=str(tmp_path / "none" / "history.db")))


def test_a_file_that_is_no_database_is_told_without_a_statement(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    file.write_text("this is no database, and longer than a header of one would be" * 20)

    with pytest.raises(DatabaseUnavailable, match="file is not a database") as told:
        ChangeWriter(DatabaseAddress(file=str(file))).migrate()

    assert "SELECT" not in str(told.value) and "PRAGMA" not in str(told.value)
