"""What a request to Heat is made of: template, parameters, outputs of other stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue, revision_of
from orchestrator.core import effects, rendering
from orchestrator.core.effects import JobOutcome
from orchestrator.core.jobs import Action
from orchestrator.core.keys import Keys
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.records import (
    Built,
    Handled,
    StackRecord,
    TemplateRevision,
)
from orchestrator.core.refs import Json
from orchestrator.core.templates import BadTemplate, Template
from orchestrator.errors import (
    TemplateError,
)

from ..context import WorkerContext
from .work import Work, read_record


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, and what it is made of."""

    request: rendering.StackRequest
    built: Built
    pushed: int
    """The revision at which the template was written to etcd; 0: it is the catalogue's."""

    def as_taken(self, job_revision: int) -> Built:
        """What an earlier request of the job was made of, which Heat has taken.

        A job refers to outputs that nobody changes before it is over. The template may have changed
        since: then nobody knows which one Heat was given.

        :param job_revision: that of the job's record.
        """
        if self.pushed > job_revision:
            return replace(self.built, revision="")
        return self.built


def prepare(context: WorkerContext, work: Work) -> Prepared | JobOutcome:
    """The request, of the template as it was at the claim, if that is known and will do, or else as
    it is now."""
    if work.read:
        try:
            return _make_request(context, work, work.read)
        except TemplateError:
            if not _is_corrected(context, work):
                raise
    return _make_request(context, work, {})


def _is_corrected(context: WorkerContext, work: Work) -> bool:
    """Whether the template has changed since the claim, with which it was read."""
    key = ""
    if work.handled and not work.handled.candidate:
        key = context.keys.template(work.handled.template)
    if key not in work.read:
        return False  # It was read after the claim.
    before, now = work.read[key], context.store.get(key)
    return revision_of(before) != revision_of(now)


def _make_request(
    context: WorkerContext, work: Work, found: Mapping[str, KeyValue | None]
) -> Prepared | JobOutcome:
    """The same from what was found in etcd; what is missing is read, all at once."""
    job = work.job
    inputs = read_inputs(context, work, found)
    if inputs.absent:
        output = min(inputs.absent, key=lambda o: (o.ref, o.key))
        error = rendering.needs_output(output, inputs.absent[output])
        return effects.not_built(
            job.action,
            error,
            root=output.ref,
            live=job.action is not Action.CREATE,
        )
    request = rendering.request(
        job, inputs.template, inputs.outputs, context.renderer.render
    )
    now = round(context.clock.now(), 3)
    built = rendering.built_from(
        job, inputs.template, inputs.outputs, request, now
    )
    return Prepared(request, built, inputs.pushed)


_TEMPLATE_GONE = "the template is gone; push it and write the config again"


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a request is made of. *absent* are the outputs that cannot be had, and why; *pushed* is
    the revision of the template's record in etcd, 0 for the catalogue's and for one that a
    roll-out brings: those do not change under a job."""

    template: Template
    pushed: int
    outputs: Mapping[OutputOf, Json]
    absent: Mapping[OutputOf, str]


def read_inputs(
    context: WorkerContext, work: Work, found: Mapping[str, KeyValue | None]
) -> _Inputs:
    """:raises TemplateError: there is no template that can be used."""
    job, keys = work.job, context.keys
    needed = rendering.needed_outputs(job)
    locate(context.store, keys, (output.ref for output in needed))
    records = {
        keys.below(keys.stacks, output.ref): str(output.ref)
        for output in needed
    }
    if work.handled is None:
        raise TemplateError(_TEMPLATE_GONE)
    template_key = _template_key(keys, work.handled)
    if records or template_key not in found:
        found = context.store.get_many([*records, template_key])
    template = _template(
        context, job.ref.type, work.handled, found.get(template_key)
    )
    if template is None:
        raise TemplateError(_TEMPLATE_GONE)
    if isinstance(template, BadTemplate):
        raise TemplateError(template.reason)
    given = {
        ref: _outputs(stored)
        for key, ref in records.items()
        if (stored := found.get(key))
    }
    pushed = _pushed(work.handled, found.get(template_key))
    return _Inputs(template, pushed, *rendering.pick_outputs(needed, given))


def _template_key(keys: Keys, handled: Handled) -> str:
    """Where the template of a job lies, unless it is the catalogue's."""
    if handled.candidate:
        return keys.candidate(handled.template, handled.rollout)
    return keys.template(handled.template)


def _pushed(handled: Handled, stored: KeyValue | None) -> int:
    """The revision at which the template of a job was last written."""
    if handled.candidate:
        return 0
    return revision_of(stored)


def _template(
    context: WorkerContext,
    kind: str,
    handled: Handled,
    stored: KeyValue | None,
) -> Template | BadTemplate | None:
    """The template of a job: the one in force, or the one that a roll-out brings."""
    if not handled.candidate:
        return context.template(kind, handled.template, stored)
    if stored is None:
        return None
    return read_record(stored, TemplateRevision.from_json).parsed()


def _outputs(record: KeyValue) -> dict[str, Json]:
    return read_record(
        record, lambda value: StackRecord.from_json(value).outputs_by_key()
    )
