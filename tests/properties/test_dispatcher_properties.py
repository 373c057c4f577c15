"""Whatever happens in whatever order: no job is lost from sight, no limit is passed, and all are sent in the end."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from orchestrator.bridge.dispatching import Dispatcher
from orchestrator.bridge.dispatching.tenants import QueuePlace
from orchestrator.clients.queue import GROUP
from orchestrator.core.jobs import Job
from orchestrator.core.records import Cause, Run, Step

from tests.doubles import ManualClock, RecordingQueue
from tests.factories import job, network
from tests.properties import TIMES

TENANT_LIMIT, TOTAL_LIMIT = 12, 32
TENANTS = "abcd"


class Dispatching(RuleBasedStateMachine):
    """A bridge, workers and a broker, as a dispatcher sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = RecordingQueue()
        self.clock = ManualClock()
        queue: Any = self.broker
        self.dispatcher = Dispatcher(
            queue,
            self.clock.timer,
            poll_interval=1.0,
            tenant_limit=TENANT_LIMIT,
            total_limit=TOTAL_LIMIT,
            clock=self.clock.clock,
            chance=self.clock.chance,
        )
        self.jobs: dict[str, Job] = {}
        """Those that are not over, by id."""
        self.untaken: set[str] = set()
        self.under_way: set[str] = set()
        self.waiting: set[str] = set()
        self.alone: set[str] = set()
        self.made = 0

    def flush(self) -> None:
        before = len(self.broker.sent)
        self.dispatcher.flush(self.jobs.__contains__)
        for message in self.broker.sent[before:]:
            if message.tasks[0].endswith("submit"):
                named = [run.partition("/")[2] for run in message.argument]
                assert 1 <= len(named) <= GROUP
                assert len(set(named)) == len(named)
                assert len(named) == 1 or not self.alone.intersection(named), (
                    "one that is to be alone has company"
                )
                self.untaken.update(named)

    @rule(tenants=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=40), alone=st.booleans())
    def submit(self, tenants: list[str], alone: bool) -> None:
        for tenant in tenants:
            self.made += 1
            one = job(network(f"n{self.made}"), tenant_id=tenant)
            self.jobs[one.id] = one
            if alone and self.made % 3 == 0:
                self.alone.add(one.id)
            self.dispatcher.submit(one, alone=one.id in self.alone)
        self.flush()

    @rule(count=st.integers(1, 20))
    def claim(self, count: int) -> None:
        for name in sorted(self.untaken)[:count]:
            self.untaken.discard(name)
            self.under_way.add(name)
            self.dispatcher.moved(self.jobs[name].id, self.jobs[name].tenant, Run(Step.CLAIMED))
        self.flush()

    @rule(count=st.integers(1, 20), way=st.sampled_from(["asked", "over", "unavailable", "died"]))
    def go_on(self, count: int, way: str) -> None:
        for name in sorted(self.under_way)[:count]:
            one = self.jobs[name]
            self.under_way.discard(name)
            match way:
                case "asked":
                    self.alone.discard(name)
                    self.waiting.add(name)
                    self.dispatcher.moved(
                        one.id, one.tenant, Run(Step.IN_HEAT, stack="s", asked_at=self.clock.now)
                    )
                case "over":
                    self.over(one)
                case "unavailable":
                    self.alone.discard(name)
                    retry = Run(Step.RETRY, attempt=1, delay=0.5, cause=Cause.UNAVAILABLE.value)
                    self.dispatcher.moved(one.id, one.tenant, retry)
                case "died":
                    self.dispatcher.forget(one.id, one.tenant)
                    self.alone.add(name)
                    self.dispatcher.submit(one, alone=True)
        self.flush()

    @rule(count=st.integers(1, 20))
    def supersede(self, count: int) -> None:
        for name in [name for name in self.jobs if name not in self.under_way | self.waiting][
            :count
        ]:
            one = self.jobs[name]
            self.untaken.discard(name)
            del self.jobs[name]
            self.dispatcher.forget(one.id, one.tenant)
        self.flush()

    def over(self, one: Job) -> None:
        del self.jobs[one.id]
        self.alone.discard(one.id)
        self.waiting.discard(one.id)
        self.dispatcher.over(one.id, one.tenant)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 5.0]))
    def pass_(self, seconds: float) -> None:
        self.clock.pass_(seconds)
        self.flush()

    @rule(there=st.booleans())
    def broker_comes_and_goes(self, there: bool) -> None:
        self.broker.available = there
        self.flush()

    @invariant()
    def limits_are_kept(self) -> None:
        out = self.untaken | self.under_way
        assert len(out) <= TOTAL_LIMIT
        for tenant in TENANTS:
            assert sum(self.jobs[name].tenant == tenant for name in out) <= TENANT_LIMIT

    @invariant()
    def what_may_be_sent_is_sent_or_will_be(self) -> None:
        """Without another event."""
        tenants = self.dispatcher.tenants
        known = tenants.known.values()
        assert {tenant.name for tenant in known if tenant.ready} == set(tenants.ready)
        placed = [
            job
            for tenant in known
            for place in QueuePlace
            for job in tenant.at(place).values()
            if job.place is place and job.tenant is tenant
        ]
        assert sorted(job.id for job in placed) == sorted(self.jobs)
        out = self.untaken | self.under_way
        assert {job.id for job in placed if job.place is QueuePlace.IN_FLIGHT} == out
        assert len(out) == tenants.in_flight
        if len(out) == TOTAL_LIMIT:
            return
        for tenant in known:
            if tenant.ready and len(tenant.in_flight) < (
                1 if tenant.circuit.open else TENANT_LIMIT
            ):
                assert self.dispatcher.next_flush() is not None

    def teardown(self) -> None:
        """With a broker, workers and a Heat that do their work, everything is over in the end."""
        self.broker.available = True
        for _ in range(10 * self.made + 100):
            if not self.jobs:
                return
            pause = self.dispatcher.next_flush()
            if pause is None and (pending := self.untaken | self.under_way | self.waiting):
                name, pause = min(pending), 0.0
                self.untaken.discard(name)
                self.under_way.discard(name)
                self.over(self.jobs[name])
            self.clock.pass_(0.6 if pause is None else pause)
            self.flush()
        raise AssertionError(f"{len(self.jobs)} jobs are left, and the loop turns for nothing")


def test_no_job_is_lost_from_sight() -> None:
    chosen = settings(
        max_examples=60 * TIMES,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Dispatching, settings=chosen)
