"""From what a rehearsal decided to what a plan says of each resource."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .. import rendering, stacks
from ..documents import canonical
from ..jobs import Action, Job, job_ref
from ..records import Handled
from ..refs import Ref
from ..rendering import StackRequest
from ..resources import parsed
from ..templates import TEMPLATE_TYPE
from ..world import World
from . import hiding, patches
from .asking import ForecastAsker, Needed
from .before import Before, BodyVersion, Intent, PlannedWrite
from .hiding import Hiding
from .journal import Journal
from .plans import Change, Then, What
from .requests import ForecastRequest
from .sources import Sources
from .told import Told
from .users import OutputUsers

CONFIG, ASKED, TEMPLATE = "config", "asked", "template"
UNCHANGED = "unchanged"
"""Why something happens to a resource: see :attr:`.plans.Change.because`."""
_KEPT = (
    "too many configs are removed at once: the deletion waits for `orchestrator"
    " confirm deletions`"
)
_REBUILT = (What.UPDATE, What.REBUILD, What.REPLACE, What.MOVE, What.CREATE)


@dataclass
class Explainer:
    """Tells the changes of one rehearsal.

    :param after: the world when the rehearsal was over.
    """

    before: Before
    after: World
    journal: Journal
    intent: Intent
    doors: Needed
    _jobs: dict[Ref, list[Job]] = field(init=False, default_factory=dict)
    _waves: dict[Ref, int] = field(init=False, default_factory=dict)
    _following: dict[Ref, dict[Ref, None]] = field(
        init=False, default_factory=dict
    )
    _asker: ForecastAsker = field(init=False)

    requests: dict[Ref, tuple[StackRequest, Hiding]] = field(
        init=False, default_factory=dict
    )
    """What Heat would be asked, where every value is known; and what hides the secrets in it. Of an
    outdated stack: what it would be asked if the stack were rebuilt."""

    def __post_init__(self) -> None:
        for ran in self.journal.ran:
            self._jobs.setdefault(ran.job.ref, []).append(ran.job)
            self._waves.setdefault(ran.job.ref, ran.wave)
        for ref, jobs in self._jobs.items():
            for other in self._waited_for(ref, jobs):
                self._following.setdefault(other, {})[ref] = None
        new = (What.CREATE, What.REPLACE, What.MOVE)
        sources = Sources(self.before, self.after, self.doors.kept)
        renewed = (ref for ref in self._jobs if self._what(ref) in new)
        self._asker = ForecastAsker(sources, self.doors, frozenset(renewed))

    def changes(self) -> tuple[Change, ...]:
        """What happens to each resource, in the order of the waves."""
        told = [self._change(ref) for ref in self._refs()]
        told += self._outdated()
        return tuple(
            sorted(told, key=lambda change: (not change.wave, change.wave))
        )

    def _refs(self) -> list[Ref]:
        """The resources of which the plan says something."""
        held = [ref for ref in self.journal.held if ref in self.after.held]
        if self.intent.empty:
            held = list(self.after.held)
        kept = filter(self.after.removals.holds, self.intent.writes)
        return list(
            dict.fromkeys(
                (
                    *self._jobs,
                    *held,
                    *kept,
                    *self.journal.refused,
                    *self.intent.writes,
                    *self.intent.rebuilds,
                )
            )
        )

    def _change(self, ref: Ref) -> Change:
        what = self._what(ref)
        write = self.intent.writes.get(ref) or self._seen(ref)
        now, then = self._asked_before(ref, what), self._asked_after(ref)
        hidden = self._hiding(ref, write, now, then)
        told = Told(now, then, hidden)
        self._note_request(ref, then, hidden)
        return Change(
            ref,
            what,
            hidden.text(self._because(ref, what)),
            *write.versions,
            tuple(map(hidden.operation, patches.diff(*write.bodies))),
            told.parameters(),
            told.hot(),
            tuple(self._then(ref, what)),
            self._waves.get(ref, 0),
            (*told.unknown(), *self._unsure(then, ref), *self._left(ref)),
        )

    def _note_request(
        self, ref: Ref, then: ForecastRequest | None, hidden: Hiding
    ) -> None:
        if then is not None and then.request is not None and not then.missing:
            self.requests[ref] = then.request, hidden

    # What happens ---------------------------------------------------------------------------------

    def _what(self, ref: Ref) -> What:
        jobs = self._jobs.get(ref, [])
        built = [job for job in jobs if job.action is not Action.DELETE]
        deleted = [job for job in jobs if job.action is Action.DELETE]
        if not jobs:
            return self._standstill(ref)
        if not built:
            if any(self._may_be_there(job) for job in deleted):
                return What.DELETE
            return What.NOTHING
        if deleted and deleted[-1].tenant != built[-1].tenant:
            return What.MOVE
        if deleted:
            return What.REPLACE
        return self._built(ref, built[-1])

    def _may_be_there(self, job: Job) -> bool:
        """Whether Heat has a stack that a job deletes, or may have one."""
        handled = self.journal.handled.get(job.id)
        return handled is None or handled.built or handled.uncertain

    def _standstill(self, ref: Ref) -> What:
        held = ref in self.journal.held or self.intent.empty
        if (held and ref in self.after.held) or self.after.removals.holds(ref):
            return What.HELD
        if ref in self.journal.refused:
            return What.REFUSED
        return What.NOTHING

    def _built(self, ref: Ref, job: Job) -> What:
        if self._is_replaced(ref, job):
            return What.REPLACE
        if job.action is Action.CREATE:
            return What.CREATE
        handled = self.before.handled.get(ref)
        if handled is not None and _is_same(handled, job):
            return What.REBUILD
        return What.UPDATE

    def _is_replaced(self, ref: Ref, job: Job) -> bool:
        """Whether the stack cannot be updated, so that the worker deletes it first."""
        return isinstance(self._asked_of(ref, job), stacks.Delete)

    def _asked_of(self, ref: Ref, job: Job) -> stacks.Request | None:
        """What a worker asks of the stack as it was when its last job ended; None: there is
        none."""
        known = self.before.stacks.get(ref)
        if known is None:
            return None
        grounds = stacks.Grounds(
            on_failure=rendering.policies_of(job.params).on_failure
        )
        if handled := self.journal.handled.get(job.id):
            grounds = replace(grounds, used_by=handled.used_by)
        stack = stacks.Stack("", job.stack_name, known.status)
        return stacks.next_request(job.action, job.id, stack, grounds)

    def _left(self, ref: Ref) -> Iterator[str]:
        """Why the version may fail although Heat could be asked: the stack may be in a state in
        which it is left as it is."""
        for job in self._jobs.get(ref, ())[-1:]:
            asked = self._asked_of(ref, job)
            if isinstance(asked, stacks.Leave):
                status = self.before.stacks[ref].status
                yield (
                    f"its last job left the stack in {status}: if it is so still, Heat"
                    " is asked nothing, and the version fails"
                )

    def _because(self, ref: Ref, what: What) -> str:
        if what is What.HELD:
            if held := self.after.held.get(ref):
                return held.reason
            return _KEPT
        if what is What.REFUSED:
            return self.journal.refused[ref].error
        if ref in self.intent.rebuilds:
            return ASKED
        write = self.intent.writes.get(ref)
        if write is not None and write.before == write.after:
            return UNCHANGED
        if write is not None:
            return CONFIG
        return self._cause(ref, what)

    def _cause(self, ref: Ref, what: What) -> str:
        """Why something happens to a resource of which the plan writes nothing."""
        if held := self.before.held.get(ref):
            return f"waited for {held.waits_for}"
        if failed := self.before.failed.get(ref):
            return f"failed because of {failed.root}"
        if changed := self.before.changed.get(ref):
            return str(changed[0])
        if what is What.REBUILD and (rollout := self._rollout(ref)):
            return f"roll-out {rollout}"
        return CONFIG

    def _rollout(self, ref: Ref) -> str:
        """The roll-out whose job a resource gets; empty: it gets none."""
        handled = self.journal.handled.get(self._jobs[ref][-1].id)
        if handled is None:
            return ""
        return handled.rollout

    def _seen(self, ref: Ref) -> PlannedWrite:
        """What the bridge sees of a resource of which the plan writes nothing."""
        handled, wanted = (
            self.before.handled.get(ref),
            self.before.wanted.get(ref),
        )
        return PlannedWrite(
            BodyVersion(handled.version, handled.body) if handled else None,
            BodyVersion(wanted.version, parsed(wanted.body))
            if wanted
            else None,
        )

    # What Heat is asked ---------------------------------------------------------------------------

    def _asked_before(self, ref: Ref, what: What) -> ForecastRequest | None:
        """What Heat was asked last; None when there is no stack."""
        if what is What.DELETE:
            return None
        return self._asker.last(ref)

    def _asked_after(self, ref: Ref) -> ForecastRequest | None:
        """What Heat will be asked; None when nothing is built."""
        built = [
            job
            for job in self._jobs.get(ref, ())
            if job.action is not Action.DELETE
        ]
        handled = self.after.handled.get(ref)
        if not built or handled is None:
            return None
        return self._asker.by_job(built[-1], handled)

    def _unsure(self, then: ForecastRequest | None, ref: Ref) -> Iterator[str]:
        """What cannot be said about what Heat was asked last."""
        if then is not None:
            yield from self._asker.unsure(ref)

    def _hiding(
        self,
        ref: Ref,
        write: PlannedWrite,
        now: ForecastRequest | None,
        then: ForecastRequest | None,
    ) -> Hiding:
        asked = [one for one in (now, then) if one is not None]
        jobs = [
            (job, one.template, one.request)
            for one in asked
            for job in (one.job, one.resolved)
        ]
        template = next((one.template for one in asked if one.template), None)
        bodies = ((body, template) for body in write.bodies if body is not None)
        return Hiding(hiding.of_jobs(jobs) | hiding.of_bodies(bodies))

    # What follows ---------------------------------------------------------------------------------

    def _waited_for(self, ref: Ref, jobs: list[Job]) -> Iterator[Ref]:
        """The resources of this plan that a resource waits for."""
        waits = {job_ref(other) for job in jobs for other in job.dependency}
        if held := self.before.held.get(ref):
            waits.add(held.waits_for)
        yield from sorted(other for other in waits - {ref})

    def _then(self, ref: Ref, what: What) -> Iterator[Then]:
        following = self._following.get(ref, {})
        for other in following:
            yield Then(other, "always")
        if what not in _REBUILT:
            return
        for other in OutputUsers(self.after, self.journal).of(ref):
            if other not in following and other not in self._jobs:
                yield Then(other, "output")

    # Templates ------------------------------------------------------------------------------------

    def _outdated(self) -> Iterator[Change]:
        """The stacks that were built from a template which the plan changes, and that it does not
        rebuild."""
        changed = {
            ref.id
            for ref, write in self.intent.writes.items()
            if ref.type == TEMPLATE_TYPE
            and self.before.templates.get(ref.id)
            != self.after.templates.get(ref.id)
        }
        for ref, handled in list(self.after.handled.items()):
            if ref in self._jobs:
                continue
            if handled.template in changed or self._is_outdated(ref, handled):
                yield from self._of_template(ref, handled)

    def _is_outdated(self, ref: Ref, handled: Handled) -> bool:
        """Whether a plan without edits tells that a stack was built from another revision of its
        template."""
        if not self.intent.empty:
            return False
        return self._asker.sources.is_outdated(ref, handled)

    def _of_template(self, ref: Ref, handled: Handled) -> Iterator[Change]:
        if not self.after.is_live(ref) or ref in self.intent.writes:
            return
        now = self._asker.last(ref)
        then = self._asker.if_rebuilt(ref, handled)
        if now is None or then is None:
            return
        here = PlannedWrite(None, None)
        hidden = self._hiding(ref, here, now, then)
        told = Told(now, then, hidden)
        self._note_request(ref, then, hidden)
        parameters, hot = told.parameters(), told.hot()
        unsure = tuple(self._asker.unsure(ref))
        if parameters or hot or then.problem or unsure:
            yield Change(
                ref,
                What.NOTHING,
                TEMPLATE,
                handled.version,
                handled.version,
                parameters=parameters,
                hot=hot,
                unknown=(*told.unknown(), *unsure),
            )


def _is_same(handled: Handled, job: Job) -> bool:
    """Whether a job builds the version that is there already."""
    return handled.version == job.version and canonical(
        dict(handled.body)
    ) == canonical(dict(job.body))
