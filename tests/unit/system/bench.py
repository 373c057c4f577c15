"""The real reconciler over a :class:`MemoryStore`, in one thread: what happens when is the test's choice.

Config changes wait until :meth:`Bench.settle`; jobs run when a test ends them, by the real steps on a
:class:`MemoryHeat`; a restart forgets everything but the store.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any

from orchestrator.bridge import loading
from orchestrator.bridge.leader import campaign
from orchestrator.bridge.outcomes import Outcomes
from orchestrator.bridge.outputs import OutputsRead
from orchestrator.bridge.reconciling import Reconciler
from orchestrator.clients.types import Types
from orchestrator.clock import CLOCK, Clock
from orchestrator.core import effects
from orchestrator.core.facts import RunMoved
from orchestrator.core.jobs import Action, Job
from orchestrator.core.keys import run_id
from orchestrator.core.records import Handled, Held, Run, Step
from orchestrator.core.refs import JobId, Json, Ref, RunId
from orchestrator.core.removals import BrakeLimits
from tasks import steps
from tasks.claims import Claims
from tasks.context import WorkerContext

from tests import factories
from tests.doubles import MemoryHeat, MemoryStore, PlainRenderer, RecordingQueue

OUTPUTS = [{"output_key": "id", "output_value": "cloud"}]
TENANTS = (factories.TENANT, "t2")


class Bench:
    def __init__(self, clock: Clock = CLOCK, patience: float = 0.0) -> None:
        self._clock, self._patience = clock, patience
        self.keys = factories.keys()
        self.store = MemoryStore()
        self.heat = MemoryHeat()
        doubles: dict[str, Any] = {"heat": self.heat, "queue": RecordingQueue(), "targets": None}
        doubles |= {
            "claims": Claims(self.store, 10),
            "renderer": PlainRenderer(),
            "templates": factories.templates(),
        }
        self.worker = WorkerContext(
            types=Types.fixed(self.store, self.keys), store=self.store, **doubles
        )
        leadership = campaign(self.store, self.keys, 10, threading.Event())
        assert leadership is not None
        self._leadership = leadership
        self.versions: dict[Ref, int] = {}
        self.gives: dict[str, str] = {}
        """The output ``id`` that the stack of a name has once Heat has worked on it; default: ``cloud``."""
        self._checked = 0
        self._replaced: dict[JobId, JobId] = {}
        self.restart()

    # The API server ---------------------------------------------------------------------------------

    def put(self, ref: Ref, **properties: Json) -> None:
        """The next version, of a new incarnation if there is none."""
        self.versions[ref] = self.versions.get(ref, 0) + 1
        self._write(ref, self.versions[ref], False, properties)

    def put_again(self, ref: Ref, version: int) -> None:
        """A resync, or a stale write: the body and mark as they are."""
        if config := self.config(ref):
            self._write(ref, version, config["marked_for_deletion"], self._properties(config))

    def mark(self, ref: Ref) -> None:
        if config := self.config(ref):
            self.versions[ref] += 1
            self._write(ref, self.versions[ref], True, self._properties(config))

    def give(self, ref: Ref, value: str) -> None:
        """The next version, with which the stack's output has another value."""
        self.gives[ref.stack_name] = value
        if (config := self.config(ref)) and not config["marked_for_deletion"]:
            self.put(ref, **self._properties(config))

    def move(self, ref: Ref) -> None:
        """The next version, in the other tenant."""
        if (config := self.config(ref)) and not config["marked_for_deletion"]:
            properties = self._properties(config)
            tenant = next(tenant for tenant in TENANTS if tenant != properties["tenant_id"])
            self.put(ref, **{**properties, "tenant_id": tenant})

    def remove(self, ref: Ref) -> None:
        self.store.delete(self.keys.below(self.keys.config, ref))
        self.versions.pop(ref, None)

    @staticmethod
    def _properties(config: Any) -> dict[str, Json]:
        return {
            name: value
            for name, value in json.loads(config["body"]).items()
            if name not in ("id", "name")
        }

    def config(self, ref: Ref) -> Any:
        found = self.store.get(self.keys.below(self.keys.config, ref))
        return json.loads(found.value) if found else None

    def _write(self, ref: Ref, version: int, marked: bool, properties: Mapping[str, Json]) -> None:
        value = factories.config_value(ref, version, marked=marked, **properties)
        self.store.put(self.keys.below(self.keys.config, ref), value)

    # The bridge -------------------------------------------------------------------------------------

    def restart(self) -> None:
        """A new term from what the store holds."""
        loaded = loading.load(self.store, self.keys, factories.templates())
        self.world, self._seen = loaded.world, loaded.revision
        self._seen_built = loaded.revision
        self.outputs = OutputsRead(self.world, self.store, self.keys)
        self.later: list[Ref] = []
        self.much_later: list[Ref] = []
        self.ready: dict[JobId, None] = {
            job.id: None
            for job in self.world.graph.jobs.values()
            if not self.world.graph.waits_for(job.id)
        }
        self.outcomes = Outcomes(
            self.world,
            self.keys,
            self._leadership,
            ready=lambda job: self.ready.setdefault(job.id),
            dropped=lambda job: self.ready.pop(job.id, None),
            later=self._later,
            as_string=False,
            clock=self._clock,
        )
        self.reconciler = Reconciler(
            self.world,
            self.keys,
            self._leadership,
            outcomes=self.outcomes,
            ready=lambda job: self.ready.setdefault(job.id),
            later=self._later,
            patience=self._patience,
            as_string=False,
            brake=BrakeLimits(),
            clock=self._clock,
        )

    def _later(self, seconds: float, ref: Ref, *, again: bool = False) -> None:
        (self.much_later if again else self.later).append(ref)

    def settle(self) -> None:
        """Take in every config change and decide."""
        for event in [
            e
            for e in self.store.history
            if e.revision > self._seen and e.key.startswith(self.keys.config)
        ]:
            loading.take_in(self.world, self.keys, event)
        self._seen = self.store.revision
        self._take_in_built()
        self.outputs.read()
        later, self.later = self.later, []
        self.world.touch(*later)
        self.reconciler.settle()

    def _take_in_built(self) -> None:
        """Take in what stacks were built from, as far as workers have recorded it."""
        for event in self.store.history:
            if event.revision > self._seen_built and event.key.startswith(self.keys.built):
                self.outputs.note(event)
        self._seen_built = self.store.revision

    def quiet(self, *, complete: bool = True) -> None:
        """Settle and end jobs until nothing happens any more; where they succeed, failed deletions are tried again."""
        for _ in range(300):
            before = self.store.revision
            if complete:
                self.world.try_again(*self.much_later)
                self.much_later = []
            self.settle()
            if job := self.runnable():
                self.end(job[0], complete=complete)
            elif not self.later and self.store.revision == before and not self.world.dirty:
                assert not self.world.graph.jobs, (
                    f"never said to be ready: {list(self.world.graph.jobs)}"
                )
                return
        raise AssertionError(
            f"never quiet: jobs {list(self.world.graph.jobs)}, later {self.later}, dirty {list(self.world.dirty)}"
        )

    # The worker -------------------------------------------------------------------------------------

    def runnable(self) -> list[JobId]:
        """The jobs that were said to be ready."""
        return [job for job in self.ready if job in self.world.graph.jobs]

    def begin(self, job_id: JobId) -> None:
        """A worker takes a job and asks Heat, which then works on it; some jobs end at that."""
        steps.run_chain(self.worker, (steps.submit, steps.wait), self._run(job_id))
        tenant = self.world.graph.jobs[job_id].tenant
        self.world.apply(RunMoved(job_id, tenant, Run(Step.IN_HEAT, asked=True), 0))
        self._tell_if_done(job_id)

    def end(self, job_id: JobId, *, complete: bool) -> None:
        """Carry a job out to its end, and tell the bridge."""
        job = self.world.graph.jobs[job_id]
        name, tenant = job.ref.stack_name, job.tenant
        for attempt in range(8):
            steps.run_chain(self.worker, (steps.submit, steps.wait), self._run(job_id))
            if (tenant, name) in {(owner, stack.name) for owner, stack in self.heat.working()}:
                # A stack that is in the way must go some time: then its deletion succeeds in the end.
                self.heat.finish(
                    name,
                    "COMPLETE" if complete or attempt > 4 else "FAILED",
                    [{**OUTPUTS[0], "output_value": self.gives.get(name, "cloud")}],
                    tenant=tenant,
                )
            steps.record(self.worker, self._run(job_id))
            if self._tell_if_done(job_id):
                return
        raise AssertionError(f"{job_id} does not end")

    def _run(self, job_id: JobId) -> RunId:
        return run_id(self.world.graph.jobs[job_id].tenant, job_id)

    def _tell_if_done(self, job_id: JobId) -> bool:
        job = self.world.graph.jobs[job_id]
        kv = self.store.get(self.keys.run(job.tenant, job_id))
        if kv is None or (run := Run.from_json(kv.value)).step is not Step.DONE:
            return False
        self.ready.pop(job_id, None)
        self._take_in_built()
        self.outcomes.ended(job_id, job.tenant, run, kv.revision)
        self.outputs.built(job.ref)
        assert self._leadership.commit(effects.remove_runs([(kv.key, kv.revision)]))
        return True

    # What must hold ---------------------------------------------------------------------------------

    def check_jobs(self) -> None:
        """Of every job record made since the last check, and of all there are."""
        for event in self.store.history:
            if (
                event.revision > self._checked
                and event.key.startswith(self.keys.jobs)
                and event.value is not None
            ):
                self._check_dependency(Job.from_json(event.value), event.revision)
        self._checked = self.store.revision
        jobs = self.jobs_at(0)
        list(
            TopologicalSorter(
                {job.id: self._waits_for(job) & jobs.keys() for job in jobs.values()}
            ).static_order()
        )
        self._check_each_builds_something_else(jobs.values())

    @staticmethod
    def _check_each_builds_something_else(jobs: Iterable[Job]) -> None:
        """Of the unfinished jobs on a resource, in the order of their making, each builds something else than the one
        before. A version may have two: of another content, or with a deletion between, when its id was made anew."""
        last: dict[Ref, Job] = {}
        for job in jobs:
            before = last.get(job.ref)
            if before is not None and Action.DELETE not in (before.action, job.action):
                asked, asks = ((j.version, j.body) for j in (before, job))
                assert asked != asks, f"two unfinished jobs for one version: {before.id}, {job.id}"
            last[job.ref] = job

    def _check_dependency(self, job: Job, revision: int) -> None:
        """CONTRACT section 5, word for word. Jobs superseded by this one are finished by its transaction,
        and it cannot wait for those that waited for them."""
        before, after = self.jobs_at(revision - 1), self.jobs_at(revision)
        self._replaced |= dict.fromkeys(before.keys() - after.keys(), job.id)
        behind = {job.id}
        while (
            more := {other.id for other in before.values() if behind & self._waits_for(other)}
            - behind
        ):
            behind |= more
        expected = {
            other.id
            for other in after.values()
            if other.ref == job.ref
            or other.ref in job.references()
            or job.ref in other.references()
        }
        assert set(job.dependency) >= expected - behind, job.id
        assert len(job.dependency) == len(set(job.dependency))
        for addition in set(job.dependency) - expected:
            # The one addition: a deletion waits for who stands on the resource by a version between.
            assert job.action is Action.DELETE, job.id
            assert job.ref in self._stands_on(after[addition].ref, revision), (job.id, addition)

    def _stands_on(self, ref: Ref, revision: int) -> frozenset[Ref]:
        handled = {
            self.keys.ref(self.keys.handled, kv.key): kv.value
            for kv in self.store.list(self.keys.handled, revision=revision)[1]
        }
        record = Handled.from_json(handled[ref])
        return record.refs() | record.stands_on

    def _waits_for(self, job: Job) -> set[JobId]:
        """Its dependencies, or what stands in for them."""
        found = set()
        for dependency in job.dependency:
            while dependency in self._replaced:
                dependency = self._replaced[dependency]
            found.add(dependency)
        return found

    def check_reports(self) -> None:
        """When quiet: what is wanted is held back visibly, or was reported at its newest version."""
        held = self.held()
        for kv in self.store.list(self.keys.config)[1]:
            ref = self.keys.ref(self.keys.config, kv.key)
            assert ref is not None
            state = self.store.get(self.keys.below(self.keys.state, ref))
            if ref in held:
                assert held[ref].version >= json.loads(kv.value)["version"], ref
                continue
            assert state is not None, f"{ref} was never reported"
            assert json.loads(state.value)["version"] >= json.loads(kv.value)["version"], ref
            assert state.revision > kv.created, (
                f"the report of {ref} is about an earlier incarnation"
            )

    def check_states_never_outrun_configs(self) -> None:
        """No state above the config's newest version, none written while there is no config."""
        newest: dict[Ref, int] = {}
        for event in self.store.history:
            if (ref := self.keys.ref(self.keys.config, event.key)) and event.key.startswith(
                self.keys.config
            ):
                version = json.loads(event.value)["version"] if event.value is not None else None
                newest = (
                    {**newest, ref: max(version, newest.get(ref, 0))}
                    if version
                    else {r: v for r, v in newest.items() if r != ref}
                )
            elif event.key.startswith(self.keys.state) and event.value is not None:
                owner = self.keys.ref(self.keys.state, event.key)
                assert owner in newest, f"a state of {owner}, which has no config"
                assert json.loads(event.value)["version"] <= newest[owner], event

    def state(self, ref: Ref) -> Any:
        found = self.store.get(self.keys.below(self.keys.state, ref))
        return json.loads(found.value) if found else None

    def left(self) -> list[str]:
        """Every key but the configs and the leader's."""
        return [
            kv.key
            for kv in self.store.list("/")[1]
            if not kv.key.startswith(self.keys.config) and kv.key != self.keys.leader
        ]

    def jobs_at(self, revision: int) -> dict[JobId, Job]:
        """The job records as of a revision (0: now), in the order of their making."""
        listed = sorted(
            self.store.list(self.keys.jobs, revision=revision)[1], key=lambda kv: kv.created
        )
        return {self.keys.job_id(kv.key): Job.from_json(kv.value) for kv in listed}

    def check_stacks(self) -> None:
        """When quiet: Heat has no stack that no config asks for, and none in a tenant where it does not belong."""
        wanted: dict[str, Any] = {}
        undeletable: set[str] = set()
        for kv in self.store.list(self.keys.config)[1]:
            ref = self.keys.ref(self.keys.config, kv.key)
            assert ref is not None
            wanted[ref.stack_name] = json.loads(json.loads(kv.value)["body"])["tenant_id"]
            if (state := self.state(ref)) and state["state"]["worker_state"] == "DELETE_FAILED":
                undeletable.add(ref.stack_name)  # It was reported that it is left, wherever it is.
        for tenant in TENANTS:
            for name in self.heat.stacks(tenant).keys() - undeletable:
                assert wanted.get(name) == tenant, (
                    f"{name} is left in {tenant}, wanted in {wanted.get(name)}"
                )

    def held(self) -> dict[Ref, Held]:
        listed = self.store.list(self.keys.held)[1]
        return {
            ref: Held.from_json(kv.value)
            for kv in listed
            if (ref := self.keys.ref(self.keys.held, kv.key))
        }

    def values(self) -> dict[str, bytes]:
        """Every key with its value, but for what is said of those that are held back."""
        return {
            kv.key: kv.value
            for kv in self.store.list("/")[1]
            if not kv.key.startswith(self.keys.held)
        }
