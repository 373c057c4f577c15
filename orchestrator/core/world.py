"""What the bridge knows: everything that decisions are made from, kept in memory with its indexes.

A :class:`World` only remembers; :mod:`.planning` decides. It is filled from one listing of etcd and
then kept up to date by events and by the effects of our own decisions.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from ..errors import MappingError
from .jobs import Action, Job, job_action
from .mapping.bounds import Budget
from .mapping.evaluate import Missing, Scope
from .properties import NO_PROPERTIES, Properties
from .records import Failed, Handled, Held, Step
from .refs import JobId, Json, Ref
from .removals import Removals
from .resources import UNVERSIONED, Body, Wanted, parsed
from .schemas import ResourceType, Schemas
from .templates import BadTemplate, Template

_CHARACTERS_PER_STEP = 128
"""Characters of a body that are read in the time of a step of a mapping (measured)."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What the stack record of a resource says, as far as decisions need it."""

    status: str
    tenant: str
    monitored: bool = False

    @property
    def live(self) -> bool:
        """Whether Heat has a stack."""
        return self.status != "DELETE_COMPLETE"


@dataclass(frozen=True, slots=True)
class Reported:
    """The version of the last state record, and the etcd revision of that record."""

    version: int
    revision: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the run of a job: its step and revision, whether Heat may have taken a request of it, and how many
    workers in a row have died over it."""

    step: Step
    revision: int
    asked: bool
    deaths: int = 0


class JobGraph:
    """The unfinished jobs and who waits for whom."""

    def __init__(self) -> None:
        self.jobs: dict[JobId, Job] = {}
        self._on: defaultdict[Ref, dict[JobId, None]] = defaultdict(dict)
        self._about: defaultdict[Ref, dict[JobId, None]] = defaultdict(dict)
        self._waits_for: dict[JobId, set[JobId]] = {}
        self._dependents: defaultdict[JobId, dict[JobId, None]] = defaultdict(dict)

    def add(self, job: Job, unfinished: Iterable[JobId] | None = None) -> None:
        """Remember an unfinished job.

        :param unfinished: those of its dependencies that still count; default: those known here.
        """
        self.jobs[job.id] = job
        self._on[job.ref][job.id] = None
        for ref in job.references():
            self._about[ref][job.id] = None
        waits = {d for d in job.dependency if d in self.jobs} if unfinished is None else set(unfinished)
        self._waits_for[job.id] = waits
        for dependency in waits:
            self._dependents[dependency][job.id] = None

    def replace(self, old: JobId, new: JobId) -> None:
        """*new* stands in for *old*, which is superseded: whatever waited for *old* waits for *new*."""
        dependents = self._dependents.pop(old, {})
        for dependent in dependents:
            self._waits_for[dependent].discard(old)
            self._waits_for[dependent].add(new)
            self._dependents[new][dependent] = None
        for _ in self.remove(old):
            raise AssertionError("its dependents were moved to the new job")

    def overtake(self, old: JobId, new: JobId) -> None:
        """*new*, which waited for *old*, goes ahead in its place: whatever else waited for *old* waits for *new*."""
        self._waits_for[new].discard(old)
        self._dependents[old].pop(new, None)
        self.replace(old, new)

    def behind(self, job_ids: Iterable[JobId]) -> set[JobId]:
        """Every job that waits for one of these, directly or not."""
        found: set[JobId] = set()
        queue = list(job_ids)
        while queue:
            fresh = self._dependents.get(queue.pop(), {}).keys() - found
            found |= fresh
            queue += fresh
        return found

    def remove(self, job_id: JobId) -> Iterator[Job]:
        """Forget a job that is over; yields the jobs that waited for it, in the order of their making."""
        job = self.jobs.pop(job_id, None)
        if job is not None:
            self._drop(self._on, job.ref, job_id)
            for ref in job.references():
                self._drop(self._about, ref, job_id)
            for dependency in self._waits_for.pop(job_id, ()):
                self._dependents[dependency].pop(job_id, None)
        for dependent in self._dependents.pop(job_id, ()):
            self._waits_for[dependent].discard(job_id)
            yield self.jobs[dependent]

    @staticmethod
    def _drop(index: defaultdict[Ref, dict[JobId, None]], ref: Ref, job_id: JobId) -> None:
        index[ref].pop(job_id, None)
        if not index[ref]:
            del index[ref]

    def on(self, ref: Ref) -> list[Job]:
        """The unfinished jobs on a resource."""
        return [self.jobs[j] for j in self._on.get(ref, ())]

    def about(self, ref: Ref) -> list[Job]:
        """The unfinished jobs whose params refer to a resource."""
        return [self.jobs[j] for j in self._about.get(ref, ())]

    def waits_for(self, job_id: JobId) -> frozenset[JobId]:
        """The unfinished jobs that have to end before this one starts."""
        return frozenset(self._waits_for.get(job_id, ()))

    def dependency_of(self, ref: Ref, references: Iterable[Ref]) -> tuple[JobId, ...]:
        """CONTRACT section 5: every unfinished job on this resource, on one that its params refer to,
        or whose own params refer to it."""
        found: dict[JobId, None] = dict(self._on.get(ref, ()))
        for other in references:
            found |= self._on.get(other, {})
        found |= self._about.get(ref, {})
        return tuple(found)


@dataclass(slots=True)
class World:
    """Everything the leader knows."""

    schemas: Schemas
    wanted: dict[Ref, Wanted] = field(default_factory=dict)
    templates: dict[str, Template | BadTemplate] = field(default_factory=dict)
    stacks: dict[Ref, Stack] = field(default_factory=dict)
    reported: dict[Ref, Reported] = field(default_factory=dict)
    graph: JobGraph = field(default_factory=JobGraph)
    dirty: OrderedDict[Ref, None] = field(default_factory=OrderedDict)
    """Resources to be decided, in order of arrival. The first one of a plain dict is found only past the
    gaps of all that were removed before it: emptying a hundred thousand from the front takes seconds."""
    runs: dict[JobId, Seen] = field(default_factory=dict)
    """The runs of jobs that a worker has taken."""
    fresh: set[JobId] = field(default_factory=set)
    """Jobs that this leader has made and that no worker has taken. Of others without a run nothing is certain: a worker
    may have died over them under the leader before."""
    unreadable: set[Ref] = field(default_factory=set)
    """Resources whose config is there and has never been readable: neither wanted nor gone."""
    unsettled: set[Ref] = field(default_factory=set)
    """Resources whose last decision could not be written, because their config had changed meanwhile."""
    again: set[Ref] = field(default_factory=set)
    """Resources whose version is to be tried once more though it was handled."""
    forced: set[Ref] = field(default_factory=set)
    """Those of them whose stack in Heat is to be taken as it is: a person has decided so."""
    removals: Removals = field(default_factory=Removals)
    """The configs that were removed without a mark, and whose stacks are still there."""
    _handled: dict[Ref, Handled] = field(default_factory=dict)
    _referrers: defaultdict[Ref, dict[Ref, None]] = field(default_factory=lambda: defaultdict(dict))
    _held: dict[Ref, Held] = field(default_factory=dict)
    _failed: dict[Ref, Failed] = field(default_factory=dict)
    _failed_because_of: defaultdict[Ref, dict[Ref, None]] = field(default_factory=lambda: defaultdict(dict))
    _waiting: defaultdict[Ref, dict[Ref, None]] = field(default_factory=lambda: defaultdict(dict))

    # Facts ------------------------------------------------------------------------------------------

    @property
    def handled(self) -> Mapping[Ref, Handled]:
        return self._handled

    @property
    def held(self) -> Mapping[Ref, Held]:
        return self._held

    @property
    def failed(self) -> Mapping[Ref, Failed]:
        return self._failed

    def failed_because_of(self, root: Ref) -> list[Ref]:
        """Resources that failed because *root* did, or through it."""
        return [ref for ref in self._failed_because_of.get(root, ()) if ref != root]

    def is_live(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, by our records."""
        stack = self.stacks.get(ref)
        return stack is not None and stack.live

    def may_have_stack(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, or may have one that no record tells of: a job that was sent and
        came to nothing that we know of may have reached Heat. Only a deletion that ended says that it has none."""
        jobs = self.graph.on(ref)
        if self.is_live(ref) or any(map(self._has_reached_heat, jobs)):
            return True
        handled, stack = self._handled.get(ref), self.stacks.get(ref)
        if handled is None or not handled.sent:
            return False
        if jobs:
            return handled.uncertain  # Of what is under way nothing has reached Heat: it is as it was before.
        return stack is None or job_action(handled.sent) is not Action.DELETE

    def _has_reached_heat(self, job: Job) -> bool:
        """Whether Heat may have taken a request of an unfinished job, for all that we know."""
        run = self.runs.get(job.id)
        if run is None:
            return job.id not in self.fresh
        return run.asked or run.step is not Step.RETRY

    def home(self, ref: Ref) -> str | None:
        """The tenant in which the resource's stack is, or will be when its jobs are over; None when there is none.

        A deletion under way is the end of a stay: after it, the resource may be built anywhere.
        """
        jobs = self.graph.on(ref)
        if self.deleting(ref) or not (self.may_have_stack(ref) or any(map(self._is_waited_for, jobs))):
            return None
        if jobs:
            return jobs[-1].tenant
        if (stack := self.stacks.get(ref)) is not None and stack.live and stack.tenant:
            return stack.tenant
        handled = self._handled.get(ref)
        return handled.tenant if handled else None

    def _is_waited_for(self, job: Job) -> bool:
        """Whether others wait for an unfinished job, so that it keeps its place."""
        return bool(self.graph.behind([job.id])) and not self.is_stuck(job)

    def is_stuck(self, job: Job) -> bool:
        """Whether a job could not be put to Heat, and waits for its next try."""
        run = self.runs.get(job.id)
        return run is not None and run.step is Step.RETRY

    def namesake(self, ref: Ref, tenant: str) -> Ref | None:
        """Another resource that has the stack name of this one in the same tenant (``a_b`` with id ``c``, ``a`` with ``b_c``)."""
        for other in self.schemas.namesakes(ref):
            if self.may_have_stack(other) and self.home(other) in (tenant, None):
                return other
        return None

    def is_stale(self, wanted: Wanted) -> bool:
        """Whether a version of the same incarnation has been seen that is higher than the one that is there."""
        handled, held = self._handled.get(wanted.ref), self._held.get(wanted.ref)
        if wanted.version == UNVERSIONED or handled is None:
            return False
        seen = [(handled.incarnation, handled.version)]
        if held is not None:
            seen.append((held.incarnation, held.version))
        return any(incarnation == wanted.incarnation and version > wanted.version for incarnation, version in seen)

    def referrers(self, ref: Ref) -> list[Ref]:
        """Resources whose stacks were or will be built from this one, as far as they still exist or are being built."""
        users = self._referrers.get(ref, ())
        return [other for other in users if other != ref and (self.is_live(other) or self.graph.on(other))]

    def waiting_for(self, ref: Ref) -> list[Ref]:
        """Resources held back by this one."""
        return list(self._waiting.get(ref, ()))

    def knows(self, ref: Ref) -> bool:
        """Whether anything is stored about a resource besides its config."""
        return any(ref in known for known in (self._handled, self.stacks, self.reported, self._held, self.failed))

    def scope(self, wanted: Wanted, kind: ResourceType) -> Scope:
        """What the mappings of a resource see."""
        budget = Budget()
        lookup = partial(self._lookup, budget)
        return Scope(wanted.ref, wanted.version, parsed(wanted.body), lookup, kind.properties, self._properties, budget)

    def _lookup(self, budget: Budget, ref: Ref) -> Mapping[str, Json] | None:
        """The body of another resource. It may have to be read from its text, which counts as steps."""
        kind = self.schemas.get(ref.type)
        if kind is None:
            raise Missing(ref)  # Also with ignore_missing: a list that lacks a type says nothing about its resources.
        if not kind.is_resource:
            raise MappingError(f"a mapping leads to type {ref.type!r}, of which the API server writes no configs to etcd")
        wanted = self.wanted.get(ref)
        if wanted is None:
            return None
        # Of a version that went backwards nothing is built, so others read what was built last.
        body = self._handled[ref].body if self.is_stale(wanted) else wanted.body
        if isinstance(body, Body):
            budget.take(body.size // _CHARACTERS_PER_STEP)
        return parsed(body)

    def _properties(self, kind: str) -> Properties:
        known = self.schemas.get(kind)
        return known.properties if known else NO_PROPERTIES

    # Changes ----------------------------------------------------------------------------------------

    def touch(self, *refs: Ref) -> None:
        """These are to be decided."""
        for ref in refs:
            self.dirty[ref] = None

    def note_removal(self, ref: Ref, revision: int, now: float) -> None:
        """The config of a resource was removed without a mark: its stack, if it may have one, is to be deleted.

        :param revision: that of the removal; 0 when it happened while nobody led.
        :param now: seconds by a clock that only goes forward.
        """
        if (self.may_have_stack(ref) or self.graph.on(ref)) and not self.deleting(ref):
            self.removals.note(ref, revision, now)

    @property
    def built(self) -> int:
        """How many stacks there are, by our records."""
        return sum(stack.live for stack in self.stacks.values())

    def set_handled(self, ref: Ref, handled: Handled | None) -> None:
        old = self._handled.pop(ref, None)
        for other in old.refs() | old.stands_on if old else ():
            self._referrers[other].pop(ref, None)
            if not self._referrers[other]:
                del self._referrers[other]
        if handled is not None:
            self._handled[ref] = handled
            for other in handled.refs() | handled.stands_on:
                self._referrers[other][ref] = None

    def completed(self, ref: Ref) -> None:
        """The newest version of the resource is built: its stack stands on nothing else any more."""
        handled = self._handled.get(ref)
        if handled is not None and handled.stands_on:
            self.set_handled(ref, replace(handled, stands_on=frozenset()))

    def set_held(self, ref: Ref, held: Held | None) -> None:
        old = self._held.pop(ref, None)
        if old is not None:
            self._waiting[old.waits_for].pop(ref, None)
            if not self._waiting[old.waits_for]:
                del self._waiting[old.waits_for]
        if held is not None:
            self._held[ref] = held
            self._waiting[held.waits_for][ref] = None

    def set_failed(self, ref: Ref, failed: Failed | None) -> None:
        old = self._failed.pop(ref, None)
        for cause in old.causes if old else ():
            self._failed_because_of[cause].pop(ref, None)
            if not self._failed_because_of[cause]:
                del self._failed_because_of[cause]
        if failed is not None:
            self._failed[ref] = failed
            for cause in failed.causes:
                self._failed_because_of[cause][ref] = None

    def forget(self, ref: Ref) -> None:
        """Everything about a resource that is gone."""
        self.set_handled(ref, None)
        self.set_held(ref, None)
        self.set_failed(ref, None)
        self.stacks.pop(ref, None)
        self.reported.pop(ref, None)
        self.again.discard(ref)
        self.forced.discard(ref)
        self.unsettled.discard(ref)
        self.removals.done(ref)

    def deleting(self, ref: Ref) -> bool:
        """Whether the last that is under way on the resource is its deletion."""
        jobs = self.graph.on(ref)
        return bool(jobs) and jobs[-1].action is Action.DELETE
