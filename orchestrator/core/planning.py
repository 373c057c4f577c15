"""From what is wanted and what is recorded to what to do: one decision for one resource.

Decisions are made by level, not by event: :func:`decide` looks at the whole of what is known about
a resource, so a repeated, late or lost event changes nothing. A decision is a value; the bridge
performs it in one etcd transaction (:mod:`.effects`) and decides anew when that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..errors import MappingError
from .jobs import Action, Job, Param, job_id, with_earlier_references
from .mapping.evaluate import Missing, evaluate, plain
from .masking import secrets, without
from .records import NO_JOB, Cause, Failed, Handled, Held, Step
from .refs import JobId, Json, Ref
from .resources import UNVERSIONED, Wanted, tenant_fault
from .schemas import ResourceType
from .templates import TEMPLATE_TYPE, BadTemplate, Template
from .world import World

SCHEMA_TYPE = "schema"
"""The same for an entry of the schema list: ``schema:port``."""
_OUTAGES = (Cause.UNAVAILABLE, Cause.BUSY)


@dataclass(frozen=True, slots=True)
class Nothing:
    """What is recorded is what is wanted, or is on its way."""

    reason: str


@dataclass(frozen=True, slots=True)
class First:
    """Others have to be decided before this one can be."""

    refs: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Postpone:
    """Another has to be decided first, and cannot be at the moment: ask again shortly."""

    other: Ref


@dataclass(frozen=True, slots=True)
class Report:
    """There is nothing to build: say so at once."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Start:
    """A job follows.
    *wanted* is the config as it is, None when it is gone.
    The new job stands in for the *superseded* ones, which no worker has taken yet.
    *first_of_two*: it deletes a stack of an earlier incarnation or tenant, and what the config asks
    for is decided next."""

    job: Job
    handled: Handled
    wanted: Wanted | None
    superseded: tuple[Job, ...] = ()
    retried: Mapping[JobId, int] = field(default_factory=dict)
    """Of the superseded ones that were to be sent again, the revisions of their runs."""
    first_of_two: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """This version cannot become a job; the state says why."""

    wanted: Wanted
    handled: Handled
    failed: Failed


@dataclass(frozen=True, slots=True)
class Hold:
    """Something else has to happen first. *patience*: a deletion, which will not wait for ever."""

    held: Held
    wanted: Wanted | None
    patience: bool = False


@dataclass(frozen=True, slots=True)
class Clean:
    """The config is gone and so is the stack: remove what is left of the resource.

    *jobs* are unfinished and have never reached Heat: they go too, with their runs at the revisions
    *retried*.
    """

    jobs: tuple[Job, ...] = ()
    retried: Mapping[JobId, int] = field(default_factory=dict)


Decision: TypeAlias = (
    Nothing | First | Postpone | Report | Start | Refuse | Hold | Clean
)


def decide(
    world: World,
    ref: Ref,
    suffix: Callable[[], str],
    path: Sequence[Ref] = (),
    *,
    patient: bool = True,
) -> Decision:
    """What follows for one resource.

    :param suffix: makes the random part of a job id.
    :param path: the resources whose decisions wait for this one, outermost first; closes cycles.
    :param patient: whether a deletion still waits for others that were built from this resource.
    """
    return _Planner(world, ref, suffix, tuple(path), patient).decide()


def refuse(world: World, ref: Ref, error: str) -> Refuse | Nothing:
    """The decision that the version of a resource cannot become a job, for a reason found later."""
    wanted = world.wanted.get(ref)
    return (
        _Planner(world, ref, str, (), True)._refuse(wanted, error, ref)
        if wanted
        else Nothing("gone")
    )


class _Refused(Exception):
    """Unwinds to :meth:`_Planner.decide` with the reason and the resource at the root of it."""

    def __init__(
        self, error: str, root: Ref, through: Ref | None = None
    ) -> None:
        super().__init__(error)
        self.root = root
        self.through = through


class _Waiting(Exception):
    """Unwinds to :meth:`_Planner.decide` with what has to happen first."""

    def __init__(self, held: Held, patience: bool = False) -> None:
        super().__init__(held.reason)
        self.held = held
        self.patience = patience


class _Postponed(Exception):
    """Unwinds to :meth:`_Planner.decide`: this one's last decision is not written yet."""

    def __init__(self, other: Ref) -> None:
        super().__init__(str(other))
        self.other = other


class _Others(Exception):
    """Unwinds to :meth:`_Planner.decide`: these have to be decided first."""

    def __init__(self, refs: Iterable[Ref]) -> None:
        super().__init__()
        self.refs = tuple(refs)


@dataclass(frozen=True, slots=True)
class _Planner:
    """One decision; the methods are the questions in the order in which they are asked."""

    world: World
    ref: Ref
    suffix: Callable[[], str]
    path: tuple[Ref, ...]
    patient: bool

    def decide(self) -> Decision:
        wanted = self.world.wanted.get(self.ref)
        if wanted is None and self.ref in self.world.unreadable:
            return Nothing(
                "its config cannot be read: somebody has to correct or remove it"
            )
        try:
            return self._gone() if wanted is None else self._wanted(wanted)
        except _Others as others:
            return First(others.refs)
        except _Postponed as postponed:
            return Postpone(postponed.other)
        except _Waiting as waiting:
            return Hold(waiting.held, wanted, waiting.patience)
        except _Refused as refused:
            assert wanted is not None, "without a config nothing is evaluated"
            return self._refuse(
                wanted, str(refused), refused.root, refused.through
            )

    # The config is there --------------------------------------------------------------------------

    def _wanted(self, wanted: Wanted) -> Decision:
        world, ref = self.world, self.ref
        handled = world.handled.get(ref)
        again = ref in world.again
        if handled and not again and world.is_stale(wanted):
            return Nothing("stale: an older version was written")
        taken_back = handled is not None and self._is_taken_back(wanted)
        if (
            handled
            and not taken_back
            and self._lives_elsewhere(wanted, handled)
        ):
            if world.will_have_stack(ref) and not world.deleting(ref):
                # The id was removed and made anew, or moves to another tenant: the old stack goes
                # before the new one comes.
                # What the new one needs is decided next, and waits for the deletion like any other
                # job.
                return self._delete(None, handled)
            handled = None
        if (
            handled
            and not again
            and not taken_back
            and not self._is_change(wanted, handled)
        ):
            return Nothing("handled")
        return self._change(wanted, handled)

    def _change(self, wanted: Wanted, handled: Handled | None) -> Decision:
        """The config asks for something that was not handled yet."""
        world, ref = self.world, self.ref
        kind = world.schemas.get(ref.type)
        if kind is None or wanted.fault:
            raise _Refused(wanted.fault or f"unknown type {ref.type}", ref)
        if kind.fault:
            raise _Refused(kind.fault, Ref(SCHEMA_TYPE, kind.id))
        if wanted.marked_for_deletion:
            return self._marked(wanted, handled, kind)
        template = self._template(wanted, kind)
        if template is None:
            return self._report(wanted)
        return self._build(wanted, handled, kind, template)

    def _build(
        self,
        wanted: Wanted,
        handled: Handled | None,
        kind: ResourceType,
        template: Template,
    ) -> Decision:
        """The config asks for a stack."""
        world, ref = self.world, self.ref
        if fault := tenant_fault(wanted.body):
            raise _Refused(
                f"{fault}; correct it and write the config with the next version",
                ref,
            )
        if other := world.namesake(ref, wanted.tenant):
            raise _Refused(_same_name(ref, other), other)
        params = self._params(wanted, kind, template)
        self._check_references(wanted, params)
        anew = world.deleting(ref) and (
            handled is None or handled.tenant != wanted.tenant
        )
        action = (
            Action.MODIFY if world.is_live(ref) and not anew else Action.CREATE
        )
        return self._start(wanted, handled, action, template.id, params)

    def _lives_elsewhere(self, wanted: Wanted, handled: Handled) -> bool:
        """Whether the stack that there is belongs to an earlier incarnation, or to another tenant
        (CONTRACT section 2)."""
        if handled.incarnation != wanted.incarnation:
            return True
        if wanted.marked_for_deletion or tenant_fault(wanted.body):
            return False  # It is deleted where it is, or refused.
        home = self.world.home(self.ref)
        return home is not None and home != wanted.tenant

    def _is_taken_back(self, wanted: Wanted) -> bool:
        """Whether the config was written again while the deletion of its stack was held: the stack
        stays."""
        world = self.world
        return world.removals.holds(self.ref) and world.home(self.ref) in (
            wanted.tenant,
            None,
        )

    def _is_change(self, wanted: Wanted, handled: Handled) -> bool:
        """Whether the config asks for something else than what was handled (CONTRACT section 2)."""
        return wanted.version > handled.version or not handled.holds(wanted)

    def _report(self, wanted: Wanted) -> Decision:
        reported = self.world.reported.get(self.ref)
        told = (
            reported
            and reported.revision > wanted.incarnation
            and self._is_told(wanted, reported.version)
        )
        if told and self.ref not in self.world.again:
            return Nothing("reported")
        return Report(wanted)

    @staticmethod
    def _is_told(wanted: Wanted, reported: int) -> bool:
        return (
            reported == UNVERSIONED
            if wanted.version == UNVERSIONED
            else reported >= wanted.version
        )

    def _template(self, wanted: Wanted, kind: ResourceType) -> Template | None:
        """The template that serves the resource; None when there is nothing to build."""
        if kind.template is None:
            return None
        try:
            chosen = plain(kind.template, self.world.scope(wanted, kind))
        except Missing as missing:
            raise self._missing(wanted, missing.ref) from missing
        except MappingError as error:
            raise _Refused(
                f"template_path of type {kind.id}: {error}", self.ref
            ) from error
        if chosen is None:
            return None
        if not isinstance(chosen, str) or not chosen:
            raise _Refused(
                f"template_path of type {kind.id} gives no template's id for"
                f" {self.ref}",
                self.ref,
            )
        template = self.world.templates.get(chosen)
        if template is None:
            reason = f"template {chosen!r} is neither in etcd nor in the catalogue; push it"
            raise _Waiting(_held(wanted, Ref(TEMPLATE_TYPE, chosen), reason))
        if isinstance(template, BadTemplate):
            raise _Refused(template.reason, Ref(TEMPLATE_TYPE, chosen))
        return template

    def _params(
        self, wanted: Wanted, kind: ResourceType, template: Template
    ) -> tuple[Param, ...]:
        scope = self.world.scope(wanted, kind)
        params: list[Param] = []
        for name, node in template.mappings:
            try:
                params.append(Param.of(name, evaluate(node, scope)))
            except Missing as missing:
                raise self._missing(wanted, missing.ref) from missing
            except MappingError as error:
                raise _Refused(
                    f"template {template.id}, parameter {name}: {error}",
                    self.ref,
                ) from error
        return tuple(params)

    def _missing(self, wanted: Wanted, other: Ref) -> _Waiting:
        if self.world.schemas.get(other.type) is None:
            why = (
                f"refers to {other}, whose type is not in {self.world.schemas.origin};"
                " add it there, or correct the mapping"
            )
            return _Waiting(_held(wanted, other, why))
        return _Waiting(
            _held(
                wanted,
                other,
                f"refers to {other}, which is not in the configuration (yet)",
            )
        )

    def _check_references(
        self, wanted: Wanted, params: tuple[Param, ...]
    ) -> None:
        """Others that this one is built from: decided, not held back, not failed without a
        stack."""
        references = dict.fromkeys(
            ref
            for param in params
            for ref in param.references
            if ref != self.ref
        )
        self._check_decided(references)
        built_from = {
            output.ref for param in params for output in param.outputs()
        }
        # What never can be comes before what has to wait, and that before what failed, whatever the
        # order of the references and of the decisions: a new leader must come to the same.
        for other in references:
            if other in built_from:
                self._refuse_hard_circle(other)
        for other in references:
            self._check_not_waiting(wanted, other, other in built_from)
        for other in references:
            if not self._waits_for_us(other):
                self._check_not_failed(other, other in built_from)

    def _check_decided(self, references: Iterable[Ref]) -> None:
        """What this one refers to is decided, and the decisions are written."""
        undecided = [
            ref
            for ref in references
            if ref in self.world.dirty and ref not in self.path
        ]
        if undecided:
            raise _Others(undecided)
        for other in references:
            if other in self.world.unsettled and other not in self.path:
                raise _Postponed(other)

    def _check_not_waiting(
        self, wanted: Wanted, other: Ref, hard: bool
    ) -> None:
        """What is referred to is not held and not being replaced.

        :param hard: whether we need an output of *other*.
        """
        if self._being_replaced(other):
            # Even if that is patient with us: its patience ends, and what is built from the old
            # one is stale.
            raise _Waiting(
                _held(
                    wanted,
                    other,
                    f"waits for {other}, which is being replaced",
                )
            )
        if self._waits_for_us(other):
            self._check_circle(wanted, other, hard)
        elif held := self.world.held.get(other):
            raise _Waiting(
                _held(wanted, other, f"waits for {other}, which {held.reason}")
            )

    def _check_not_failed(self, other: Ref, hard: bool) -> None:
        """What is referred to has not failed for good.

        :param hard: whether we need an output of *other*.
        """
        failed = self._failed_for_good(other)
        if failed is None:
            return
        if not hard and self._failed_through_us(other):
            return  # It was in a circle with us, which this version may be about to break.
        raise _Refused(
            caused_by(other, failed.root, failed.error), failed.root, other
        )

    def _being_replaced(self, other: Ref) -> bool:
        """Whether what is recorded of *other* belongs to an earlier incarnation of its id, or to
        another tenant."""
        wanted, handled = (
            self.world.wanted.get(other),
            self.world.handled.get(other),
        )
        if (
            wanted is None
            or handled is None
            or not self.world.may_have_stack(other)
        ):
            return False
        return _Planner(
            self.world, other, self.suffix, (), self.patient
        )._lives_elsewhere(wanted, handled)

    def _waits_for_us(self, other: Ref) -> bool:
        """Whether waiting for *other* would be waiting for ourselves: it is being decided, or held
        back because of us."""
        if other in self.path:
            return True
        seen = {other}
        while held := self.world.held.get(other):
            other = held.waits_for
            if other == self.ref or other in self.path:
                return True
            if other in seen:
                return False
            seen.add(other)
        return False

    def _check_circle(self, wanted: Wanted, other: Ref, hard: bool) -> None:
        """References run in a circle.
        It can be built when one of them is only to values, which are in the config: whose that is
        goes first.
        When every one is to a stack's output, each would have to be built before itself.

        :param hard: whether we need an output of *other*.
        """
        if not hard or self.world.is_live(other):
            return
        if not self.world.graph.on(other):
            raise _Waiting(
                _held(
                    wanted,
                    other,
                    f"needs an output of {other}, which refers back to it by a value"
                    " and goes first",
                )
            )

    def _refuse_hard_circle(self, other: Ref) -> None:
        """Each member is refused by itself, whichever was decided first; it is tried again when the
        next one is built."""
        if circle := self._hard_circle(other):
            members = " → ".join(map(str, circle))
            raise _Refused(
                f"refers to itself in a circle: {members}; remove one of the"
                " references",
                self.ref,
                other,
            )

    def _hard_circle(self, other: Ref) -> tuple[Ref, ...]:
        """A circle through this resource and *other* in which every reference is to an output of
        what is not built; empty when there is none.
        It begins and ends with this resource, so that each member names itself first.
        """
        came_from: dict[Ref, Ref] = {other: self.ref}
        queue = [other]
        while queue:
            here = queue.pop(0)
            if self.world.is_live(here) or self.world.graph.on(here):
                continue
            for there in self._outputs_needed_by(here):
                if there == self.ref:
                    return self._way(came_from, here)
                if there not in came_from:
                    came_from[there] = here
                    queue.append(there)
        return ()

    def _way(self, came_from: Mapping[Ref, Ref], last: Ref) -> tuple[Ref, ...]:
        way = [self.ref, last]
        while way[-1] != self.ref:
            way.append(came_from[way[-1]])
        return tuple(reversed(way))

    def _outputs_needed_by(self, ref: Ref) -> list[Ref]:
        """The resources of whose stacks another one needs outputs, as far as its mappings can be
        evaluated."""
        wanted, kind = (
            self.world.wanted.get(ref),
            self.world.schemas.get(ref.type),
        )
        if wanted is None or kind is None:
            return []
        planner = _Planner(self.world, ref, self.suffix, (), self.patient)
        try:
            template = planner._template(wanted, kind)
            params = planner._params(wanted, kind, template) if template else ()
        except (_Refused, _Waiting):
            return []
        return list(
            dict.fromkeys(
                output.ref for param in params for output in param.outputs()
            )
        )

    def _failed_through_us(self, other: Ref) -> bool:
        """Whether the way from a failure to its cause leads through this resource."""
        seen: set[Ref] = set()
        while (
            other not in seen
            and (failed := self.world.failed.get(other))
            and failed.through
        ):
            seen.add(other)
            other = failed.through
            if other == self.ref:
                return True
        return False

    def _failed_for_good(self, other: Ref) -> Failed | None:
        """How *other* failed, when it has no stack to build on and nothing is under way."""
        if self.world.is_live(other) or self.world.graph.on(other):
            return None
        return self.world.failed.get(other)

    # Deletion -------------------------------------------------------------------------------------

    def _marked(
        self, wanted: Wanted, handled: Handled | None, kind: ResourceType
    ) -> Decision:
        if not self.world.is_live(self.ref) and not self.world.graph.on(
            self.ref
        ):
            try:
                if self._template(wanted, kind) is None:
                    return self._report(wanted)
            except (_Refused, _Waiting):
                pass  # Whatever keeps it from being built does not keep it from being deleted.
        return self._delete(wanted, handled)

    def _gone(self) -> Decision:
        world, ref = self.world, self.ref
        if world.removals.holds(ref):
            return Nothing(
                "its deletion is held until a person has confirmed it"
            )
        jobs = world.graph.on(ref)
        if (
            jobs
            and not world.may_have_stack(ref)
            and not world.graph.behind(job.id for job in jobs)
        ):
            return Clean(tuple(jobs), self._retried(jobs))
        if jobs or world.may_have_stack(ref):
            failed = world.failed.get(ref)
            if (
                failed
                and failed.action is Action.DELETE
                and ref not in world.again
                and not world.graph.on(ref)
            ):
                return Nothing("the deletion failed; it is tried again later")
            return self._delete(None, world.handled.get(ref))
        return Clean() if world.knows(ref) else Nothing("gone")

    def _delete(
        self, wanted: Wanted | None, handled: Handled | None
    ) -> Decision:
        """Delete the stack, for a marked config or (None) from what is recorded."""
        world, ref = self.world, self.ref
        if world.deleting(ref) and (
            wanted is None or not self._newer(wanted, handled)
        ):
            return Nothing("is being deleted")
        self._after_referrers(
            wanted.version if wanted else self._recorded_version(handled)
        )
        template, params = self._deletion_params(
            wanted or self._recorded(handled), handled
        )
        return self._start(wanted, handled, Action.DELETE, template, params)

    def _newer(self, wanted: Wanted, handled: Handled | None) -> bool:
        return (
            handled is None
            or self.ref in self.world.again
            or self._is_change(wanted, handled)
        )

    def _after_referrers(self, version: int) -> None:
        """Dependents go before what they depend on: their jobs have to be there for ours to wait
        for."""
        world = self.world
        users = [
            other
            for other in world.referrers(self.ref)
            if not self._leaves(other)
        ]
        undecided = [
            other
            for other in users
            if other in world.dirty and other not in self.path
        ]
        if undecided:
            raise _Others(undecided)
        users = [other for other in users if other not in self.path]
        if users and self.patient:
            raise _Waiting(
                Held(
                    version,
                    users[0],
                    f"is to be deleted, but {users[0]} was built from it and is still"
                    " there",
                ),
                True,
            )

    def _leaves(self, user: Ref) -> bool:
        """Whether *user* stands on this resource only until its newest job is over, which deletes
        it or builds a version that does not refer to us."""
        world, handled = self.world, self.world.handled.get(user)
        return world.deleting(user) or (
            bool(world.graph.on(user))
            and handled is not None
            and self.ref not in handled.refs()
        )

    def _last_jobs_of_leavers(self) -> tuple[JobId, ...]:
        """The jobs after which nobody who leaves stands on this resource any more.
        By their params most of them are dependencies of a deletion anyway; those are not whose
        resource was changed twice before the first change was built: their params name the versions
        between, not the one that stands.
        """
        world = self.world
        return tuple(
            world.graph.on(user)[-1].id
            for user in world.referrers(self.ref)
            if self._leaves(user)
        )

    def _recorded_version(self, handled: Handled | None) -> int:
        reported = self.world.reported.get(self.ref)
        return (
            handled.version if handled else reported.version if reported else 1
        )

    def _recorded(self, handled: Handled | None) -> Wanted:
        """What the resource was made of, standing in for a config that is gone, or wants it
        elsewhere."""
        tenant = self.world.home(self.ref) or (
            handled.tenant if handled else ""
        )
        body = (
            handled.body
            if handled and handled.body
            else {"id": self.ref.id, "tenant_id": tenant}
        )
        if tenant and body.get("tenant_id") != tenant:
            body = {**body, "tenant_id": tenant}
        return Wanted(
            self.ref,
            self._recorded_version(handled),
            body,
            incarnation=handled.incarnation if handled else 0,
        )

    def _deletion_params(
        self, wanted: Wanted, handled: Handled | None
    ) -> tuple[str, tuple[Param, ...]]:
        """The parameters as for a change; if they cannot be had, the recorded references alone."""
        kind = self.world.schemas.get(self.ref.type)
        try:
            template = self._template(wanted, kind) if kind else None
            if kind and template:
                return template.id, self._params(wanted, kind, template)
        except (_Refused, _Waiting):
            pass
        return (
            (
                handled.template,
                tuple(Param(name, None) for name in handled.references),
            )
            if handled
            else ("", ())
        )

    # The results ----------------------------------------------------------------------------------

    def _start(
        self,
        wanted: Wanted | None,
        handled: Handled | None,
        action: Action,
        template: str,
        params: tuple[Param, ...],
    ) -> Start:
        world, ref = self.world, self.ref
        source = wanted or self._recorded(handled)
        own = {
            param.name: param.references for param in params if param.references
        }
        if action is Action.CREATE:
            earlier: Mapping[str, Sequence[Ref]] = {}
        elif (
            wanted is None
        ):  # Nothing is new, so what was recorded is told once.
            earlier = {} if own or not handled else handled.references
        else:
            earlier = self._earlier_references(handled, template)
        with_earlier = with_earlier_references(params, earlier)
        references = dict.fromkeys(
            other for param in with_earlier for other in param.references
        )
        body = self._at_home(source) if action is Action.DELETE else source.body
        outlived = self._outlived(replace(source, body=body))
        leavers = (
            self._last_jobs_of_leavers() if action is Action.DELETE else ()
        )
        stuck = self._stuck(action, outlived)
        # In the place of what Heat never took, the new job does not wait for those who waited
        # there.
        behind = world.graph.behind(job.id for job in stuck)
        depends = dict.fromkeys(
            (*world.graph.dependency_of(ref, references), *leavers)
        )
        dependency = tuple(job for job in depends if job not in behind)
        others = outlived | {job.id for job in stuck}
        superseded = (*stuck, *self._superseded(action, dependency, others))
        gone = {job.id for job in superseded}
        job = Job(
            id=job_id(action, ref, source.version, self.suffix()),
            ref=ref,
            action=action,
            version=source.version,
            params=with_earlier,
            dependency=tuple(d for d in dependency if d not in gone),
            body=body,
        )
        # Until a deleted stack is gone, it still uses what it was built from.
        used = (
            handled.references if handled and action is Action.DELETE else own
        )
        first_of_two = wanted is None and world.wanted.get(ref) is not None
        if first_of_two:
            # It clears the way for the config that is there: its end is nobody's state.
            outlived = outlived | {job.id}
        record = Handled(
            version=source.version,
            incarnation=source.incarnation,
            job=job.id,
            template=template,
            tenant=job.tenant,
            references=used,
            body=source.body,
            replaced=self._replaced(handled, superseded, job.id),
            outlived=tuple(sorted(outlived)),
            stands_on=self._stands_on()
            - {other for others in used.values() for other in others},
            revision=source.revision,
            digest=source.digest(),
            rewritten=_is_rewritten(source, handled),
            sent=job.id,
            built=world.is_live(ref),
            uncertain=world.may_have_stack(ref),
            force=ref in world.forced,
            stack="" if world.is_live(ref) else self._unrecorded_stack(handled),
        )
        return Start(
            job,
            record,
            world.wanted.get(ref),
            superseded,
            self._retried(superseded),
            first_of_two,
        )

    def _unrecorded_stack(self, handled: Handled | None) -> str:
        """Heat's own id of the stack that an unfinished job was given, or one before it: by its id
        it is known as ours when somebody else's update has taken its tags away."""
        runs = [
            self.world.runs.get(job.id) for job in self.world.graph.on(self.ref)
        ]
        given = [run.stack for run in runs if run and run.stack]
        return given[-1] if given else handled.stack if handled else ""

    def _at_home(self, source: Wanted) -> Mapping[str, Json]:
        """The body for a deletion: a stack is deleted where it is, whatever project the config
        names by now."""
        world, ref = self.world, self.ref
        home = (
            world.graph.on(ref)[-1].tenant
            if world.deleting(ref)
            else world.home(ref)
        )
        if home is None or home == source.tenant:
            return source.body
        return {**source.body, "tenant_id": home}

    def _stands_on(self) -> frozenset[Ref]:
        """What the stack was built from, or may be by an unfinished job, as far as there is
        either."""
        world, handled = self.world, self.world.handled.get(self.ref)
        if handled is None or not (
            world.is_live(self.ref) or world.graph.on(self.ref)
        ):
            return frozenset()
        return handled.refs() | handled.stands_on

    def _outlived(self, source: Wanted) -> frozenset[JobId]:
        """The unfinished jobs that are not superseded though what becomes of them is nobody's state
        any more.

        Those of an earlier incarnation, and deletions in another tenant than the new job's.
        Not among them are jobs that build and that Heat knows nothing of: they would build a stack
        that nobody wants.
        """
        world, handled = self.world, self.world.handled.get(self.ref)
        jobs = world.graph.on(self.ref)
        if handled is not None and handled.incarnation != source.incarnation:
            return frozenset(
                job.id for job in jobs if not world.may_be_dropped(job)
            )
        elsewhere = [
            job.id
            for job in jobs
            if job.action is Action.DELETE and job.tenant != source.tenant
        ]
        before = handled.outlived if handled else ()
        return frozenset(
            job.id
            for job in jobs
            if job.id in before
            or (job.id in elsewhere and world.may_have_stack(self.ref))
        )

    def _stuck(
        self, action: Action, outlived: frozenset[JobId]
    ) -> tuple[Job, ...]:
        """The jobs on this resource that could not be put to Heat, and are waiting for their next
        try: a deletion takes their place, and so does a newer version that may correct them.

        It corrects no outage.
        Then it waits for its turn: others may have changed what it is built from.
        """
        world = self.world
        found = [
            job
            for job in world.graph.on(self.ref)
            if world.is_stuck(job) and job.id not in outlived
        ]
        runs = {
            job.id: world.runs[job.id]
            for job in found
            if not world.runs[job.id].asked
        }
        return tuple(
            job
            for job in found
            if job.id in runs
            and (action is Action.DELETE or runs[job.id].cause not in _OUTAGES)
        )

    def _is_idle(self, action: Action, job: JobId) -> bool:
        """Whether no worker has a job, though Heat may have taken it."""
        run = self.world.runs.get(job)
        if run is None:
            return True
        return run.step is Step.RETRY and action is not Action.DELETE

    def _retried(self, jobs: Iterable[Job]) -> dict[JobId, int]:
        """The revisions of the runs that are to be tried again, of some jobs."""
        return {
            job.id: self.world.runs[job.id].revision
            for job in jobs
            if self.world.is_stuck(job)
        }

    def _superseded(
        self,
        action: Action,
        dependency: tuple[JobId, ...],
        others: frozenset[JobId],
    ) -> tuple[Job, ...]:
        """The jobs on this resource that need not run any more, because this one does all and more.

        No worker has them, they do not clear away an earlier incarnation, and nothing that this job
        has to wait for waits for them: it must not take their place in the queue before that.

        A deletion leaves those that Heat may have taken: it would find nothing to delete yet.

        :param others: those on the resource of which something else has been decided.
        """
        world = self.world
        idle = [
            job
            for job in world.graph.on(self.ref)
            if job.id not in others and self._is_idle(action, job.id)
        ]
        needed = set(dependency) - {job.id for job in idle}
        return tuple(
            job for job in idle if not needed & world.graph.behind([job.id])
        )

    def _replaced(
        self, handled: Handled | None, superseded: tuple[Job, ...], new: JobId
    ) -> dict[JobId, JobId]:
        """Who stands in for whom, as long as the stand-in is not over."""
        gone = {job.id for job in superseded}
        earlier = handled.replaced if handled else {}
        kept = {
            old: new if by in gone else by
            for old, by in earlier.items()
            if by in gone or by in self.world.graph.jobs
        }
        return {**kept, **dict.fromkeys(gone, new)}

    def _earlier_references(
        self, handled: Handled | None, template_id: str
    ) -> Mapping[str, Sequence[Ref]]:
        """The references of the previously handled config, as they are today: what it refers to may
        have come since.
        Where they cannot be evaluated any more, as they were recorded."""
        template, kind = (
            self.world.templates.get(template_id),
            self.world.schemas.get(self.ref.type),
        )
        if (
            handled is None
            or kind is None
            or not isinstance(template, Template)
        ):
            return handled.references if handled else {}
        before = Wanted(self.ref, handled.version, handled.body)
        scope = self.world.scope(before, kind)
        found: dict[str, Sequence[Ref]] = {}
        for name, node in template.mappings:
            try:
                found[name] = evaluate(node, scope).references
            except (Missing, MappingError):
                found[name] = handled.references.get(name, ())
        return found

    def _refuse(
        self, wanted: Wanted, error: str, root: Ref, through: Ref | None = None
    ) -> Refuse | Nothing:
        if self.world.graph.on(self.ref):
            return Nothing(
                "is refused once its unfinished job is over: that one's report must not"
                " come after"
            )
        handled = self.world.handled.get(self.ref)
        action = (
            Action.DELETE
            if wanted.marked_for_deletion
            else Action.MODIFY
            if self.world.is_live(self.ref)
            else Action.CREATE
        )
        record = Handled(
            version=wanted.version,
            incarnation=wanted.incarnation,
            job=NO_JOB,
            template=handled.template if handled else "",
            tenant=handled.tenant
            if handled and handled.sent
            else wanted.tenant,
            references=handled.references if handled else {},
            body=handled.body if handled else {},
            stands_on=self._stands_on(),
            revision=wanted.revision,
            digest=wanted.digest(),
            rewritten=_is_rewritten(wanted, handled),
            sent=handled.sent if handled else NO_JOB,
        )
        told = without(error, secrets(dict(wanted.body)))
        return Refuse(
            wanted,
            record,
            Failed(wanted.version, action, told, root, through=through),
        )


def _held(wanted: Wanted, waits_for: Ref, reason: str) -> Held:
    return Held(wanted.version, waits_for, reason, wanted.incarnation)


def _is_rewritten(wanted: Wanted, handled: Handled | None) -> bool:
    """Whether a version is handled that was handled before with another content (unversioned ones
    always are)."""
    if (
        handled is None
        or wanted.version == UNVERSIONED
        or handled.incarnation != wanted.incarnation
    ):
        return False
    return handled.version == wanted.version and (
        handled.rewritten or not handled.holds(wanted)
    )


def _same_name(ref: Ref, other: Ref) -> str:
    return (
        f"its stack would be named {ref.stack_name}, as that of {other} is in the same"
        " project: make one of the two anew with another id"
    )


def caused_by(through: Ref, root: Ref, error: str) -> str:
    """The error text of a resource that fails because another did: the root and its own reason.

    :param through: the resource that this one refers to directly.
    """
    way = "" if through == root else f" (through {through})"
    plain_error = error.partition("which failed: ")[2] or error
    return f"not built, because it depends on {root}{way}, which failed: {plain_error}"


@dataclass(frozen=True, slots=True)
class Over:
    """A job that is over, as far as others are concerned; its record is gone by then."""

    id: JobId
    ref: Ref
    action: Action
    references: frozenset[Ref]


def fails_with(
    dependent: Job, ended: Over, built_from: frozenset[Ref] | None = None
) -> bool:
    """Whether a waiting job fails because a job that it waited for failed.

    :param built_from: what the dependent's own version refers to.
        Its params name those of the version before as well, for which it waits and no more: a
        change may leave a failed one behind.
        Where it is not known, all that the params name.

    Building on something that could not be built fails, and so does deleting something under a
    dependent that could not be deleted. Waiting for one's turn on the same resource does not.
    """
    if ended.ref == dependent.ref:
        return False
    if dependent.action is Action.DELETE:
        return (
            ended.action is Action.DELETE and dependent.ref in ended.references
        )
    refers_to = dependent.references() if built_from is None else built_from
    return ended.action is not Action.DELETE and ended.ref in refers_to
