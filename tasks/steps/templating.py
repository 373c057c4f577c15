"""Which revision of its template a job is built from."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.clients.store import KeyValue, revision_of
from orchestrator.core.keys import Keys
from orchestrator.core.records import Handled, TemplateRevision
from orchestrator.core.templates import BadTemplate, Template
from orchestrator.errors import TemplateError

from ..context import WorkerContext
from .work import Work, read_record

_GONE = "the template is gone; push it and write the config again"


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """The template that a job is built from."""

    template: Template
    pushed: int
    """The revision of its record in etcd, 0 for the catalogue's and for one that a roll-out brings:
    those do not change under a job."""
    certain: bool = True
    """Whether its mappings have given the job its parameters."""


def handled_of(work: Work) -> Handled:
    """What was handled with the job.

    :raises TemplateError: nothing is recorded of it.
    """
    if work.handled is None:
        raise TemplateError(_GONE)
    return work.handled


def key_of(keys: Keys, handled: Handled) -> str:
    """Where the template of a job lies, unless it is the catalogue's."""
    if handled.candidate:
        return keys.candidate(handled.template, handled.rollout)
    return keys.template(handled.template)


def of_job(
    context: WorkerContext,
    work: Work,
    stored: KeyValue | None,
    *,
    newest: bool = False,
) -> JobTemplate:
    """The template of a job: the one in force, or the one that a roll-out brings.

    The one in force may have been pushed after the job was made.
    A change of the text alone is taken in. With other mappings, the new text would get parameters
    that were not made for it: then the job is built from the revision that it was made with.

    :param stored: what lies at :func:`key_of`.
    :param newest: whether the one in force is taken in any case.
    :raises TemplateError: there is none that can be used.
    """
    handled = handled_of(work)
    found = _found(context, work.job.ref.type, handled, stored)
    if found is None:
        raise TemplateError(_GONE)
    if isinstance(found, BadTemplate):
        raise TemplateError(found.reason)
    pushed = _pushed(handled, stored)
    known = handled.template_revision
    # An earlier release recorded no revision.
    if found.revision == known or not known:
        return JobTemplate(found, pushed)
    decided = _kept(context, handled)
    if decided is None:
        return JobTemplate(found, pushed, certain=False)
    if decided.mappings == found.mappings:
        return JobTemplate(found, pushed)
    if newest:
        return JobTemplate(found, pushed, certain=False)
    return JobTemplate(decided, pushed)


def is_corrected(context: WorkerContext, work: Work) -> bool:
    """Whether the template has changed since the claim, with which it was read, or since the job
    was made."""
    handled = work.handled
    if handled is None or handled.candidate:
        return False
    key = context.keys.template(handled.template)
    now = context.store.get(key)
    if key in work.read and revision_of(work.read[key]) != revision_of(now):
        return True
    template = context.template(work.job.ref.type, handled.template, now)
    if not handled.template_revision or not isinstance(template, Template):
        return False
    return template.revision != handled.template_revision


def _found(
    context: WorkerContext,
    kind: str,
    handled: Handled,
    stored: KeyValue | None,
) -> Template | BadTemplate | None:
    if not handled.candidate:
        return context.template(kind, handled.template, stored)
    if stored is None:
        return None
    return read_record(stored, TemplateRevision.from_json).parsed()


def _pushed(handled: Handled, stored: KeyValue | None) -> int:
    """The revision at which the template of a job was last written."""
    if handled.candidate:
        return 0
    return revision_of(stored)


def _kept(context: WorkerContext, handled: Handled) -> Template | None:
    """The revision that a job was made with; None when it is not kept."""
    key = context.keys.revision(handled.template, handled.template_revision)
    stored = context.store.get(key)
    if stored is None:
        return None
    return read_record(stored, TemplateRevision.from_json).parsed()
