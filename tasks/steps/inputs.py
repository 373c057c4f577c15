"""What a request to Heat is made of: template, parameters, outputs of other stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue
from orchestrator.core import effects, rendering
from orchestrator.core.effects import JobOutcome
from orchestrator.core.jobs import Action
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.records import (
    Built,
    StackRecord,
)
from orchestrator.core.refs import Json
from orchestrator.core.templates import Template
from orchestrator.errors import (
    TemplateError,
)

from ..context import WorkerContext
from . import templating
from .templating import JobTemplate
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
    try:
        return _make_request(context, work, work.read)
    except TemplateError:
        if not templating.is_corrected(context, work):
            raise
    return _make_request(context, work, {}, newest=True)


def _make_request(
    context: WorkerContext,
    work: Work,
    found: Mapping[str, KeyValue | None],
    *,
    newest: bool = False,
) -> Prepared | JobOutcome:
    """The same from what was found in etcd; what is missing is read, all at once.

    :param newest: whether the template is the one in force, whatever the job was made with.
    """
    job = work.job
    inputs = read_inputs(context, work, found, newest=newest)
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
    if not inputs.source.certain:
        built = replace(built, revision="")
    return Prepared(request, built, inputs.source.pushed)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a request is made of. *absent* are the outputs that cannot be had, and why."""

    source: JobTemplate
    outputs: Mapping[OutputOf, Json]
    absent: Mapping[OutputOf, str]

    @property
    def template(self) -> Template:
        return self.source.template


def read_inputs(
    context: WorkerContext,
    work: Work,
    found: Mapping[str, KeyValue | None],
    *,
    newest: bool = False,
) -> _Inputs:
    """What a request is made of.

    :raises TemplateError: there is no template that can be used.
    """
    job, keys = work.job, context.keys
    needed = rendering.needed_outputs(job)
    locate(context.store, keys, (output.ref for output in needed))
    records = {
        keys.below(keys.stacks, output.ref): str(output.ref)
        for output in needed
    }
    template_key = templating.key_of(keys, templating.handled_of(work))
    if records or template_key not in found:
        found = context.store.get_many([*records, template_key])
    stored = found.get(template_key)
    source = templating.of_job(context, work, stored, newest=newest)
    given = {
        ref: _outputs(record)
        for key, ref in records.items()
        if (record := found.get(key))
    }
    return _Inputs(source, *rendering.pick_outputs(needed, given))


def _outputs(record: KeyValue) -> dict[str, Json]:
    return read_record(
        record, lambda value: StackRecord.from_json(value).outputs_by_key()
    )
