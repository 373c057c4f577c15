"""How the world changes: by facts from etcd, and by our own decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ..facts import (
    BuiltFound,
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
from ..jobs import Job
from ..records import Handled, digests_of
from ..refs import Json, Ref
from ..resources import UNVERSIONED, Wanted
from ..templates import TEMPLATE_TYPE
from .answers import Answers
from .values import Seen, Stack


class World(Answers):
    """Everything the leader knows. Others read it; only its own methods change it."""

    # Facts from etcd ------------------------------------------------------------------------------

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
        stack, adopted = fact.stack, ""
        if stack.live and stack.name != fact.ref.stack_name:
            adopted = stack.name
        self.note_stack(
            fact.ref,
            Stack(stack.status, stack.tenant, stack.monitored, adopted),
        )
        if self.has_readers(fact.ref):
            self._outputs[fact.ref] = digests_of(stack.outputs)
        return ()

    def _built_found(self, fact: BuiltFound, _: float) -> tuple[Ref, ...]:
        self.set_built(fact.ref, fact.built)
        return ()

    def forget_outputs(self, ref: Ref) -> None:
        """The outputs of a stack may have changed: until they are noted, nobody knows them."""
        self._outputs.pop(ref, None)

    def note_outputs(self, ref: Ref, outputs: Iterable[Json]) -> bool:
        """What the outputs of a stack are now. Those that were built from others are to be decided.

        :param outputs: as Heat lists them.
        :returns: whether anybody was.
        """
        now = self._outputs[ref] = digests_of(outputs)

        def of_this(other: Ref) -> Mapping[str, str]:
            return now if other == ref else {}

        outdated = [
            reader
            for reader in self._readers[ref]
            if any(self._built_from[reader].changed(of_this))
        ]
        self.touch(*outdated)
        return bool(outdated)

    def _state_found(self, fact: StateFound, _: float) -> tuple[Ref, ...]:
        self.note_report(fact.ref, fact.state.version, fact.revision)
        return ()

    def _run_moved(self, fact: RunMoved, _: float) -> tuple[Ref, ...]:
        run = fact.run
        self._runs[fact.job] = Seen(
            run.step, fact.revision, run.asked, run.deaths, run.stack, run.cause
        )
        return ()

    def _run_removed(self, fact: RunRemoved, _: float) -> tuple[Ref, ...]:
        self._runs.pop(fact.job, None)
        self._witnessed.discard(fact.job)
        return ()

    # Our own decisions ----------------------------------------------------------------------------

    def started(
        self, job: Job, handled: Handled, superseded: Iterable[Job]
    ) -> None:
        """A job was made, in the place of those that it supersedes."""
        self.graph.add(job)
        self._witnessed.add(job.id)
        for old in superseded:
            self.graph.replace(old.id, job.id)
        self.set_handled(job.ref, handled)
        self.removals.done(job.ref)

    def is_over(self, job: Job) -> None:
        """A job ended without a worker."""
        self._witnessed.discard(job.id)

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

    def forget(self, ref: Ref) -> None:
        """Everything about a resource that is gone."""
        self.set_handled(ref, None)
        self.set_held(ref, None)
        self.set_failed(ref, None)
        self.set_built(ref, None)
        self.set_lagging(ref, None)
        self._outputs.pop(ref, None)
        self._stacks.pop(ref, None)
        self._reported.pop(ref, None)
        self._again.discard(ref)
        self._forced.discard(ref)
        self._asked.discard(ref)
        self._unsettled.discard(ref)
        self.removals.done(ref)

    def sizes(self) -> dict[str, int]:
        """How much there is of what, for metrics."""
        held = 0
        if self.removals.held:
            held = len(self.removals)
        return {
            "resources": len(self.wanted),
            "jobs": len(self.graph.jobs),
            "held": len(self.held),
            "failed": len(self.failed),
            "outdated": self.left_outdated,
            "deletions_held": held,
        }


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
    if handled.incarnation != wanted.incarnation or not handled.matches(wanted):
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
    BuiltFound: World._built_found,
    RunMoved: World._run_moved,
    RunRemoved: World._run_removed,
}
