"""What Heat was asked last for a resource, and what it will be asked, as far as that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..jobs import Job
from ..records import Handled
from ..refs import Json, Ref
from ..rendering import Render
from . import requests
from .requests import ForecastRequest, Outputs
from .sources import Kept, Sources
from .users import as_wanted

_NOT_KEPT = (
    "the difference to what the stack was built from: revision {} of template {} is"
    " not kept, so the difference to the one in force is shown"
)


@dataclass(frozen=True, slots=True)
class Needed:
    """What lies outside of the core. *outputs*: those of a stack by key, as its record has them;
    *kept*: a revision of a template that etcd keeps."""

    outputs: Callable[[Ref], Mapping[str, Json]]
    render: Render
    kept: Kept


@dataclass(frozen=True, slots=True)
class ForecastAsker:
    """Works out the requests of one rehearsal.

    :param new: resources that get another stack than they have, so that no output of it is known.
    """

    sources: Sources
    doors: Needed
    new: frozenset[Ref]

    def last(self, ref: Ref) -> ForecastRequest | None:
        """What Heat was asked last; None when there is no stack."""
        before = self.sources.before
        handled, stack = before.handled.get(ref), before.stacks.get(ref)
        if handled is None or stack is None or not stack.live:
            return None
        template = self.sources.built_from(ref, handled)
        wanted = as_wanted(ref, handled)
        job = requests.job_of(before.world, wanted, template)
        if job is None:
            return None
        earlier = frozenset(before.changed.get(ref, ()))
        outputs = Outputs(self.doors.outputs, earlier=earlier)
        return requests.asked(job, template, outputs, self.doors.render)

    def by_job(self, job: Job, handled: Handled) -> ForecastRequest:
        """What Heat will be asked for a job that builds."""
        template = self.sources.next_for(job.ref, handled.template)
        outputs = Outputs(self.doors.outputs, self.new)
        return requests.asked(job, template, outputs, self.doors.render)

    def if_rebuilt(self, ref: Ref, handled: Handled) -> ForecastRequest | None:
        """What Heat would be asked if the stack were rebuilt; None when its mappings cannot be
        evaluated."""
        template = self.sources.next_for(ref, handled.template)
        wanted = as_wanted(ref, handled)
        job = requests.job_of(self.sources.after, wanted, template)
        if job is None:
            return None
        outputs = Outputs(self.doors.outputs, self.new)
        return requests.asked(job, template, outputs, self.doors.render)

    def unsure(self, ref: Ref) -> Iterator[str]:
        """What cannot be said about what Heat was asked last, a sentence each."""
        handled = self.sources.before.handled.get(ref)
        if handled is None:
            return
        if lost := self.sources.lost(ref, handled):
            yield _NOT_KEPT.format(lost, handled.template)
