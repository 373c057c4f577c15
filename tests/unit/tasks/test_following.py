"""Monitoring targets are followed, whatever they do, and none at the cost of another."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from orchestrator.clients.types import Types
from orchestrator.core import monitoring, records
from orchestrator.core.jobs import Action
from orchestrator.core.refs import Json, Ref
from orchestrator.errors import TargetUnavailable
from tasks import following
from tasks.claims import Claims
from tasks.context import WorkerContext
from tasks.following import monitor
from tasks.slow import Slow

from tests import factories
from tests.doubles import FixedTargets, ManualClock, MemoryStore, PlainRenderer

TARGET: Json = {
    "version": 1,
    "values": [{"key": "status", "value": "UP"}],
    "syncer_properties": {"etcd": {"status": {"key": "interface"}}},
}


@pytest.fixture
def targets() -> FixedTargets:
    return FixedTargets()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def context(targets: FixedTargets, clock: ManualClock) -> WorkerContext:
    store = MemoryStore()
    doubles: dict[str, Any] = {
        "heat": None,
        "queue": None,
        "targets": targets,
        "templates": {},
        "renderer": PlainRenderer(),
    }
    return WorkerContext(
        types=Types.fixed(store, factories.keys()),
        store=store,
        claims=Claims(store, 10),
        clock=clock.clock,
        chance=clock.chance,
        slow=Slow(clock.clock),
        **doubles,
    )


def built(context: WorkerContext, name: str, *links: str) -> Ref:
    """A resource whose stack has monitoring targets."""
    ref, keys = factories.network(name), context.keys
    outputs = [
        {"output_key": f"{number}_monitoring_link", "output_value": link}
        for number, link in enumerate(links)
    ]
    context.store.put(keys.below(keys.config, ref), "{}")
    stack = records.StackRecord.of(ref, "t1", "CREATE_COMPLETE", outputs)
    context.store.put(keys.below(keys.stacks, ref), stack.to_json())
    state = records.StateRecord.of(Action.CREATE, "CREATE_COMPLETE", outputs, 1)
    context.store.put(keys.below(keys.state, ref), state.to_json())
    return ref


def recorded(context: WorkerContext, ref: Ref) -> Any:
    kv = context.store.get(context.keys.below(context.keys.monitoring, ref))
    return json.loads(kv.value) if kv else None


def test_what_a_target_reports_is_recorded(context: WorkerContext, targets: FixedTargets) -> None:
    targets.documents["http://a/"] = TARGET
    ref = built(context, "n1", "http://a/")

    assert monitor(context, [str(ref)]) == 1
    assert recorded(context, ref) == {"interface": "UP", "version": 1}


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(TargetUnavailable("no"), id="it does not answer"),
        pytest.param(
            {**TARGET, "values": [{"key": "status", "value": "x" * 300_000}]},
            id="a status of 300 kB",
        ),
        pytest.param(RecursionError("deep"), id="a defect of ours"),
    ],
)
def test_one_target_in_trouble_leaves_the_others_alone(
    context: WorkerContext, targets: FixedTargets, trouble: Any
) -> None:
    class Troubled(FixedTargets):
        def get(self, url: str, at_most: float | None = None) -> tuple[Json, datetime] | None:
            found = super().get(url, at_most)
            if found is not None and isinstance(found[0], Exception):
                raise found[0]
            return found

    context.targets = Troubled({"http://a/": trouble, "http://b/": TARGET})
    bad, good = built(context, "bad", "http://a/"), built(context, "good", "http://b/")

    assert monitor(context, [str(bad), str(good)]) == 1
    assert recorded(context, bad) is None and recorded(context, good)


def test_a_stack_record_that_cannot_be_read_leaves_the_others_alone(
    context: WorkerContext, targets: FixedTargets
) -> None:
    targets.documents["http://b/"] = TARGET
    bad, good = built(context, "bad", "http://a/"), built(context, "good", "http://b/")
    context.store.put(context.keys.below(context.keys.stacks, bad), "[")

    assert monitor(context, [str(bad), str(good)]) == 1
    assert recorded(context, good)


def test_no_more_than_so_many_targets_of_one_resource_are_asked(
    context: WorkerContext, targets: FixedTargets
) -> None:
    links = [f"http://a/{number}" for number in range(200)]
    targets.documents |= dict.fromkeys(links, TARGET)
    ref = built(context, "n1", *links)
    monitor(context, [str(ref)])

    assert sorted(targets.asked) == sorted(links[: monitoring.MOST_TARGETS])


class Hanging:
    """Targets that never answer, for as long as a test wants; a good one among them."""

    timeout = 3600.0

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = threading.Semaphore(0)
        self.given_up = 0

    def get(self, url: str, at_most: float | None = None) -> Any:
        self.asked.release()
        if "good" in url:
            return TARGET, datetime.now(UTC)
        self.let_go.wait(20)
        self.given_up += 1
        raise TargetUnavailable("no answer in time")


@pytest.fixture
def hanging(context: WorkerContext) -> Iterator[Hanging]:
    targets = Hanging()
    context.targets = targets
    yield targets
    targets.let_go.set()


def test_a_record_is_written_while_other_targets_hang(
    context: WorkerContext, hanging: Hanging
) -> None:
    refs = [built(context, f"bad{number}", f"http://bad/{number}") for number in range(8)] + [
        built(context, "good", "http://good/")
    ]
    written = context.store.watch([context.keys.monitoring], 1)
    task = threading.Thread(target=monitor, args=(context, [str(ref) for ref in refs]))
    task.start()
    keys = [event.key for event in next(filter(None, written))]

    assert keys == [context.keys.below(context.keys.monitoring, refs[-1])]
    assert hanging.given_up == 0, "the good one waits for the others"
    written.close()
    hanging.let_go.set()
    task.join(20)


def test_when_the_time_of_a_task_is_over_no_further_target_is_asked(
    context: WorkerContext, clock: ManualClock
) -> None:
    class Late(FixedTargets):
        def get(self, url: str, at_most: float | None = None) -> tuple[Json, datetime] | None:
            clock.pass_(following.ROUND_LIMIT)
            return super().get(url, at_most)

    context.targets = late = Late({"http://a/": TARGET, "http://b/": TARGET})

    assert monitor(context, [str(built(context, "n1", "http://a/", "http://b/"))]) == 0
    assert late.asked == ["http://a/"]


def test_tasks_beyond_what_a_process_can_ask_at_once_are_left_out(
    context: WorkerContext, hanging: Hanging
) -> None:
    ref = built(context, "bad", "http://bad/")
    tasks = [
        threading.Thread(target=monitor, args=(context, [str(ref)]))
        for _ in range(following.ROUNDS_AT_ONCE)
    ]
    for task in tasks:
        task.start()
    for _ in tasks:
        assert hanging.asked.acquire(timeout=20)

    assert monitor(context, [str(built(context, "good", "http://good/"))]) == 0
    hanging.let_go.set()
    for task in tasks:
        task.join(20)
    assert monitor(context, [str(built(context, "good", "http://good/"))]) == 1


# Slow ones -----------------------------------------------------------------------------------------


def test_a_target_that_keeps_us_waiting_is_asked_at_growing_intervals(clock: ManualClock) -> None:
    slow = Slow(clock.clock)
    pauses = []
    for _ in range(12):
        slow.failed("http://a/", took=5.0)
        begun = clock.now
        while not slow.may_be_asked("http://a/"):
            clock.pass_(1)
        pauses.append(clock.now - begun)

    assert pauses[:5] == [0, 20, 40, 80, 160]
    assert pauses[-1] == Slow.LONGEST


def test_a_target_that_answers_again_is_asked_as_often_as_before(clock: ManualClock) -> None:
    slow = Slow(clock.clock)
    for _ in range(5):
        slow.failed("http://a/", took=5.0)
    slow.answered("http://a/")

    assert slow.may_be_asked("http://a/") and not slow.knows("http://a/")


def test_only_so_many_are_remembered(clock: ManualClock) -> None:
    slow = Slow(clock.clock)
    for number in range(Slow.MOST + 10):
        slow.failed(f"http://a/{number}", took=5.0)

    assert not slow.knows("http://a/0") and slow.knows(f"http://a/{Slow.MOST + 9}")


def test_a_target_that_fails_at_once_is_asked_as_often_as_the_others(
    context: WorkerContext, targets: FixedTargets
) -> None:
    """It costs nothing."""
    targets.documents["http://a/"] = TargetUnavailable("connection refused")
    ref = built(context, "n1", "http://a/")
    for _ in range(10):
        monitor(context, [str(ref)])

    assert len(targets.asked) == 10
