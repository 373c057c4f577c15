"""Which schema list the bridge puts in force, on doubles of etcd and of the API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from orchestrator.bridge.health import Health
from orchestrator.bridge.leader import Leadership, campaign
from orchestrator.bridge.schemas import SchemaKeeper
from orchestrator.clients.types import Types, read_stored
from orchestrator.clock import CLOCK, Clock
from orchestrator.core import effects, records
from orchestrator.core.jobs import Action, Job
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Handled
from orchestrator.core.refs import JobId, Ref
from orchestrator.core.schema_list import SchemaList
from orchestrator.core.schemas import Schemas, parse_schemas
from orchestrator.errors import InvalidInput, SchemasDenied, StoreUnavailable, TemporaryError

from tests.doubles import ManualClock, MemoryStore
from tests.gohan.types import entry

NONE = Keys(Prefixes(), Schemas(()))
NET, VM = Ref("net", "n1"), Ref("vm", "v1")
ENTRIES = [
    entry("net", template_path="Cnet"),
    entry(
        "vm",
        prefix="/v1.0",
        template_path="Cvm",
        sync_key_template="/v1.0/devices/{{device_id}}/vms/{{id}}",
    ),
    entry("note", sync_plain=True),
]


def made(entries: list[Any], source: str = "http://gohan") -> SchemaList:
    return SchemaList.of(entries, source, "2026-11-27T21:49:01Z")


@dataclass
class Scripted:
    """A source that answers with what a test says, and counts how often it was asked."""

    name: str = "http://gohan"
    local: bool = False
    answer: Any = field(default_factory=lambda: made(ENTRIES))
    asked: int = 0

    def read(self) -> SchemaList:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, SchemaList)
        return self.answer

    def may_have_changed(self) -> bool:
        return True


@dataclass
class Bench:
    """A bridge's keeper of the list, which leads when a test says so."""

    store: MemoryStore = field(default_factory=MemoryStore)
    source: Scripted = field(default_factory=Scripted)
    stopping: threading.Event = field(default_factory=threading.Event)
    health: Health = field(default_factory=Health)

    def keeper(self, interval: float = 3600.0, clock: Clock = CLOCK) -> SchemaKeeper:
        keeper = SchemaKeeper(self.source, self.store, Prefixes(), interval, self.health, clock)
        keeper.prepare(self.stopping)
        return keeper

    def leadership(self) -> Leadership:
        found = campaign(self.store, NONE, 10, self.stopping)
        assert found is not None
        return found

    def begin(self, interval: float = 3600.0) -> tuple[SchemaKeeper, Keys, Leadership]:
        keeper, leadership = self.keeper(interval), self.leadership()
        return keeper, keeper.begin(leadership), leadership

    def stored(self) -> list[str]:
        """The types of the list in force."""
        found = read_stored(self.store, NONE)
        return [kind.id for kind in found.listed.schemas()] if found else []

    def put(self, entries: list[Any]) -> None:
        """A leader before has stored this list."""
        self.store.commit(effects.store_schemas(NONE, made(entries)))

    def trouble(self) -> Any:
        found = self.store.get(NONE.schema_trouble)
        return json.loads(found.value) if found else None

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, condition
            time.sleep(0.01)  # between two checks of a condition


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = Bench()
    yield found
    found.stopping.set()


def test_the_first_list_is_put_in_force(bench: Bench) -> None:
    _, keys, _ = bench.begin()

    assert bench.stored() == ["net", "note", "vm"]
    record = bench.store.get(NONE.schema_list)
    assert record is not None
    assert keys.schemas.origin.revision == record.revision


def test_the_list_of_a_leader_before_does_while_the_api_server_is_down(bench: Bench) -> None:
    bench.put(ENTRIES)
    bench.source.answer = TemporaryError("it does not answer")
    before = bench.store.revision
    _, keys, _ = bench.begin()

    assert [kind.id for kind in keys.schemas] == ["net", "note", "vm"]
    assert [event.key for event in bench.store.history if event.revision > before] == [NONE.leader]
    bench.until(lambda: bench.trouble())
    assert (bench.trouble()["refused"], bench.health.fault(), bench.health.note) == (
        False,
        "",
        "it does not answer",
    )


def test_a_bridge_waits_for_a_first_list(bench: Bench) -> None:
    clock = ManualClock()
    begun = clock.now
    bench.source.answer = TemporaryError("it does not answer")
    clock.timer(10.0, lambda: setattr(bench.source, "answer", made(ENTRIES)))
    bench.keeper(clock=clock.clock)

    assert clock.now >= begun + 10.0
    assert bench.source.asked > 2
    assert bench.health.note == "it does not answer"


@pytest.mark.parametrize("error", [SchemasDenied("403"), InvalidInput("a page")])
def test_a_first_list_that_is_none_stops_the_start(bench: Bench, error: Exception) -> None:
    bench.source.answer = error
    with pytest.raises(type(error), match=str(error)):
        bench.keeper()


def test_a_token_that_is_refused_stops_the_start_also_where_a_list_is_stored(bench: Bench) -> None:
    bench.put(ENTRIES)
    bench.source.answer = SchemasDenied("403")
    with pytest.raises(SchemasDenied):
        bench.keeper()


def test_a_list_that_is_refused_at_the_start_leaves_the_stored_one_in_force(bench: Bench) -> None:
    bench.put(ENTRIES)
    bench.source.answer = InvalidInput("a page")
    _, keys, _ = bench.begin()

    assert len(keys.schemas) == 3
    bench.until(lambda: bench.trouble() and bench.trouble()["refused"])


def test_a_file_that_was_emptied_leaves_the_stored_list_in_force(bench: Bench) -> None:
    """A mistake in a file stops no bridge that starts: the work goes on with the list of before."""
    bench.put(ENTRIES)
    bench.source.local, bench.source.answer = True, InvalidInput("no JSON")
    _, keys, _ = bench.begin()

    assert len(keys.schemas) == 3
    bench.until(lambda: bench.trouble() and bench.trouble()["reason"] == "no JSON")


@pytest.mark.parametrize(
    ("key", "value"),
    [(NONE.schema_list, "{}"), (NONE.schema_data, "AAAA"), (NONE.schema_list, "\x00")],
)
def test_a_stored_list_that_cannot_be_read_is_replaced(bench: Bench, key: str, value: str) -> None:
    bench.put(ENTRIES)
    bench.store.put(key, value)
    bench.begin()

    assert bench.stored() == ["net", "note", "vm"]


def test_a_takeover_does_not_wait_for_the_api_server(bench: Bench) -> None:
    """What a standby read long ago may be older than what is in force by now."""
    keeper = bench.keeper()
    bench.put([*ENTRIES, entry("later")])
    asked, keeper._candidate = bench.source.asked, None
    keys = keeper.begin(bench.leadership())

    assert "later" in [kind.id for kind in keys.schemas]
    assert bench.source.asked in (asked, asked + 1)  # The thread looks at once, beside the term.


def test_an_etcd_that_lost_the_list_while_the_api_server_is_down_is_no_defect(bench: Bench) -> None:
    bench.put(ENTRIES)
    bench.source.answer = TemporaryError("it does not answer")
    keeper = bench.keeper()
    bench.store.delete(NONE.schema_list)
    with pytest.raises(StoreUnavailable, match="etcd holds no schema list"):
        keeper.begin(bench.leadership())


# Lists that change ---------------------------------------------------------------------------------


def test_a_new_list_ends_the_term_and_the_next_one_leads_with_it(bench: Bench) -> None:
    keeper, _, leadership = bench.begin(0.01)
    bench.source.answer = made([*ENTRIES, entry("later")])
    bench.until(lambda: keeper.changed)
    leadership.resign()

    keys = keeper.begin(bench.leadership())

    assert "later" in [kind.id for kind in keys.schemas]
    assert not keeper.changed
    assert "later" in bench.stored()


def test_a_request_to_read_the_list_is_removed_when_that_is_done(bench: Bench) -> None:
    keeper, _, _ = bench.begin()
    bench.until(lambda: bench.source.asked == 2)
    bench.store.put(NONE.schema_reload, "{}")
    keeper.ask()

    bench.until(lambda: bench.store.get(NONE.schema_reload) is None)
    assert bench.source.asked == 3


def test_trouble_is_told_once_and_taken_back(bench: Bench) -> None:
    keeper, _, _ = bench.begin(0.01)
    bench.source.answer = InvalidInput("a page")
    bench.until(bench.trouble)
    asked, written = bench.source.asked, bench.store.get(NONE.schema_trouble)
    bench.until(lambda: bench.source.asked > asked + 3)
    assert bench.store.get(NONE.schema_trouble) == written

    bench.source.answer = made(ENTRIES)

    bench.until(lambda: bench.trouble() is None)
    assert bench.health.note == ""
    assert not keeper.changed


# What etcd holds -----------------------------------------------------------------------------------

KEYS = Keys(Prefixes(), parse_schemas(ENTRIES))
KEYS.place(VM, {"device_id": "d1"})


def stack(ref: Ref) -> str:
    return records.StackRecord.of(ref, "t1", "CREATE_COMPLETE").to_json()


def handled(ref: Ref) -> str:
    return Handled(1, 1, JobId(f"create:heat_worker:{ref}:1:aaaaa"), "x", "t1").to_json()


def job(ref: Ref) -> Job:
    name = JobId(f"create:heat_worker:{ref}:1:aaaaa")
    return Job(id=name, ref=ref, action=Action.CREATE, version=1, params=(), dependency=(), body={})


HELD: list[Any] = [
    pytest.param(KEYS.below(KEYS.stacks, NET), stack(NET), "net", id="stack"),
    pytest.param(KEYS.below(KEYS.handled, NET), handled(NET), "net", id="handled"),
    pytest.param(KEYS.job(job(NET).id), job(NET).to_json(), "net", id="job"),
    pytest.param(KEYS.below(KEYS.stacks, VM), stack(VM), "vm", id="stack by a key template"),
    pytest.param(KEYS.below(KEYS.handled, VM), handled(VM), "vm", id="handled by a key template"),
]


@pytest.mark.parametrize(("key", "value", "kind"), HELD)
@pytest.mark.parametrize("stored", [True, False], ids=["list stored", "first list"])
def test_a_list_without_a_type_of_which_etcd_holds_a_record_is_refused(
    bench: Bench, key: str, value: str, kind: str, stored: bool
) -> None:
    if stored:
        bench.put(ENTRIES)
    bench.store.put(key, value)
    without = [listed for listed in ENTRIES if listed["id"] != kind]
    bench.source.answer = made([*without, entry("other")])

    if stored:
        _, keys, _ = bench.begin()
        assert len(keys.schemas) == 3
        bench.until(
            lambda: (
                bench.trouble()
                and f"it lacks type {kind}, and etcd holds 1 resource" in bench.trouble()["reason"]
            )
        )
    else:
        with pytest.raises(
            InvalidInput, match=f"it lacks type {kind}, and etcd holds the record {key}"
        ):
            bench.begin()
        assert bench.stored() == []


@pytest.mark.parametrize("folder", [KEYS.config, KEYS.state])
@pytest.mark.parametrize("ref", [NET, VM])
def test_a_list_without_a_type_of_which_there_are_configs_or_reports_is_refused(
    bench: Bench, folder: str, ref: Ref
) -> None:
    """Something with nothing to build has no record of ours."""
    bench.put(ENTRIES)
    bench.store.put(KEYS.below(folder, ref), "{}")
    bench.source.answer = made([listed for listed in ENTRIES if listed["id"] != ref.type])
    bench.begin()

    bench.until(bench.trouble)
    assert (
        f"it lacks type {ref.type}, and etcd holds 1 resource of it ({ref.id})"
        in bench.trouble()["reason"]
    )


def test_types_without_resources_come_go_and_move(bench: Bench) -> None:
    bench.put(ENTRIES)
    bench.store.put("/config/v2.0/notes/n1", "plain")
    bench.source.answer = made([entry("net", prefix="/v9"), entry("new")])
    _, keys, _ = bench.begin()

    assert [kind.path for kind in keys.schemas] == ["v9/nets", "v2.0/news"]


@pytest.mark.parametrize(
    "moved",
    [
        entry("net", prefix="/v9"),
        entry("net", nosync=True),
        entry("net", sync_key_template="/x/{{id}}"),
    ],
)
def test_a_type_with_resources_does_not_move(bench: Bench, moved: Any) -> None:
    bench.put(ENTRIES)
    bench.store.put(KEYS.below(KEYS.config, NET), "{}")
    bench.source.answer = made([moved, *ENTRIES[1:]])
    bench.begin()

    bench.until(bench.trouble)
    assert "etcd holds 1 resource of it (n1): delete them first" in bench.trouble()["reason"]


def test_another_type_at_the_path_of_a_first_list_is_found_by_what_the_records_name(
    bench: Bench,
) -> None:
    bench.store.put(KEYS.below(KEYS.stacks, NET), stack(NET))
    bench.source.answer = made([entry("renamed", "nets")])
    with pytest.raises(InvalidInput, match="it lacks type net"):
        bench.begin()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("/esi-worker/heat_stacks/v2.0/strangers/s1", "garbage"),
        ("/esi-worker/heat_stacks/v2.0/strangers/s1", "{}"),
        ("/esi-worker/orchestrator/handled/x", "[]"),
        ("/esi-worker/orchestrator/handled/v2.0/strangers/s1", '{"version": 1}'),
        ("/jobs/all/garbage", "garbage"),
        ("/jobs/all/create:heat_worker:stranger:s1:1:aaaaa", "garbage"),
    ],
)
def test_garbage_stops_nobody(bench: Bench, key: str, value: str) -> None:
    bench.store.put(key, value)
    bench.begin()
    assert bench.stored() == ["net", "note", "vm"]


# Workers and commands ------------------------------------------------------------------------------


def test_a_process_has_its_own_list_until_there_is_one_in_force_and_follows_that(
    bench: Bench,
) -> None:
    types = Types(bench.store, Prefixes(), lambda: made([entry("own")], "a file"))
    assert [kind.id for kind in types.keys.schemas] == ["own"]
    assert types.now.revision == 0

    bench.put(ENTRIES)
    seen = [[kind.id for kind in now.keys.schemas] for now in types.as_of()]

    assert seen[:2] == [["own"], ["net", "note", "vm"]]
    assert types.now.is_of(bench.store.get(NONE.schema_list))


def test_where_resources_lie_stays_known_with_a_new_list(bench: Bench) -> None:
    bench.put(ENTRIES)
    types = Types(bench.store, Prefixes(), None)
    types.keys.place(VM, {"device_id": "d1"})
    bench.store.commit(effects.store_schemas(NONE, made([*ENTRIES, entry("new")])))
    types.refresh()

    assert types.keys.below(types.keys.config, VM) == "/config/v1.0/devices/d1/vms/v1"


def test_a_process_without_a_list_of_its_own_waits_for_one(bench: Bench) -> None:
    types = Types(bench.store, Prefixes(), None)
    with pytest.raises(TemporaryError, match="etcd holds no schema list yet"):
        _ = types.keys
    bench.put(ENTRIES)
    bench.store.put(NONE.schema_data, "AAAA")
    with pytest.raises(TemporaryError, match="the schema list in etcd cannot be read"):
        _ = types.keys
