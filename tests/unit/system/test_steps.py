"""How often a step goes to etcd and to the broker: as often as it has to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from functools import partial
from typing import Any

import pytest
from orchestrator.clients import queue
from orchestrator.core.keys import run_id
from orchestrator.core.records import Step
from orchestrator.core.refs import RunId
from orchestrator.core.transactions import Transaction
from orchestrator.errors import StoreRefused, StoreUnavailable, TemporaryError
from tasks import steps
from tasks.steps import chains, polling

from tests.factories import HOT, network, port

from .driver import DEADLINE, System, complete

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
    counted = CountedReadings(system.store)
    store: Any = counted
    system.worker.store = store
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


def test_a_poll_records_what_it_finds(system: System) -> None:
    wait_for_heat(system)
    system.outcome = complete
    system.until(lambda: all_built(system) and system.idle())

    assert messages(system, queue.RECORD) == 0
    assert system.heat.working() == []


def test_a_poll_that_finds_many_sends_most_of_them(
    system: System, readings: CountedReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "GROUP", 2)
    wait_for_heat(system)
    readings.read.clear()
    system.outcome = complete
    system.until(lambda: all_built(system) and system.idle())

    sent = [message.argument for message in system.taken if message.tasks[0] == queue.RECORD]
    assert sent
    assert all(len(runs) <= 2 for runs in sent)
    assert len({run for runs in sent for run in runs}) <= 3
    assert all(len(keys) <= 2 * 6 for keys in readings.read)


def test_one_find_in_trouble_does_not_hold_up_the_others(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridge sends it again, as nothing has come of it."""
    troubled: list[str] = []
    original = steps.record

    def record(context: Any, run: Any, work: Any = None) -> None:
        if not troubled:
            troubled.append(run)
            raise StoreUnavailable("the connection broke")
        original(context, run, work)

    wait_for_heat(system)
    monkeypatch.setattr(polling, "record", record)
    system.outcome = complete
    system.until(lambda: sum(system.state(network(n)) is not None for n in IDS) == len(IDS) - 1)
    assert messages(system, queue.RECORD) == 0
    system.until(lambda: all_built(system) and system.idle())

    assert len(troubled) == 1
    assert messages(system, queue.RECORD) == 1


@pytest.mark.parametrize("pushed", [False, True], ids=["from the catalogue", "from etcd"])
def test_all_that_is_needed_is_read_with_the_claim(
    system: System, readings: CountedReadings, pushed: bool
) -> None:
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
        system.until(partial(system.reported, **{f"n{n}": ("CREATE_COMPLETED", 1)}))

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


# Several jobs in a message ---------------------------------------------------------------------------


def waiting_jobs(system: System) -> list[RunId]:
    """Five jobs that no worker has taken yet."""
    for identity in IDS:
        system.put(network(identity))
    system.lead_until(
        lambda: sum(len(message.argument) for message in system.queue.sent) == len(IDS)
    )
    while system.queue.take():
        pass
    return [run_id("t1", job) for job in system.jobs_made()]


def run_all(system: System, runs: Sequence[RunId]) -> None:
    steps.run_chains(system.worker, (steps.submit, steps.wait, steps.record), runs)


def test_jobs_of_one_message_share_their_transactions(system: System) -> None:
    runs = waiting_jobs(system)
    run_all(system, runs)
    written = [e for e in system.store.history if e.key in {system.keys.runs + run for run in runs}]
    system.until(lambda: all_built(system) and system.idle())

    assert len(written) == 2 * len(IDS)
    assert len({e.revision for e in written}) == 2, "the claim, and that Heat is at work"


def test_a_job_that_is_taken_already_is_left_alone(system: System) -> None:
    runs = waiting_jobs(system)
    run_all(system, runs[:1])
    run_all(system, runs)
    system.until(lambda: all_built(system) and system.idle())

    assert sorted(system.asked()) == [("create", f"network_{identity}") for identity in IDS]


def test_a_job_in_trouble_leaves_the_others_to_their_end(system: System) -> None:
    runs = waiting_jobs(system)
    system.heat.fail_next(ZeroDivisionError("a defect of ours"), "create")
    with pytest.raises(ZeroDivisionError):
        run_all(system, runs)
    assert len(system.asked()) == len(IDS) - 1
    system.store.expire_abandoned()
    system.until(lambda: all_built(system) and system.idle())

    assert sorted(system.asked()) == [("create", f"network_{identity}") for identity in IDS]


def test_when_time_is_over_the_claims_are_given_up(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimeIsOver(Exception):
        """What Celery raises in a worker's main thread."""

    def strike(chains: Any, seconds: float) -> None:
        wait(chains)
        raise TimeIsOver

    runs = waiting_jobs(system)
    monkeypatch.setattr(chains, "wait_for", strike)
    lease = system.worker.claims.lease()
    with pytest.raises(TimeIsOver):
        run_all(system, runs)

    assert not lease.alive


def test_a_chain_that_hangs_gives_its_claim_up_and_asks_nothing_more(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs before its request, and does not make it later; the others of the message are in Heat's hands."""
    let_go, goes_on = threading.Event(), threading.Event()
    tried: list[str] = []
    prepare, create = system.heat.prepare, system.heat.create

    def hang(tenant: str) -> None:
        if not goes_on.is_set():
            goes_on.set()
            let_go.wait(DEADLINE)
        prepare(tenant)

    def noted(request: Any, *tags: Any) -> Any:
        tried.append(request.name)
        return create(request, *tags)

    runs = waiting_jobs(system)
    monkeypatch.setattr(system.heat, "prepare", hang)
    monkeypatch.setattr(system.heat, "create", noted)
    system.worker.time_limit = 0.5
    run_all(system, runs)
    stood = sorted(run.step for run in system.runs().values())
    let_go.set()
    system.until(lambda: all_built(system) and system.idle())

    assert stood == [Step.RETRY, *[Step.IN_HEAT] * (len(IDS) - 1)]
    assert sorted(tried) == [f"network_{identity}" for identity in IDS]


def test_a_job_that_fails_before_its_claim_takes_no_claims_of_others(system: System) -> None:
    """This worker has an older schema list than the bridge."""
    runs = waiting_jobs(system)
    unknown = RunId("t1/create:heat_worker:unheard:u1:1:aaaaa")
    with pytest.raises(TemporaryError, match="type 'unheard' is not in the schema list"):
        run_all(system, [*runs, unknown])
    system.until(lambda: all_built(system) and system.idle())

    assert sorted(system.asked()) == [("create", f"network_{identity}") for identity in IDS]
    assert {message.tasks[0] for message in system.taken} == {queue.POLL}, (
        "nothing had to be sent again"
    )


def test_a_defect_is_told_before_what_only_has_to_wait(system: System) -> None:
    runs = waiting_jobs(system)
    system.heat.fail_next(ZeroDivisionError("a defect of ours"), "create")
    with pytest.raises(ZeroDivisionError):
        run_all(system, [RunId("t1/create:heat_worker:unheard:u1:1:aaaaa"), *runs])


@pytest.mark.parametrize("half", ["stack", "state"])
def test_outputs_that_etcd_does_not_take_are_left_out(
    system: System, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """Too large for the stack record, or for the state, in which they are escaped once or twice more."""
    key = system.keys.below(
        system.keys.stacks if half == "stack" else system.keys.state, network("n0")
    )
    original = system.store.commit

    def limited(transaction: Transaction, *rest: Any) -> Any:
        if len(transaction.puts.get(key, "")) > 1500:
            raise StoreRefused("etcdserver: request is too large")
        return original(transaction, *rest)

    monkeypatch.setattr(system.store, "commit", limited)
    size = 2000 if half == "stack" else 500
    system.outcome = lambda stack: {"outputs": [{"output_key": "id", "output_value": '"' * size}]}
    system.put(network("n0"))
    system.until(lambda: system.worker_state(network("n0")) is not None and system.idle())

    assert system.worker_state(network("n0")) == ("CREATE_FAILED", 1)
    assert "outputs cannot be stored" in system.state(network("n0"))["error"]
