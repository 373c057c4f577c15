"""Whose stacks are updated when the outputs of a stack change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..planning import follow_of
from ..policies import Follow
from ..records import Handled
from ..refs import Ref
from ..resources import Wanted
from ..world import World
from . import requests
from .before import usable
from .journal import Journal


@dataclass(frozen=True, slots=True)
class OutputUsers:
    """The users of outputs, after a rehearsal.

    :param after: the world when the rehearsal was over.
    """

    after: World
    journal: Journal

    def of(self, ref: Ref) -> Iterator[Ref]:
        """Those that are updated if outputs change: of this stack, and then of theirs in turn."""
        seen = {ref}
        queue = [ref]
        for here in queue:
            for user in self.after.referrers(here):
                if user not in seen and self._follows(user, here):
                    seen.add(user)
                    queue.append(user)
                    yield user

    def _follows(self, user: Ref, ref: Ref) -> bool:
        """Whether a stack is updated when an output of another one changes."""
        wanted = self.after.wanted.get(user)
        if wanted is None or wanted.marked_for_deletion:
            return False
        if not self._uses_output(user, ref):
            return False
        return follow_of(self.after, wanted) is Follow.AUTO

    def _uses_output(self, user: Ref, ref: Ref) -> bool:
        """Whether a stack was built from an output of another one."""
        handled, built = (
            self.after.handled.get(user),
            self.after.built_from.get(user),
        )
        if handled is None or not self.after.is_live(user):
            return False
        if built is not None and built.job == handled.job:
            return any(output.ref == ref for output in built.reads)
        # It has a job in this plan: its mappings say what it will be built from.
        return handled.job in self.journal.made and self._needs(
            user, handled, ref
        )

    def _needs(self, user: Ref, handled: Handled, ref: Ref) -> bool:
        """Whether the mappings of a resource need an output of another one's stack."""
        template = usable(self.after.template_for(user, handled.template))
        job = requests.job_of(self.after, as_wanted(user, handled), template)
        if job is None:
            return False
        return any(
            output.ref == ref
            for param in job.params
            for output in param.outputs()
        )


def as_wanted(ref: Ref, handled: Handled) -> Wanted:
    """A version as it was handled."""
    return Wanted(
        ref, handled.version, handled.body, incarnation=handled.incarnation
    )
