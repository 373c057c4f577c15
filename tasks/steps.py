"""The steps of a job: read where it stands, ask the core, talk to Heat, write by comparing.

Each step may be run twice, late, or at the same time as another copy of itself: what it relies on is
compared in the transaction that it writes, and the loser does nothing. Who holds the claim on a job
talks to Heat about it; the claim hangs on the worker's lease.

The steps of a chain follow each other in one process as long as nothing has to be waited for
(:func:`run_chain`), and hand on what they know; a message carries the ids of some runs and no more. Of
several, each has a chain of its own (:func:`run_chains`).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, TypeVar

from orchestrator import faults
from orchestrator.clients.places import locate
from orchestrator.clients.queue import PORTION
from orchestrator.clients.store import KeyValue, Lease
from orchestrator.clients.types import Now
from orchestrator.core import confidential, effects, records, rendering, stacks
from orchestrator.core.effects import Basis, Ended
from orchestrator.core.jobs import Action, Job, job_ref
from orchestrator.core.keys import Keys, job_of, run_id
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.masking import Veil
from orchestrator.core.records import Failed, Handled, Run, StackRecord, Step
from orchestrator.core.refs import Json, Ref, RunId
from orchestrator.core.resources import tenant_fault
from orchestrator.core.templates import TEMPLATE_TYPE, BadTemplate, Template
from orchestrator.core.texts import cut
from orchestrator.core.transactions import Transaction
from orchestrator.errors import (
    DeletionFailed,
    HeatRefused,
    HeatUnavailable,
    LimitExceeded,
    NotSeenYet,
    ProjectRefused,
    RecordUnreadable,
    RendererUnavailable,
    StackBusy,
    StackExists,
    StackMissing,
    StoreRefused,
    StoreUnavailable,
    TemplateError,
    TemporaryError,
)

from . import polls
from .context import WorkerContext
from .retries import cause_of, delay
from .together import GatheringStore, pool

log = logging.getLogger(__name__)
T = TypeVar("T")

_MARKS_PER_TRANSACTION = 50
"""Runs a look marks at once; etcd takes 128 comparisons."""


@dataclass(frozen=True, slots=True)
class Work:
    """A job as it stands in etcd, and the revisions that were read.

    *verdict* is what a look at Heat just said, where there was one; *read* everything that was read with
    the claim, by key.
    """

    job: Job
    basis: Basis
    run: Run | None
    handled: Handled | None
    config_there: bool
    failed: Failed | None
    verdict: stacks.Verdict | None = None
    read: Mapping[str, KeyValue | None] = field(default_factory=dict)

    @property
    def tries(self) -> int:
        """How often Heat has taken a request of the job and failed it."""
        return self.run.failures if self.run else 0

    def at(self, revision: int, run: Run) -> Work:
        """The same after we wrote the run."""
        return replace(self, run=run, basis=replace(self.basis, run=revision))


TaskFunction: TypeAlias = Callable[[WorkerContext, RunId, Work | None], Work | None]
"""The work of one task. It is handed what the one before it in the chain knows, None when it begins with a message,
and answers with what the next one is to know, None when the chain ends here."""


def run_chain(context: WorkerContext, steps: Iterable[TaskFunction], run: RunId) -> None:
    """The steps of a chain, one after the other, for as long as one follows from the other."""
    work: Work | None = None
    context.claims.begin_chain()
    try:
        with context.heat.within(context.chain_time):
            for step in steps:
                work = step(context, run, work)
                if work is None:
                    return
    except BaseException as error:
        # etcd may or may not have what we wrote, a time limit struck, or we have a defect: a claim that is
        # there is handed back, and the bridge sends the job again.
        context.claims.give_up(_why(error))
        raise
    finally:
        context.claims.end_chain()


def _why(error: BaseException) -> str:
    """Why a chain ended early, without what a defect's own words might quote."""
    return str(error) if isinstance(error, TemporaryError) else f"the worker gave up: {type(error).__name__}"


def run_chains(context: WorkerContext, steps: Sequence[TaskFunction], runs: Sequence[RunId]) -> None:
    """The same chain for all the jobs of a message, side by side.

    :raises Exception: what one of them raised, once all are over.
    """
    store = GatheringStore(context.store, len(runs))
    beside = replace(context, store=store)

    def run_one(run: RunId) -> None:
        with store.chain():
            run_chain(beside, steps, run)

    chains = {pool().submit(run_one, run): run for run in runs}
    try:
        left = wait_for(chains, context.time_limit)
    except BaseException as limit:
        # Celery's time limit struck. The threads go on, but ask nothing more of Heat or etcd.
        store.stop()
        context.claims.give_up_all(_why(limit))
        raise
    if left:
        store.stop()
        late = [chains[chain] for chain in left]
        context.claims.give_up_late([context.keys.runs + run for run in late], "the worker took too long over it")
        log.error("Chains exceeded their time limit", extra={"event": "task_timeout", "runs": late})
    _raise_first({run: error for chain, run in chains.items() if chain.done() and (error := chain.exception())})


def _raise_first(ended: Mapping[RunId, BaseException]) -> None:
    """Tell how chains ended early, and raise what one of them raised."""
    for run, early in ended.items():
        # Of a defect, only the kind is told here; the traceback is told of the one that is raised.
        log.warning("Chain ended early", extra={"event": "chain_ended_early", "run": run, "reason": cut(_why(early))})
    # Bugs before temporary errors: only the one that is raised is told in full.
    for early in sorted(ended.values(), key=lambda early: isinstance(early, TemporaryError)):
        raise early


def wait_for(chains: Iterable[futures.Future[None]], seconds: float) -> Iterable[futures.Future[None]]:
    """Wait until all have ended, or their time is over. Those that have not ended."""
    return futures.wait(chains, timeout=seconds).not_done


def load(context: WorkerContext, run_id: RunId) -> Work | None:
    """Everything a step needs to know about a job, in one reading; None when the job is over."""
    for now in context.types.as_of(job_ref(job_of(run_id))):
        keys = now.keys
        locate(context.store, keys, [job_ref(job_of(run_id))])
        found = context.store.get_many([*_about(keys, run_id), keys.schema_list])
        if now.is_of(found.get(keys.schema_list)):
            return _work(keys, run_id, found)
    raise TemporaryError("the schema list changes all the time; the job is sent again")


def _about(keys: Keys, run_id: RunId) -> tuple[str, ...]:
    """The keys that say where a job stands: its record, its run, and of its resource the config, what was
    handled and what failed."""
    job = job_of(run_id)
    ref = job_ref(job)
    return (keys.job(job), keys.runs + run_id, *(keys.below(folder, ref) for folder in (keys.config, keys.handled, keys.failed)))


def _work(keys: Keys, run_id: RunId, found: Mapping[str, KeyValue | None]) -> Work | None:
    record, run, config, handled_kv, failed = map(found.get, _about(keys, run_id))
    if record is None:
        return None
    job = _read(record, Job.from_json)
    handled = _read(handled_kv, Handled.from_json) if handled_kv else None
    incarnation = handled.incarnation if handled else 0
    outlived = handled is not None and job.id in handled.outlived
    return Work(
        job=job,
        basis=Basis(record.revision, run.revision if run else 0, incarnation),
        run=_read(run, Run.from_json) if run else None,
        handled=handled,
        config_there=config is not None and config.created == incarnation and not outlived,
        failed=_read(failed, Failed.from_json) if failed else None,
    )


def _read(kv: KeyValue, parse: Callable[[bytes], T]) -> T:
    return records.read(kv.key, kv.value, parse)


# Submit: ask Heat ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Attempt:
    """One try of a job.

    *asked* becomes true directly before Heat is asked to change something, *met* when Heat shows a
    stack that says by its tags that it is the resource's.
    """

    work: Work
    asked: bool = False
    met: bool = False

    @property
    def tags(self) -> str:
        return stacks.tags(self.work.job.id, self.work.tries)


def submit(context: WorkerContext, run_id: RunId, _: Work | None = None) -> Work | None:
    """Claim the job, make the request, ask Heat."""
    faults.reach("worker-before-claim")
    lease = context.claims.lease()
    work = _claim(context, run_id, lease)
    if work is None or work.run is None:
        log.info("Job already finished or claimed elsewhere", extra={"event": "submit_late", "run": run_id})
        return None
    faults.reach("worker-after-claim")
    attempt = Attempt(work, work.run.asked)
    try:
        with context.heat.only_while(partial(_still_ours, context, lease)):
            asked = _ask(context, attempt)
    except StoreUnavailable:
        raise
    except TemporaryError as error:
        _not_now(context, replace(work, run=replace(work.run, asked=attempt.asked)), error)
        return None
    except (TemplateError, HeatRefused) as error:
        _finish(context, work, _refused(work, error, met=attempt.met), ours=isinstance(error, TemplateError))
        return None
    if isinstance(asked, Ended):
        _finish(context, work, replace(asked, asked=attempt.asked or attempt.met))
        return None
    faults.reach("worker-after-heat")
    log.info("Request sent to Heat", extra={"event": "stack_submitted", "job": work.job.id, "stack": asked.stack})
    # Not written yet: the claim holds until wait() knows what there is to write.
    return replace(work, run=replace(asked, failures=work.run.failures, since=work.run.since))


def _refused(work: Work, error: TemplateError | HeatRefused, *, met: bool) -> Ended:
    """The end of a job whose request cannot be made, or was refused: by Heat itself, so it has made nothing of it.

    :param met: whether there is a stack of the resource all the same, which goes when the config goes.
    """
    job = work.job
    # A template that does not render is the root of the failure: a better one repairs it.
    root = Ref(TEMPLATE_TYPE, work.handled.template) if work.handled and isinstance(error, TemplateError) else None
    asked = met or (work.run is not None and work.run.asked)
    return effects.not_built(job.action, _advice(job, error), root=root, live=job.action is not Action.CREATE, asked=asked)


def _not_now(context: WorkerContext, work: Work, error: TemporaryError) -> None:
    """Heat was not asked, or did not take it: later, unless the time for that is over."""
    assert work.run is not None
    job = work.job
    if isinstance(error, ProjectRefused) and job.action is Action.DELETE and _is_given_up(context, work):
        log.warning(
            "Project does not exist any more, nor do its stacks",
            extra={"event": "project_gone", "job": job.id, "tenant": job.tenant},
        )
        _finish(context, work, Ended("DELETE_COMPLETE", live=False))
    elif work.run.overdue and isinstance(error, (StackBusy, ProjectRefused)):
        _finish(context, work, effects.not_built(job.action, _too_late(job, error), live=work.run.asked or _is_built(work)))
    else:
        _try_again(context, work, error, attempt=work.run.attempt + 1)


def _is_given_up(context: WorkerContext, work: Work) -> bool:
    """Whether nothing is to be deleted any more: a person says so of the project, or Keystone does, and nobody wants it."""
    assert work.run is not None
    return work.run.abandoned or (not work.config_there and _is_gone(context, work.job))


def _is_gone(context: WorkerContext, job: Job) -> bool:
    """Whether Keystone says, to somebody who may know, that there is no such project any more."""
    try:
        return context.heat.gone(job.tenant) is True
    except TemporaryError:
        return False


def _too_late(job: Job, error: TemporaryError) -> str:
    again = f"orchestrator retry {job.ref.type} {job.ref.id}"
    if isinstance(error, ProjectRefused) and job.action is Action.DELETE:
        gone = f"if the project is gone for good: {again}, then orchestrator confirm project {job.tenant}"
        return f"{error}; give the workers' user a role in the project, then: {again}; {gone}"
    if isinstance(error, ProjectRefused):
        return (
            f"{error}; give the workers' user a role in the project, or correct tenant_id; then write the next version, or: {again}"
        )
    return f"{error}; it has been so for longer than any timeout: repair or delete the stack in Heat, then: {again}"


def _is_built(work: Work) -> bool:
    """Whether our records told of a stack when the job was made."""
    return work.handled is not None and work.handled.built


def _claim(context: WorkerContext, run_id: RunId, lease: Lease) -> Work | None:
    """Make the job ours; None when it is not to be had.

    Nearly always it is a job that no worker has had before: it is claimed and read in one transaction.
    """
    claimed = Run(Step.CLAIMED, since=time.time())
    for now in context.types.as_of(job_ref(job_of(run_id))):
        revision, found = _try_to_claim(context, now, run_id, claimed, lease)
        if now.is_of(found[now.keys.schema_list]):
            return _claimed(context, now, run_id, claimed, revision, found, lease)
        context.claims.begin_chain()  # The claim was refused, so there is none.
    raise TemporaryError("the schema list changes all the time; the job is sent again")


def _try_to_claim(
    context: WorkerContext, now: Now, run_id: RunId, claimed: Run, lease: Lease
) -> tuple[int, Mapping[str, KeyValue | None]]:
    """Claim a job that no worker has had before, by the schema list that we know, and read what it is about."""
    keys, ref = now.keys, job_ref(job_of(run_id))
    locate(context.store, keys, [ref])
    usual = context.usual_template(ref.type)
    wanted = [*_about(keys, run_id), *([keys.template(usual)] if usual else []), keys.schema_list]
    first = effects.claim(keys, run_id, claimed).also(now.unchanged)
    context.claims.claiming(lease)
    revision, found = context.store.commit_and_read(first, wanted, lease)
    return revision, {key: found.get(key) for key in wanted}


def _claimed(
    context: WorkerContext,
    now: Now,
    run_id: RunId,
    claimed: Run,
    revision: int,
    found: Mapping[str, KeyValue | None],
    lease: Lease,
) -> Work | None:
    """What follows: the job is ours; or it was had before and is to be tried again; or it is not to be had.

    :param revision: that of our claim; 0 when it was refused.
    """
    keys = now.keys
    if revision:
        context.claims.claimed(lease, keys.runs + run_id, claimed.to_json(), revision)
    work = _work(keys, run_id, found)
    if work is None:
        return None
    if revision:
        return replace(work, read=found)
    if work.run is None or work.run.step is not Step.RETRY:
        return None
    claimed = replace(work.run, step=Step.CLAIMED, delay=0.0, due=0.0, reason="", cause="")
    again = effects.claim(keys, run_id, claimed, work.basis).also(now.unchanged)
    revision = context.store.commit(again, lease)
    if not revision:
        return None
    context.claims.claimed(lease, keys.runs + run_id, claimed.to_json(), revision)
    return work.at(revision, claimed)


def _still_ours(context: WorkerContext, lease: Lease) -> None:
    """Asked directly before each request leaves: a worker that was paused past its lease must not make it,
    for another has taken the job. What remains is a pause between this line and the socket.

    :raises StoreUnavailable: the claim is not certainly ours any more.
    """
    if not (lease.alive and context.claims.holds()):
        raise StoreUnavailable("the claim was lost before Heat was asked")


def _ask(context: WorkerContext, attempt: Attempt) -> Run | Ended:
    """Make one request of Heat: where the job then stands, or how it ended already."""
    job = attempt.work.job
    if job.action is Action.DELETE and _is_nowhere(attempt.work):
        return Ended("DELETE_COMPLETE", live=False)
    context.heat.prepare(job.tenant)
    if job.action is Action.DELETE:
        return _ask_delete(context, attempt)
    prepared = _prepare(context, attempt.work)
    if isinstance(prepared, Ended):
        return prepared
    if job.action is Action.CREATE:
        with contextlib.suppress(StackExists):
            return _create(context, attempt, prepared)
    return _ask_change(context, attempt, prepared)


def _create(context: WorkerContext, attempt: Attempt, prepared: rendering.StackRequest) -> Run:
    before, attempt.asked = attempt.asked, True
    try:
        return _waiting(context.heat.create(prepared, attempt.tags), prepared.timeout_mins)
    except StackExists:
        attempt.asked = before  # Of this request, Heat has made nothing.
        raise


def _waiting(stack: str, timeout_mins: int | None = None) -> Run:
    return Run(Step.WAITING, stack=stack, asked_at=time.time(), timeout_mins=timeout_mins or 0, asked=True)


def _prepare(context: WorkerContext, work: Work) -> rendering.StackRequest | Ended:
    """The request, of the template as it was at the claim, if that is known and will do, or else as it is now."""
    if work.read:
        try:
            return _make_request(context, work, work.read)
        except TemplateError:
            if not _is_corrected(context, work):
                raise
    return _make_request(context, work, {})


def _is_corrected(context: WorkerContext, work: Work) -> bool:
    """Whether the template has changed since the claim, with which it was read."""
    key = context.keys.template(work.handled.template) if work.handled else ""
    if key not in work.read:
        return False  # It was read after the claim.
    before, now = work.read[key], context.store.get(key)
    return (before.revision if before else 0) != (now.revision if now else 0)


def _make_request(context: WorkerContext, work: Work, found: Mapping[str, KeyValue | None]) -> rendering.StackRequest | Ended:
    """The same from what was found in etcd; what is missing is read, all at once."""
    job = work.job
    inputs = _read_inputs(context, work, found)
    if inputs.absent:
        output = min(inputs.absent, key=lambda o: (o.ref, o.key))
        error = f"needs output {output.key!r} of the stack of {output.ref}, {inputs.absent[output]}"
        return effects.not_built(job.action, error, root=output.ref, live=job.action is not Action.CREATE)
    return rendering.request(job, inputs.template, inputs.outputs, context.renderer.render)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a request is made of. *absent* are the outputs that cannot be had, and why."""

    template: Template
    outputs: Mapping[OutputOf, Json]
    absent: Mapping[OutputOf, str]


def _read_inputs(context: WorkerContext, work: Work, found: Mapping[str, KeyValue | None]) -> _Inputs:
    """:raises TemplateError: there is no template that can be used."""
    job, keys = work.job, context.keys
    needed = rendering.needed_outputs(job)
    locate(context.store, keys, (output.ref for output in needed))
    records = {keys.below(keys.stacks, output.ref): str(output.ref) for output in needed}
    template_key = keys.template(work.handled.template) if work.handled else ""
    if records or template_key not in found:
        found = context.store.get_many([*records, *([template_key] if template_key else [])])
    template = context.template(job.ref.type, work.handled.template, found.get(template_key)) if work.handled else None
    if template is None or isinstance(template, BadTemplate):
        raise TemplateError(template.reason if template else "the template is gone; push it and write the config again")
    given = {ref: _outputs(stored) for key, ref in records.items() if (stored := found.get(key))}
    return _Inputs(template, *rendering.pick_outputs(needed, given))


def _outputs(record: KeyValue) -> dict[str, Json]:
    return _read(record, lambda value: StackRecord.from_json(value).outputs_by_key())


def _ask_change(context: WorkerContext, attempt: Attempt, prepared: rendering.StackRequest) -> Run | Ended:
    """Update the stack that is there, or build it when there is none."""
    work, job = attempt.work, attempt.work.job
    stack = _find(context, job)
    attempt.met = stack is not None and stacks.owns(job.ref, stack, recorded=False)
    match _next_request(context, work, stack):
        case stacks.Asked(stack):
            return _waiting(stack.id, prepared.timeout_mins)
        case stacks.Create():
            try:
                return _create(context, attempt, prepared)
            except StackExists as error:
                # With convergence, Heat shows a deletion as complete some seconds before the name is free.
                raise StackBusy(f"Heat shows no stack of this name, and does not give the name yet: {error.reason}") from error
        case stacks.Update(stack):
            attempt.asked = True
            try:
                context.heat.update(prepared, stack, attempt.tags)
            except StackMissing as error:
                raise HeatUnavailable(f"the stack went away meanwhile: {error}") from error
            return _waiting(stack.id, prepared.timeout_mins)
        case stacks.Delete(stack):
            attempt.asked = True
            context.heat.delete(job.tenant, stack)
            raise StackBusy(f"the stack is in {stack.status} and cannot be updated; it is deleted and built anew")
        case stacks.Wait(stack):
            raise StackBusy(f"the stack is in {stack.status}; our turn comes after it")
        case stacks.Leave(why):
            log.warning("Stack left unchanged", extra={"event": "stack_left", "job": job.id, "reason": why})
            return effects.not_built(job.action, _left(job, why, stack), live=_is_built(work))
        case stacks.Gone():
            raise AssertionError("only a deletion finds nothing to do")


def _find(context: WorkerContext, job: Job) -> stacks.Stack | None:
    return context.noted(context.heat.show(job.tenant, job.ref.stack_name, outputs=False))


def _next_request(context: WorkerContext, work: Work, stack: stacks.Stack | None) -> stacks.Request:
    handled, run = work.handled, work.run
    built = handled is not None and handled.built
    # Where Heat keeps tags they tell whose a stack is; where it keeps none, that we have asked for it will do.
    sent = handled is not None and (handled.uncertain or (run is not None and run.asked))
    keeps_tags = context.sightings.keeps_tags or (run is not None and run.tagged)
    recorded = built or (sent and not keeps_tags) or _is_known_by_id(work, stack)
    grounds = stacks.Grounds(recorded, handled is not None and handled.force, work.tries)
    return stacks.next_request(work.job.action, work.job.id, stack, grounds)


def _is_known_by_id(work: Work, stack: stacks.Stack | None) -> bool:
    """Whether it is the very stack that this job, or one before it, was given by Heat."""
    known = {record.stack for record in (work.handled, work.run) if record is not None}
    return stack is not None and stack.id in known


def _left(job: Job, why: str, stack: stacks.Stack | None) -> str:
    again = f"orchestrator retry {job.ref.type} {job.ref.id}"
    suspended = stack is not None and stack.suspended
    return f"{why}; then: {again}" if suspended else f"{why}; rename or remove it in Heat, or take it as it is: {again} --force"


def _ask_delete(context: WorkerContext, attempt: Attempt) -> Run | Ended:
    work, job = attempt.work, attempt.work.job
    stack = _find(context, job)
    match _next_request(context, work, stack):
        case stacks.Delete(stack):
            attempt.asked = True
            context.heat.delete(job.tenant, stack)
            return _waiting(stack.id)
        case stacks.Asked(stack):
            return _waiting(stack.id)
        case _ if stack is None and not _is_certainly_absent(work):
            raise NotSeenYet("Heat shows no stack, and may have taken a request for one a moment ago; looking once more")
        case _:
            return Ended("DELETE_COMPLETE", live=False)


def _is_nowhere(work: Work) -> bool:
    """Whether a deletion names no project in which a stack could be, and no request was ever sent: all its versions
    were refused."""
    handled = work.handled
    if handled is not None and (handled.built or handled.uncertain):
        return False
    return bool(tenant_fault(work.job.body))


def _is_certainly_absent(work: Work) -> bool:
    """Whether one look is enough: what Heat shows is not older than a request that may have reached it."""
    handled, run = work.handled, work.run
    if handled is None or handled.built or not handled.uncertain:
        return True
    return run is not None and (run.absent or run.asked)


def _advice(job: Job, error: TemplateError | HeatRefused) -> str:
    if isinstance(error, LimitExceeded):
        again = f"orchestrator retry {job.ref.type} {job.ref.id}"
        return f"{error}; raise that limit in Heat, then: {again}; or make the stack smaller with the next version"
    what = "the template or its mapping" if isinstance(error, TemplateError) else "the configuration, the template or the quota"
    return f"{error}; correct {what} and write the config with the next version"


def _try_again(context: WorkerContext, work: Work, error: TemporaryError, *, attempt: int = 0) -> None:
    """Leave word that the bridge is to send the job again, and why. The chain ends here.

    :param attempt: how many temporary failures in a row this makes. Without it, Heat took the request and
        it came to nothing: that is counted apart, so that an outage does not use up the tries of a deletion.
    """
    assert work.run is not None
    failures = work.run.failures if attempt else work.run.failures + 1
    seconds = delay(error, attempt or failures, context.policies)
    run = Run(
        Step.RETRY,
        attempt=attempt,
        failures=failures,
        delay=seconds,
        due=round(time.time() + seconds, 3),
        reason=_veil(context, work, thoroughly=not isinstance(error, RendererUnavailable)).over(str(error)),
        cause=cause_of(error).value,
        since=work.run.since,
        stack=work.run.stack,
        tagged=work.run.tagged,
        asked=work.run.asked,
        absent=work.run.absent or isinstance(error, NotSeenYet),
        abandoned=work.run.abandoned,
    )
    log.warning("Job retry scheduled", extra={"event": "job_retry", "job": work.job.id, "delay": run.delay, "reason": run.reason})
    context.store.commit(effects.move(context.keys, work.job, work.basis, run))


# Wait: one look at one stack -----------------------------------------------------------------------


def wait(context: WorkerContext, run_id: RunId, work: Work | None = None) -> Work | None:
    """Whether Heat is done already, so that the chain goes on. If not, the tenant's looks take over.

    A look costs Heat as much as a request, so it is taken only at kinds of stacks that Heat has been
    seen to finish at once.
    """
    claimed = work is not None
    work = work or load(context, run_id)
    if work is None or work.run is None or work.run.step is not Step.WAITING:
        return None
    # The first look of a process also tells whether this Heat keeps tags.
    if not (claimed and context.sightings.keeps_tags) or context.prompt.worth_a_look(work.job.ref.type):
        try:
            verdict = _judge(context, work, _show(context, work))
        except (TemporaryError, HeatRefused) as error:
            _tell_look_failed(context, work, error)
        else:
            done = not isinstance(verdict, stacks.InProgress) and not _unresolved(work.run, verdict)
            context.prompt.note(work.job.ref.type, done)
            if done:
                return replace(work, verdict=verdict)
    if claimed:
        run = replace(work.run, tagged=context.sightings.keeps_tags)
        context.store.commit(effects.move(context.keys, work.job, work.basis, run))
        faults.reach("worker-after-asked")
    return None


def _tell_look_failed(context: WorkerContext, work: Work, error: TemporaryError | HeatRefused) -> None:
    reason = cut(_veil(context, work).over(str(error)))
    fields = {"event": "look_failed", "run": run_id(work.job.tenant, work.job.id), "reason": reason}
    log.info("Heat cannot be polled now", extra=fields)


def _judge(context: WorkerContext, work: Work, stack: stacks.Stack | None) -> stacks.Verdict:
    run, job = work.run, work.job
    assert run is not None
    keeps_tags = context.sightings.keeps_tags or run.tagged
    sight = stacks.Sight(overdue=run.overdue, keeps_tags=keeps_tags, tries=work.tries)
    verdict = stacks.judge(job.action, job.id, stack, sight)
    at_rest = stack is None or not stack.in_progress
    if isinstance(verdict, stacks.InProgress) and at_rest and context.sightings.settled(f"{job.id} {run.asked_at}", stack):
        verdict = stacks.judge(job.action, job.id, stack, replace(sight, settled=True))
    return verdict


_LOOKS_AT_OUTPUTS = 3
"""Looks at a stack some of whose outputs Heat cannot compute: a service that it asks may be away for a moment."""


def _unresolved(run: Run, verdict: stacks.Verdict) -> bool:
    """Whether another look may bring an output that Heat could not compute."""
    if not isinstance(verdict, stacks.Complete) or verdict.stack is None or run.unresolved >= _LOOKS_AT_OUTPUTS:
        return False
    return any(map(rendering.output_error, verdict.stack.outputs or ()))


def _show(context: WorkerContext, work: Work) -> stacks.Stack | None:
    assert work.run is not None
    outputs = work.job.action is not Action.DELETE
    return context.noted(context.heat.show(work.job.tenant, f"{work.job.ref.stack_name}/{work.run.stack}", outputs=outputs))


# Record: write the outcome -------------------------------------------------------------------------


def record(context: WorkerContext, run_id: RunId, work: Work | None = None) -> None:
    """Write how the job ended, if it has."""
    work = work or load(context, run_id)
    if work is None or work.run is None or work.run.step not in (Step.WAITING, Step.ENDED):
        return
    verdict = work.verdict
    if verdict is None:
        try:
            verdict = _judge(context, work, _show(context, work))
        except (TemporaryError, HeatRefused) as failure:
            _tell_look_failed(context, work, failure)
            _look_again(context, work)
            return
    faults.reach("worker-before-end")
    if _unresolved(work.run, verdict):
        log.info("Heat could not compute an output, polling again", extra={"event": "output_unresolved", "job": work.job.id})
        _look_again(context, work, unresolved=work.run.unresolved + 1)
        return
    match verdict:
        case stacks.InProgress():
            _look_again(context, work)
        case stacks.Lost(why):
            log.warning("Heat dropped the request", extra={"event": "request_lost", "job": work.job.id, "reason": why})
            _try_again(context, work, StackBusy(f"{why}; asking again"))
        case stacks.Complete(built):
            _finish(context, work, _ended(built))
        case stacks.StackFailed():
            _stack_failed(context, work, verdict)


def _stack_failed(context: WorkerContext, work: Work, verdict: stacks.StackFailed) -> None:
    """Heat ended the operation in a failure: tried again where that is nobody's fault, or else reported."""
    assert work.run is not None
    action = work.job.action
    error = stacks.advice(action, work.job.ref, verdict.error, config_there=work.config_there)
    # A deletion that no config stands for has nobody who could ask again: it is never given up.
    asked_again = work.run.failures + 1 < stacks.DELETE_ATTEMPTS or not work.config_there
    if action is Action.DELETE and asked_again:
        _try_again(context, work, DeletionFailed(error))
    elif verdict.outside and not work.run.overdue:
        _try_again(context, work, StackBusy(f"{verdict.error}; asking again"))
    elif verdict.stack is None:
        _finish(context, work, effects.not_built(action, error))
    else:
        _finish(context, work, _ended(verdict.stack, error))


def _ended(stack: stacks.Stack | None, error: str = "") -> Ended:
    if stack is None:
        return Ended("DELETE_COMPLETE", live=False)
    return Ended(stack.status, stack.outputs or (), stack.reason, error)


def _look_again(context: WorkerContext, work: Work, *, unresolved: int = 0) -> None:
    """Not done after all: back to where the tenant's looks find it."""
    assert work.run is not None
    if work.run.step is Step.ENDED or unresolved:
        run = replace(work.run, step=Step.WAITING, unresolved=unresolved or work.run.unresolved)
        context.store.commit(effects.move(context.keys, work.job, work.basis, run))


def _finish(context: WorkerContext, work: Work, ended: Ended, *, ours: bool = False) -> None:
    """Write how the job ended: without secrets, and no larger than etcd takes.

    :param ours: the error is in words of our own, which quote no value.

    An etcd with a lower limit than its default gets less of the outputs, in the end none.
    """
    veil = _veil(context, work, thoroughly=bool(ended.error) and not ours)
    outputs = [_without_secret_error(output, veil) for output in ended.outputs]
    ended = replace(ended, error=veil.over(ended.error), reason=veil.over(ended.reason), outputs=outputs)
    for most in (effects.LARGEST_OUTPUTS, effects.LARGEST_OUTPUTS // 8):
        with contextlib.suppress(StoreRefused):
            _write_end(context, work, effects.within_bounds(ended, most))
            return
    _write_end(context, work, effects.within_bounds(ended, 0))


def _without_secret_error(output: Json, veil: Veil) -> Json:
    """An output as Heat gave it; where Heat could not compute it, its words about that may quote anything."""
    error = rendering.output_error(output)
    return {**output, "output_error": cut(veil.over(error))} if error else output


def _write_end(context: WorkerContext, work: Work, ended: Ended) -> None:
    """Both halves of the end. A crash between them repeats the first, which changes nothing."""
    keys, job = context.keys, work.job
    if not context.store.commit(effects.end_stack(keys, job, work.basis, ended)):
        return
    faults.reach("worker-after-stack")
    while not context.store.commit(_end_job(context, work, ended)):
        again = load(context, run_id(job.tenant, job.id))
        if again is None or again.basis.run != work.basis.run:
            return  # Somebody else has ended it, or will.
        work = again  # The config has gone, or come back, meanwhile.
    faults.reach("worker-after-end")
    level = logging.WARNING if ended.error else logging.INFO
    fields = {"event": "job_done", "job": job.id, "status": ended.status, **({"reason": ended.error} if ended.error else {})}
    log.log(level, "Job ended", extra=fields)


def _end_job(context: WorkerContext, work: Work, ended: Ended) -> Transaction:
    return effects.end_job(
        context.keys,
        work.job,
        work.basis,
        ended,
        config=work.config_there,
        earlier=work.failed,
        as_string=context.state_as_string,
    )


def _veil(context: WorkerContext, work: Work, *, thoroughly: bool = True) -> Veil:
    """What hides the secrets of a job in the words of Heat, which sometimes quotes them.

    :param thoroughly: also those that only the request shows: outputs of other stacks, and what the template
        declares hidden. It costs a reading of etcd, and a rendering.
    """
    if not thoroughly:
        return Veil(confidential.by_name(work.job))
    template = request = None
    with contextlib.suppress(TemplateError, RendererUnavailable):
        inputs = _read_inputs(context, work, work.read)
        template = inputs.template
        request = None if inputs.absent else rendering.request(work.job, template, inputs.outputs, context.renderer.render)
    return Veil(confidential.of_job(work.job, template, request))


# Looks: many stacks, one request -------------------------------------------------------------------


def look(context: WorkerContext, tenant: str) -> int:
    """Find which of a tenant's stacks are done, with one list. How many were found."""
    waiting = list(_waiting_runs(context, tenant))
    if not waiting:
        return 0
    try:
        busy = set(context.heat.in_progress(tenant))
    except (TemporaryError, HeatRefused) as error:
        if not isinstance(error, StoreUnavailable):
            polls.failed(context, tenant, error)
            return 0
        raise
    polls.answered(context, tenant)
    ended = [(replace(run, step=Step.ENDED), key, revision) for run, key, revision in waiting if run.stack not in busy]
    marked = [context.keys.run_id(key) for key in _marked(context, ended)]
    if marked:
        faults.reach("worker-after-mark")
        here, *others = (marked[start : start + PORTION] for start in range(0, len(marked), PORTION))
        try:
            for portion in others:
                context.queue.record(portion)
        finally:
            run_chains(context, (record,), here)
    return len(marked)


def _waiting_runs(context: WorkerContext, tenant: str) -> Iterator[tuple[Run, str, int]]:
    """The runs of a tenant that Heat works on, each with its key and revision."""
    for kv in context.store.list(context.keys.tenant_runs(tenant))[1]:
        try:
            run = _read(kv, Run.from_json)
        except RecordUnreadable as error:
            log.error("Record skipped", extra={"event": "record_unreadable", "record": kv.key, "reason": str(error)})
            continue
        if run.step is Step.WAITING:
            yield run, kv.key, kv.revision


def _marked(context: WorkerContext, ended: Sequence[tuple[Run, str, int]]) -> Iterator[str]:
    """The keys of the runs that we, and no other look, found ended."""
    for start in range(0, len(ended), _MARKS_PER_TRANSACTION):
        batch = ended[start : start + _MARKS_PER_TRANSACTION]
        if context.store.commit(effects.mark_ended(batch)):
            yield from (key for _, key, _ in batch)
        elif len(batch) > 1:  # Somebody was faster with one of them.
            for single in batch:
                yield from _marked(context, [single])
