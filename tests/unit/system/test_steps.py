"""How often a step goes to etcd and to the broker: as often as it has to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from orchestrator.clients import queue
from orchestrator.errors import StoreUnavailable
from tasks import steps
from tests.factories import HOT, network, port

from .driver import System, complete

IDS = [f"n{n}" for n in range(5)]


class CountedReadings:
    """A worker's view of the store that remembers what was read apart from a transaction."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.read: list[Sequence[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_many(self, keys: Sequence[str]) -> Any:
        self.read.append(keys)
        return self._store.get_many(keys)


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


@pytest.fixture
def readings(system: System) -> CountedReadings:
    counted: Any = CountedReadings(system.store)
    system.worker.store = counted
    return counted


def all_built(system: System) -> bool:
    return system.reported(**dict.fromkeys(IDS, ("CREATE_COMPLETED", 1)))


def wait_for_heat(system: System) -> None:
    """Five stacks that Heat is asked for, and takes its time to build."""
    system.outcome = lambda stack: None
    for identity in IDS:
        system.put(network(identity))
    system.until(lambda: len(system.heat.working()) == len(IDS))


def messages(system: System, task: str) -> int:
    return sum(message.tasks[0] == task for message in system.taken)


def test_a_look_records_what_it_finds(system: System) -> None:
    wait_for_heat(system)
    system.outcome = complete
    system.until(lambda: all_built(system) and system.idle())

    assert messages(system, queue.RECORD) == 0
    assert system.heat.working() == []


def test_what_a_look_has_no_time_to_record_is_sent(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "RECORDED_HERE", 0.0)
    wait_for_heat(system)
    system.outcome = complete
    system.until(lambda: all_built(system) and system.idle())

    assert messages(system, queue.RECORD) == len(IDS)


def test_a_look_that_finds_many_sends_most_of_them(
    system: System, readings: CountedReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_RECORDED_HERE_AT_MOST", 2)
    wait_for_heat(system)
    readings.read.clear()
    system.outcome = complete
    system.until(lambda: all_built(system) and system.idle())

    assert messages(system, queue.RECORD) >= 1
    assert all(len(keys) <= 10 for keys in readings.read)


def test_one_find_in_trouble_does_not_hold_up_the_others(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    troubled: list[str] = []
    original = steps.record

    def record(context: Any, run: Any, work: Any = None) -> None:
        if work is not None and not troubled:
            troubled.append(run)
            raise StoreUnavailable("the connection broke")
        original(context, run, work)

    wait_for_heat(system)
    monkeypatch.setattr(steps, "record", record)
    system.outcome = complete
    system.until(lambda: all_built(system) and system.idle())

    assert len(troubled) == 1
    assert messages(system, queue.RECORD) >= 1


@pytest.mark.parametrize("pushed", [False, True], ids=["from the catalogue", "from etcd"])
def test_all_that_is_needed_is_read_with_the_claim(system: System, readings: CountedReadings, pushed: bool) -> None:
    if pushed:
        body = {"id": "network", "template_file": HOT, "parameter_mappings": {"name": "Pname"}}
        system.store.put("/config/v2.0/heat_templates/network", json.dumps({"body": body}))
    system.put(network("n0"))
    system.until(lambda: system.reported(n0=("CREATE_COMPLETED", 1)) and system.idle())
    readings.read.clear()
    system.put(network("n1"))
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())

    assert not [keys for keys in readings.read if "/config/v2.0/heat_templates/network" in keys]


def test_a_template_is_used_as_it_is_when_the_job_is_claimed(system: System) -> None:
    for n, text in enumerate((HOT, HOT + "# changed\n")):
        body = {"id": "network", "template_file": text, "parameter_mappings": {"name": "Pname"}}
        system.store.put("/config/v2.0/heat_templates/network", json.dumps({"body": body}))
        system.put(network(f"n{n}"))
        system.until(lambda n=n: system.reported(**{f"n{n}": ("CREATE_COMPLETED", 1)}))

    texts = [asked.request.template for asked in system.heat.requests if asked.request]
    assert [text.endswith("# changed") for text in texts] == [False, True]


def test_outputs_of_others_are_read_when_they_are_needed(system: System) -> None:
    """A port is built of its network's output, which no claim can have read in advance."""
    system.put(network("n1"))
    system.put(port("p1"), network_id="n1")
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)))

    last = system.heat.requests[-1].request
    assert last is not None
    assert last.parameters["network"] == "cloud-network_n1"
