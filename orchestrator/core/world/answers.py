"""What the world answers: questions about what it holds. None of them changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...errors import MappingError
from ..jobs import Action, Job, job_action
from ..mapping.bounds import Budget
from ..mapping.evaluate import Missing, OutputOf, Scope
from ..policies import Follow
from ..properties import NO_PROPERTIES, Properties
from ..records import Cause, Step
from ..refs import JobId, Json, Ref
from ..resources import UNVERSIONED, Body, Wanted, parsed
from ..schemas import ResourceType
from ..templates import BadTemplate, Template
from .contents import Contents

_CHARACTERS_PER_STEP = 128
"""Characters of a body that are read in the time of a step of a mapping (measured)."""


class Answers(Contents):
    """Questions that decisions ask."""

    # Stacks and jobs ------------------------------------------------------------------------------

    def deleting(self, ref: Ref) -> bool:
        """Whether the last that is under way on the resource is its deletion."""
        jobs = self.graph.on(ref)
        return bool(jobs) and jobs[-1].action is Action.DELETE

    def is_live(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, by our records."""
        stack = self.stacks.get(ref)
        return stack is not None and stack.live

    def adopted_name(self, ref: Ref) -> str:
        """The name of the resource's stack, where it was adopted; else empty."""
        stack = self.stacks.get(ref)
        if stack is None:
            return ""
        return stack.adopted

    def may_have_stack(self, ref: Ref) -> bool:
        """Whether Heat has a stack of this resource, or may have one that no record tells of: a job
        that was sent and came to nothing that we know of may have reached Heat.
        Only a deletion that ended says that it has none.
        """
        jobs = self.graph.on(ref)
        if self.is_live(ref) or any(map(self._has_reached_heat, jobs)):
            return True
        handled, stack = self.handled.get(ref), self.stacks.get(ref)
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
            return job.id not in self._witnessed
        return run.asked or run.step is not Step.RETRY

    def has_witnessed(self, job: JobId) -> bool:
        """Whether nobody can have asked Heat for a job without this leader knowing of it."""
        return job in self._witnessed

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
        stack = self.stacks.get(ref)
        if stack is not None and stack.live and stack.tenant:
            return stack.tenant
        if handled := self.handled.get(ref):
            return handled.tenant
        return None

    def _is_waited_for(self, job: Job) -> bool:
        """Whether others wait for an unfinished job, so that it keeps its place."""
        return bool(self.graph.behind([job.id])) and not self.is_stuck(job)

    def is_stuck(self, job: Job) -> bool:
        """Whether a job waits for its next try."""
        run = self.runs.get(job.id)
        return run is not None and run.step is Step.RETRY

    def is_failing(self, ref: Ref) -> bool:
        """Whether Heat has failed the last job on a resource, which waits for its next try."""
        jobs = self.graph.on(ref)
        if not jobs or not self.is_stuck(jobs[-1]):
            return False
        return self.runs[jobs[-1].id].cause == Cause.FAILED

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

    @property
    def built(self) -> int:
        """How many stacks there are, by our records."""
        return sum(stack.live for stack in self.stacks.values())

    def template_for(
        self, ref: Ref, template_id: str
    ) -> Template | BadTemplate | None:
        """The template that the jobs of a resource are built from: the one in force, or the one
        that a roll-out brings."""
        pin = self.pins.get(ref)
        if pin is not None and pin.builds(template_id):
            return pin.template
        return self.templates.get(template_id)

    # Configs and records --------------------------------------------------------------------------

    def is_stale(self, wanted: Wanted) -> bool:
        """Whether a version of the same incarnation has been seen that is higher than the one that
        is there."""
        handled, held = (
            self.handled.get(wanted.ref),
            self.held.get(wanted.ref),
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

    def knows(self, ref: Ref) -> bool:
        """Whether anything is stored about a resource besides its config."""
        return any(
            ref in known
            for known in (
                self.handled,
                self.stacks,
                self.reported,
                self.held,
                self.failed,
                self.built_from,
            )
        )

    # Who depends on whom --------------------------------------------------------------------------

    def failed_because_of(self, root: Ref) -> list[Ref]:
        """Resources that failed because *root* did, or through it."""
        return [ref for ref in self._failed_because_of[root] if ref != root]

    def referrers(self, ref: Ref) -> list[Ref]:
        """Resources whose stacks were or will be built from this one, as far as they still exist or
        are being built."""
        return [
            other
            for other in self._referrers[ref]
            if other != ref and (self.is_live(other) or self.graph.on(other))
        ]

    def waiting_for(self, ref: Ref) -> list[Ref]:
        """Resources held back by this one, or kept by it from being brought up to date."""
        return [*self._waiting[ref], *self._lagging_behind[ref]]

    def has_readers(self, ref: Ref) -> bool:
        """Whether stacks were built from outputs of this one's."""
        return any(True for _ in self._readers[ref])

    def follows(self, user: Ref, ref: Ref) -> bool:
        """Whether a stack is rebuilt by itself when an output of another one changes."""
        built, handled = self.built_from.get(user), self.handled.get(user)
        if built is None or handled is None or built.job != handled.job:
            return False
        if (built.follow or self.follow) is not Follow.AUTO:
            return False
        return any(output.ref == ref for output in built.reads)

    def changed_outputs(self, ref: Ref) -> tuple[OutputOf, ...]:
        """The outputs of others that the stack was built from and that have another value now.

        Only what is certain and will stay counts: the record is of the resource's last job, that
        one is complete, and nothing is under way on those whose outputs were read.
        """
        built, handled = self.built_from.get(ref), self.handled.get(ref)
        if built is None or handled is None or built.job != handled.job:
            return ()
        if not built.reads or not self.is_settled(ref):
            return ()
        # All of them: without one's outputs, a job would fail a version that is complete.
        if not all(self.is_settled(output.ref) for output in built.reads):
            return ()
        changed = built.changed(lambda other: self.outputs.get(other, {}))
        return tuple(
            output
            for output in changed
            if handled.kept
            or handled.expected.get(output) != self.digest_of(output)
        )

    def digest_of(self, output: OutputOf) -> str:
        """The digest of an output as it is now; empty when it is not known."""
        return self.outputs.get(output.ref, {}).get(output.key, "")

    @property
    def left_outdated(self) -> int:
        """How many stacks are outdated and stay so, though their templates do not want it."""
        return sum(bool(lagging.why) for lagging in self.lagging.values())

    def is_settled(self, ref: Ref) -> bool:
        """Whether the resource has a stack, complete and with no job under way."""
        if ref in self.failed or self.graph.on(ref):
            return False
        return self.is_live(ref)

    # What mappings see ----------------------------------------------------------------------------

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
            # Also with ignore_missing: a list that lacks a type says nothing about its resources.
            raise Missing(ref)
        if not kind.is_resource:
            raise MappingError(
                f"a mapping leads to type {ref.type!r}, of which the API server writes"
                " no configs to etcd"
            )
        wanted = self.wanted.get(ref)
        if wanted is None:
            return None
        # Of a version that went backwards nothing is built, so others read what was built last.
        body = wanted.body
        if self.is_stale(wanted):
            body = self.handled[ref].body
        if isinstance(body, Body):
            budget.take(body.size // _CHARACTERS_PER_STEP)
        return parsed(body)

    def _properties(self, kind: str) -> Properties:
        known = self.schemas.get(kind)
        if known is None:
            return NO_PROPERTIES
        return known.properties
