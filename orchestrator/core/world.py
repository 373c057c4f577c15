"""What the bridge knows: everything that decisions are made from, kept in memory with its indexes.

A :class:`World` only remembers; :mod:`.planning` decides. It takes in :mod:`.facts`, first those of
one listing of etcd and then those of the watch, and the effects of our own decisions.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from ..errors import MappingError
from .facts import (
    ConfigRemoved,
    ConfigUnreadable,
    ConfigWritten,
    Fact,
    FailedFound,
    HandledFound,
    HeldFound,
    RunMoved,
    RunRemoved,
    StackFound,
    StateFound,
    TemplateChanged,
)
from .graph import JobGraph
from .jobs import Action, Job, job_action
from .mapping.bounds import Budget
from .mapping.evaluate import Missing, Scope
from .properties import NO_PROPERTIES, Properties
from .records import Failed, Handled, Held, Step
from .refs import JobId, Json, Ref
from .removals import Removals
from .resources import UNVERSIONED, Body, Wanted, parsed
from .schemas import ResourceType, Schemas
from .templates import TEMPLATE_TYPE, BadTemplate, Template

_Index: TypeAlias = defaultdict[Ref, dict[Ref, None]]
_NO_TEMPLATES: Mapping[str, Template] = {}
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
    """What is known of the run of a job: its step and revision, whether Heat may have taken a
    request of it, how many workers in a row have died over it, Heat's own id of its stack, and why
    it is tried again (a :class:`Cause`).
    """

    step: Step
    revision: int
    asked: bool
    deaths: int = 0
    stack: str = ""
    cause: str = ""


class World:
    """Everything the leader knows. Others read it; only its own methods change it."""

    def __init__(
        self,
        schemas: Schemas,
        *,
        catalogue: Mapping[str, Template] = _NO_TEMPLATES,
        wanted: Mapping[Ref, Wanted] | None = None,
        templates: Mapping[str, Template | BadTemplate] | None = None,
    ) -> None:
        """
        :param catalogue: the templates that are in force where etcd has none.
        :param wanted: configs that are there already.
        :param templates: the templates in force; default: the catalogue's.
        """
        self.schemas = schemas
        self._catalogue = catalogue
        self.graph = JobGraph()
        """The unfinished jobs."""
        self.removals = Removals()
        """The configs that were removed without a mark, and whose stacks are still there."""

        self._wanted = dict(wanted or {})
        self._templates = dict(catalogue if templates is None else templates)
        self._stacks: dict[Ref, Stack] = {}
        self._known_stacks: dict[Stack, Stack] = {}
        self._reported: dict[Ref, Reported] = {}
        self._handled: dict[Ref, Handled] = {}
        self._held: dict[Ref, Held] = {}
        self._failed: dict[Ref, Failed] = {}
        self._runs: dict[JobId, Seen] = {}
        self._fresh: set[JobId] = set()
        """Jobs that this leader has made and that no worker has taken. Of others without a run
        nothing is certain: a worker may have died over them under the leader before."""
        self._unreadable: set[Ref] = set()
        self._unsettled: set[Ref] = set()
        self._again: set[Ref] = set()
        self._forced: set[Ref] = set()
        # The first one of a plain dict is found only past the gaps of all that were removed before
        # it: emptying a hundred thousand from the front takes seconds.
        self._dirty: OrderedDict[Ref, None] = OrderedDict()

        self._referrers: _Index = defaultdict(dict)
        self._failed_because_of: _Index = defaultdict(dict)
        self._waiting: _Index = defaultdict(dict)

        # The same containers as others see them.
        self.wanted: Mapping[Ref, Wanted] = self._wanted
        """The configs that can be used."""
        self.templates: Mapping[str, Template | BadTemplate] = self._templates
        """The templates in force."""
        self.stacks: Mapping[Ref, Stack] = self._stacks
        """What the stack records say."""
        self.reported: Mapping[Ref, Reported] = self._reported
        """What the state records say."""
        self.handled: Mapping[Ref, Handled] = self._handled
        """The configs that were last turned into jobs."""
        self.held: Mapping[Ref, Held] = self._held
        """The configs that wait for something."""
        self.failed: Mapping[Ref, Failed] = self._failed
        """The versions that failed."""
        self.runs: Mapping[JobId, Seen] = self._runs
        """The runs of jobs that a worker has taken."""
        self.unreadable: Set[Ref] = self._unreadable
        """Resources whose config is there and has never been readable: neither wanted nor gone."""
        self.unsettled: Set[Ref] = self._unsettled
        """Resources whose last decision could not be written, because their config had changed."""
        self.again: Set[Ref] = self._again
        """Resources whose version is to be tried once more though it was handled."""
        self.forced: Set[Ref] = self._forced
        """Those of them whose stack in Heat is to be taken as it is: an operator decided so."""
        self.dirty: Mapping[Ref, None] = self._dirty
        """Resources to be decided, in order of arrival."""

    # Taking facts in ------------------------------------------------------------------------------

    def apply(self, fact: Fact, now: float = 0.0) -> tuple[Ref, ...]:
        """Take a fact in, and mark what is to be decided because of it.

        :param now: seconds by a clock that only goes forward.
        :returns: the resources that are to be decided.
        """
        touched: tuple[Ref, ...] = _APPLIERS[type(fact)](self, fact, now)
        self.touch(*touched)
        return touched

    def _template_changed(
        self, fact: TemplateChanged, _: float
    ) -> tuple[Ref, ...]:
        template = fact.template or self._catalogue.get(fact.id)
        if template is None:
            self._templates.pop(fact.id, None)
        else:
            self._templates[fact.id] = template
        return tuple(self.waiting_for(Ref(TEMPLATE_TYPE, fact.id)))

    def _config_written(self, fact: ConfigWritten, _: float) -> tuple[Ref, ...]:
        wanted, known = fact.wanted, self._wanted.get(fact.wanted.ref)
        self._unreadable.discard(wanted.ref)
        if (
            known is not None
            and _went_backwards(wanted, known)
            and not self.is_stale(wanted)
        ):
            # The newer version is not dealt with yet, and stays.
            # What we write has to name the last write.
            wanted = replace(known, revision=wanted.revision)
        self._wanted[wanted.ref] = wanted
        return (wanted.ref,)

    def _config_unreadable(
        self, fact: ConfigUnreadable, _: float
    ) -> tuple[Ref, ...]:
        """What was wanted before stays wanted.
        What we write has to name the last write, or it would be refused for ever."""
        if fact.ref is None:
            return ()
        if (known := self._wanted.get(fact.ref)) is None:
            self._unreadable.add(fact.ref)
            return ()
        self._wanted[fact.ref] = replace(known, revision=fact.revision)
        return (fact.ref,)

    def _config_removed(
        self, fact: ConfigRemoved, now: float
    ) -> tuple[Ref, ...]:
        ref = fact.ref
        before = self._wanted.pop(ref, None)
        self._unreadable.discard(ref)
        if before is None or not before.marked_for_deletion:
            self.note_removal(ref, fact.revision, now)
        if ref in self._failed:
            # Removing the config asks for the deletion anew, if that failed.
            self._again.add(ref)
        return (ref,)

    def _handled_found(self, fact: HandledFound, _: float) -> tuple[Ref, ...]:
        self.set_handled(
            fact.ref, _sharing_body(fact.handled, self._wanted.get(fact.ref))
        )
        return ()

    def _held_found(self, fact: HeldFound, _: float) -> tuple[Ref, ...]:
        self.set_held(fact.ref, fact.held)
        return ()

    def _failed_found(self, fact: FailedFound, _: float) -> tuple[Ref, ...]:
        self.set_failed(fact.ref, fact.failed)
        return ()

    def _stack_found(self, fact: StackFound, _: float) -> tuple[Ref, ...]:
        stack = fact.stack
        self.note_stack(
            fact.ref, Stack(stack.status, stack.tenant, stack.monitored)
        )
        return ()

    def _state_found(self, fact: StateFound, _: float) -> tuple[Ref, ...]:
        self.note_report(fact.ref, fact.state.version, fact.revision)
        return ()

    def _run_moved(self, fact: RunMoved, _: float) -> tuple[Ref, ...]:
        run = fact.run
        self._fresh.discard(fact.job)
        self._runs[fact.job] = Seen(
            run.step, fact.revision, run.asked, run.deaths, run.stack, run.cause
        )
        return ()

    def _run_removed(self, fact: RunRemoved, _: float) -> tuple[Ref, ...]:
        self._runs.pop(fact.job, None)
        return ()

    # Answers --------------------------------------------------------------------------------------

    def failed_because_of(self, root: Ref) -> list[Ref]:
        """Resources that failed because *root* did, or through it."""
        return [
            ref for ref in self._failed_because_of.get(root, ()) if ref != root
        ]

    def is_live(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, by our records."""
        stack = self.stacks.get(ref)
        return stack is not None and stack.live

    def may_have_stack(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, or may have one that no record tells of: a job
        that was sent and came to nothing that we know of may have reached Heat.
        Only a deletion that ended says that it has none.
        """
        jobs = self.graph.on(ref)
        if self.is_live(ref) or any(map(self._has_reached_heat, jobs)):
            return True
        handled, stack = self._handled.get(ref), self.stacks.get(ref)
        if handled is None or not handled.sent:
            return False
        if jobs:
            # Of what is under way nothing has reached Heat: it is as it was before.
            return handled.uncertain
        return stack is None or job_action(handled.sent) is not Action.DELETE

    def _has_reached_heat(self, job: Job) -> bool:
        """Whether Heat may have taken a request of an unfinished job, for all that we know."""
        run = self.runs.get(job.id)
        if run is None:
            return job.id not in self._fresh
        return run.asked or run.step is not Step.RETRY

    def will_have_stack(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, may have one, or will get one by a job that
        keeps its place, because others wait for it."""
        return self.may_have_stack(ref) or any(
            map(self._is_waited_for, self.graph.on(ref))
        )

    def may_be_dropped(self, job: Job) -> bool:
        """Whether Heat knows nothing of an unfinished job that builds, and nobody needs it."""
        if job.action is Action.DELETE:
            return False
        return not self._has_reached_heat(job) and not self._is_waited_for(job)

    def home(self, ref: Ref) -> str | None:
        """The tenant in which the resource's stack is, or will be when its jobs are over; None when
        there is none.

        A deletion under way is the end of a stay: after it, the resource may be built anywhere.
        """
        if self.deleting(ref) or not self.will_have_stack(ref):
            return None
        if jobs := self.graph.on(ref):
            return jobs[-1].tenant
        if (
            (stack := self.stacks.get(ref)) is not None
            and stack.live
            and stack.tenant
        ):
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
        """Another resource that has the stack name of this one in the same tenant (``a_b`` with id
        ``c``, ``a`` with ``b_c``)."""
        for other in self.schemas.namesakes(ref):
            if self.may_have_stack(other) and self.home(other) in (
                tenant,
                None,
            ):
                return other
        return None

    def is_stale(self, wanted: Wanted) -> bool:
        """Whether a version of the same incarnation has been seen that is higher than the one that
        is there."""
        handled, held = (
            self._handled.get(wanted.ref),
            self._held.get(wanted.ref),
        )
        if wanted.version == UNVERSIONED or handled is None:
            return False
        seen = [(handled.incarnation, handled.version)]
        if held is not None:
            seen.append((held.incarnation, held.version))
        return any(
            incarnation == wanted.incarnation and version > wanted.version
            for incarnation, version in seen
        )

    def referrers(self, ref: Ref) -> list[Ref]:
        """Resources whose stacks were or will be built from this one, as far as they still exist or
        are being built."""
        users = self._referrers.get(ref, ())
        return [
            other
            for other in users
            if other != ref and (self.is_live(other) or self.graph.on(other))
        ]

    def waiting_for(self, ref: Ref) -> list[Ref]:
        """Resources held back by this one."""
        return list(self._waiting.get(ref, ()))

    def knows(self, ref: Ref) -> bool:
        """Whether anything is stored about a resource besides its config."""
        return any(
            ref in known
            for known in (
                self._handled,
                self.stacks,
                self.reported,
                self._held,
                self.failed,
            )
        )

    def scope(self, wanted: Wanted, kind: ResourceType) -> Scope:
        """What the mappings of a resource see."""
        budget = Budget()
        lookup = partial(self._lookup, budget)
        return Scope(
            wanted.ref,
            wanted.version,
            parsed(wanted.body),
            lookup,
            kind.properties,
            self._properties,
            budget,
        )

    def _lookup(self, budget: Budget, ref: Ref) -> Mapping[str, Json] | None:
        """The body of another resource.
        It may have to be read from its text, which counts as steps."""
        kind = self.schemas.get(ref.type)
        if kind is None:
            raise Missing(
                ref
                # Also with ignore_missing: a list that lacks a type says nothing about its
                # resources.
            )
        if not kind.is_resource:
            raise MappingError(
                f"a mapping leads to type {ref.type!r}, of which the API server writes"
                " no configs to etcd"
            )
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

    # What our own decisions change ----------------------------------------------------------------

    def touch(self, *refs: Ref) -> None:
        """These are to be decided."""
        for ref in refs:
            self._dirty[ref] = None

    def decided(self, ref: Ref) -> None:
        """The resource is decided, until something touches it again."""
        self._dirty.pop(ref, None)

    def note_written(self, ref: Ref, *, written: bool) -> None:
        """Whether the last decision about a resource could be written."""
        if written:
            self._unsettled.discard(ref)
        else:
            self._unsettled.add(ref)

    def try_again(self, *refs: Ref, force: bool = False) -> None:
        """The versions of these are to be tried once more though they were handled.

        :param force: their stacks in Heat are to be taken as they are.
        """
        self._again.update(refs)
        if force:
            self._forced.update(refs)
        self.touch(*refs)

    def is_dealt_with(self, ref: Ref) -> None:
        """The version is handled: nobody asks for another try any more, and it is not held."""
        self._again.discard(ref)
        self._forced.discard(ref)
        self.set_held(ref, None)

    def note_report(self, ref: Ref, version: int, revision: int) -> None:
        """A state record was written.

        :param revision: the record's.
        """
        self._reported[ref] = Reported(version, revision)

    def note_stack(self, ref: Ref, stack: Stack) -> None:
        """What the stack record says now. Equal values are kept once: there are few of them."""
        self._stacks[ref] = self._known_stacks.setdefault(stack, stack)

    def started(
        self, job: Job, handled: Handled, superseded: Iterable[Job]
    ) -> None:
        """A job was made, in the place of those that it supersedes."""
        self.graph.add(job)
        self._fresh.add(job.id)
        for old in superseded:
            self.graph.replace(old.id, job.id)
        self.set_handled(job.ref, handled)
        self.removals.done(job.ref)

    def is_over(self, job: Job) -> None:
        """A job ended without a worker."""
        self._fresh.discard(job.id)

    def note_removal(self, ref: Ref, revision: int, now: float) -> None:
        """The config of a resource was removed without a mark: its stack, if it may have one, is to
        be deleted.

        :param revision: that of the removal; 0 when it happened while nobody led.
        :param now: seconds by a clock that only goes forward.
        """
        if (
            self.may_have_stack(ref) or self.graph.on(ref)
        ) and not self.deleting(ref):
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
        """The newest version of the resource is built: its stack stands on nothing else any
        more."""
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
        self._stacks.pop(ref, None)
        self._reported.pop(ref, None)
        self._again.discard(ref)
        self._forced.discard(ref)
        self._unsettled.discard(ref)
        self.removals.done(ref)

    def deleting(self, ref: Ref) -> bool:
        """Whether the last that is under way on the resource is its deletion."""
        jobs = self.graph.on(ref)
        return bool(jobs) and jobs[-1].action is Action.DELETE


def _went_backwards(wanted: Wanted, known: Wanted) -> bool:
    """Whether a version is lower than the one that is there, of the same incarnation."""
    if known.incarnation != wanted.incarnation:
        return False
    return UNVERSIONED < wanted.version < known.version


def _sharing_body(handled: Handled, wanted: Wanted | None) -> Handled:
    """The same with the body of the config that is there, where it is the same: one copy in
    memory."""
    if wanted is None or not handled.job or not handled.digest:
        return handled
    if handled.incarnation != wanted.incarnation or not handled.holds(wanted):
        return handled
    return replace(handled, body=wanted.body)


_APPLIERS: Mapping[type[Fact], Callable[..., tuple[Ref, ...]]] = {
    TemplateChanged: World._template_changed,
    ConfigWritten: World._config_written,
    ConfigUnreadable: World._config_unreadable,
    ConfigRemoved: World._config_removed,
    HandledFound: World._handled_found,
    HeldFound: World._held_found,
    FailedFound: World._failed_found,
    StackFound: World._stack_found,
    StateFound: World._state_found,
    RunMoved: World._run_moved,
    RunRemoved: World._run_removed,
}
