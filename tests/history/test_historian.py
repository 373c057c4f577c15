"""The historian: what etcd tells is in the database, each change once, whatever happens on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from orchestrator.clients.database import DatabaseAddress, parse
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.types import Types
from orchestrator.core.jobs import Action
from orchestrator.core.records import SchemasRecord
from orchestrator.core.refs import Ref
from orchestrator.core.schema_list import SchemaList
from orchestrator.core.transactions import Transaction
from orchestrator.errors import OrchestratorError
from orchestrator.history.changes import HistoryChange, classify
from orchestrator.history.database.archive import Known, opened
from orchestrator.history.database.retention import Retention, prune
from orchestrator.history.database.writing import ChangeWriter
from orchestrator.history.following import Historian, is_recorded
from orchestrator.history.measuring import HistorianMetrics
from orchestrator.sandbox import servers

from .conftest import HistoryWorld, compact

pytestmark = pytest.mark.integration

NET = Ref("network", "n")
PATIENCE = 30.0
FOREVER = Retention(days=36500, rows=10**9)


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    end, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        pause.wait(0.05)


@contextmanager
def historian(
    world: HistoryWorld,
    etcd: servers.Etcd,
    database: DatabaseAddress,
    types: Types | None = None,
    metrics: HistorianMetrics | None = None,
) -> Iterator[None]:
    """One in this process, until the block ends; by then it has all that etcd has."""
    recorder = ChangeWriter(database)
    recorder.migrate()
    store = EtcdStore(EtcdAccess((etcd.endpoint,)))
    stopping = threading.Event()
    known = types or Types.fixed(store, world.keys)
    one = Historian(store, known, recorder, FOREVER, metrics=metrics)
    thread = threading.Thread(target=one.run, args=(stopping,), daemon=True)
    thread.start()
    try:
        yield
        caught_up(world, database)
    finally:
        stopping.set()
        thread.join(PATIENCE)
        store.close()
        recorder.close()


def caught_up(world: HistoryWorld, database: DatabaseAddress) -> None:
    """Wait until the last change of now is there."""
    mark = uuid.uuid4().hex
    world.store.put(f"{world.keys.own}marker", mark)
    eventually(lambda: any(row.value == mark.encode() for row in rows(database)))


def rows(database: DatabaseAddress) -> list[HistoryChange]:
    with opened(database) as archive:
        return list(archive.all())


def known(database: DatabaseAddress) -> Known:
    with opened(database) as archive:
        return archive.known()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseAddress]:
    if request.param == "sqlite":
        yield parse(str(tmp_path / "history.db"))
        return
    url = request.getfixturevalue("postgresql")
    yield parse(url)


def expected(world: HistoryWorld, since: int = 0) -> list[tuple[str, int, bytes | None]]:
    """What etcd's own watch tells of the keys that are recorded."""
    return sorted(
        (event.key, event.revision, event.value)
        for event in world.events(since + 1)
        if is_recorded(world.keys, event.key)
    )


def recorded(database: DatabaseAddress) -> list[tuple[str, int, bytes | None]]:
    return sorted((row.key, row.revision, row.value) for row in rows(database))


def live(world: HistoryWorld, ref: Ref, version: int) -> None:
    """One version from its config to its state."""
    world.config(ref, version, name=f"v{version}")
    action = Action.CREATE if version == 1 else Action.MODIFY
    world.carry_out(world.decide(ref, version, action, name=f"v{version}"))


def test_every_change_is_recorded_once_and_as_etcd_had_it(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    live(world, NET, 1)

    with historian(world, etcd, database):
        live(world, NET, 2)
        world.clean(NET)

    assert recorded(database) == expected(world)
    assert known(database).gaps == ()


def test_it_tells_how_far_it_is(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    metrics = HistorianMetrics()

    def told(name: str) -> float:
        found = metrics.shown.registry.get_sample_value(f"orchestrator_historian_{name}")
        assert found is not None
        return found

    live(world, NET, 1)
    with historian(world, etcd, database, metrics=metrics):
        live(world, NET, 2)
    newest = max(row.revision for row in rows(database))
    eventually(lambda: told("behind_rows") == 0)

    assert told("revision") == newest
    assert told("behind_revisions") == 0
    assert told("rows_total") == len(rows(database))


def test_each_change_names_its_kind_and_resource(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    with historian(world, etcd, database):
        live(world, NET, 1)

    for row in rows(database):
        assert (row.kind, row.ref) == classify(world.keys, row.key)


def test_it_goes_on_where_it_stopped_and_tells_what_it_saw_late(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    with historian(world, etcd, database):
        live(world, NET, 1)
    late = world.config(NET, 2)
    with historian(world, etcd, database):
        caught_up(world, database)
        in_time = world.config(NET, 3)

    assert recorded(database) == expected(world)
    seen = {row.revision: row.late for row in rows(database)}
    assert (seen[late], seen[in_time]) == (True, False)


def test_two_historians_write_nothing_twice(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    with historian(world, etcd, database), historian(world, etcd, database):
        for version in range(1, 20):
            live(world, NET, version)

    assert recorded(database) == expected(world)


def test_compaction_while_it_is_away_gives_one_gap_and_nothing_more_is_lost(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    other = Ref("network", "other")
    with historian(world, etcd, database):
        live(world, NET, 1)
        live(world, other, 1)
    before = max(row.revision for row in rows(database))
    live(world, NET, 2)
    world.clean(other)
    at = world.config(NET, 3)
    compact(etcd, at)
    after = world.config(NET, 4)
    for _ in range(2):
        with historian(world, etcd, database):
            pass

    (gap,) = known(database).gaps
    assert gap.last == at
    assert gap.first <= before + 1
    assert "compacted" in gap.reason
    config = world.keys.below(world.keys.config, NET)
    gone = world.keys.below(world.keys.config, other)
    there = [row for row in rows(database) if row.revision > before]
    assert [(r.revision, r.listed) for r in there if r.key == config] == [
        (at, True),
        (after, False),
    ]
    assert [(r.revision, r.value) for r in there if r.key == gone] == [(at, None)]


def test_compaction_of_what_it_has_seen_already_is_no_gap(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    with historian(world, etcd, database):
        live(world, NET, 1)
        caught_up(world, database)
        compact(etcd, world.store.list(world.keys.own)[0])
        live(world, NET, 2)

    assert known(database).gaps == ()


def test_on_an_etcd_that_was_compacted_before_it_says_where_it_begins(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    live(world, NET, 1)
    at = world.config(NET, 2)
    compact(etcd, at)

    with historian(world, etcd, database):
        world.config(NET, 3)

    (gap,) = known(database).gaps
    assert (gap.first, gap.last) == (1, at)
    assert {row.revision for row in rows(database) if row.revision > at} == {
        revision for _, revision, _ in expected(world, at)
    }


def test_another_etcd_is_another_history(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    """As after a restore from a backup: the revisions begin anew, and mean something else."""
    with historian(world, etcd, database):
        for version in range(1, 6):
            live(world, NET, version)
    first = rows(database)
    etcd.kill()
    data = next(Path(etcd.process.log).parent.rglob("member")).parent
    subprocess.run(["rm", "-rf", str(data)], check=True)
    etcd.restart()
    world.store.close()
    world.store = EtcdStore(EtcdAccess((etcd.endpoint,)))
    other = Ref("network", "other")
    world.config(other, 1)

    with historian(world, etcd, database):
        caught_up(world, database)
        world.config(other, 2)

    (gap,) = known(database).gaps
    assert "restored" in gap.reason
    new = [row for row in rows(database) if row.generation == 1]
    assert [row for row in rows(database) if row.generation == 0] == first
    versions = [row.revision for row in new if row.ref == other and row.value]
    assert len(versions) == 2
    config = world.keys.below(world.keys.config, NET)
    assert [row.value for row in new if row.key == config] == [None]


def test_only_a_newer_schema_list_makes_it_begin_anew(
    world: HistoryWorld,
    etcd: servers.Etcd,
    database: DatabaseAddress,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The list that is in force comes by again whenever it starts."""
    caplog.set_level("INFO")
    listed = SchemaList.of(LISTED, "a file", "2026-11-28T00:00:00Z")
    store_list(world, listed)
    types = Types(world.store, world.keys.prefixes, None)

    with historian(world, etcd, database, types):
        live(world, NET, 1)
        caught_up(world, database)
        before = begun(caplog)
        store_list(world, SchemaList.of(LISTED, "another file", "2026-11-28T00:00:01Z"))
        eventually(lambda: len(begun(caplog)) > len(before))

    assert (len(before), len(begun(caplog))) == (1, 2)
    assert recorded(database) == expected(world)


LISTED = {
    "schemas": [
        {
            "id": "network",
            "prefix": "/v2.0/networks",
            "metadata": {"template_path": "Cnetwork"},
            "schema": {"type": "object", "properties": {}},
        }
    ]
}


def store_list(world: HistoryWorld, listed: SchemaList) -> int:
    keys = world.keys
    return world.store.commit(
        Transaction(
            puts={
                keys.schema_list: SchemasRecord.of(listed).to_json(),
                keys.schema_data: listed.data(),
            }
        )
    )


def begun(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.message
        for record in caplog.records
        if getattr(record, "event", "") == "historian_follows"
    ]


# Killed -------------------------------------------------------------------------------------------


def start(
    environment: Mapping[str, str], database: DatabaseAddress, log: Path
) -> subprocess.Popen[bytes]:
    setting = database.file or database.url.replace("+psycopg", "")
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "historian"]
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            **environment,
            "ORCHESTRATOR_HISTORY_DATABASE": setting,
            "ORCHESTRATOR_LOG_FORMAT": "json",
        },
        stdout=log.open("ab"),
        stderr=subprocess.STDOUT,
        cwd=log.parent,
    )


def live_all(world: HistoryWorld, refs: list[Ref], version: int) -> None:
    for ref in refs:
        live(world, ref, version)


def written(database: DatabaseAddress) -> int:
    """How many changes there are; 0 while the tables are not there."""
    try:
        return len(rows(database))
    except OrchestratorError:
        return 0


def has_more(database: DatabaseAddress, before: int) -> bool:
    return written(database) > before


def test_fifty_resources_and_some_hundred_changes_over_kills_are_what_etcd_has(
    world: HistoryWorld,
    etcd: servers.Etcd,
    database: DatabaseAddress,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    refs = [Ref("network", f"n{number}") for number in range(50)]
    dice = random.Random(15)
    log = tmp_path / "historian.log"
    process = start(environment, database, log)
    kills = 0
    try:
        for version in range(1, 6):
            before = written(database)
            writer = threading.Thread(target=live_all, args=(world, refs, version))
            writer.start()
            if version < 5:
                eventually(partial(has_more, database, before))
                time.sleep(dice.uniform(0.0, 0.3))
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                writer.join()
                process = start(environment, database, log)
            writer.join()
        caught_up(world, database)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()

    assert kills == 4
    assert recorded(database) == expected(world)
    assert len(recorded(database)) > 3000
    assert known(database).gaps == ()


# Retention ----------------------------------------------------------------------------------------


def keep(database: DatabaseAddress, days: float, count: int, now: float) -> int:
    recorder = ChangeWriter(database)
    try:
        return prune(recorder.engine, database, Retention(days, count), now)
    finally:
        recorder.close()


def test_what_is_too_old_is_dropped_but_for_the_newest_of_each_record(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    other = Ref("network", "other")
    with historian(world, etcd, database):
        for version in range(1, 4):
            world.config(NET, version)
        world.config(other, 1)
        world.clean(other)

    dropped = keep(database, 1, 10**9, time.time() + 2 * 86400)

    config = world.keys.below(world.keys.config, NET)
    left = rows(database)
    assert dropped == 4
    assert [b'"version": 3' in (row.value or b"") for row in left if row.key == config] == [True]
    assert [row for row in left if row.ref == other] == []


def test_what_is_too_much_is_dropped_oldest_first(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    with historian(world, etcd, database):
        for version in range(1, 31):
            world.config(NET, version)

    keep(database, 36500, 10, time.time())

    config = world.keys.below(world.keys.config, NET)
    left = [row.revision for row in rows(database) if row.key == config]
    assert 10 <= len(left) <= 11
    assert max(left) - min(left) == len(left) - 1
    assert known(database).horizon is not None


def test_nothing_is_dropped_that_is_within_the_bounds(
    world: HistoryWorld, etcd: servers.Etcd, database: DatabaseAddress
) -> None:
    with historian(world, etcd, database):
        world.config(NET, 1)
        world.config(NET, 2)

    assert keep(database, 1, 10, time.time()) == 0
    assert known(database).horizon is None
