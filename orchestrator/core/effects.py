"""From decisions and outcomes to transactions: the only place that says which keys change together.

Each function names, in its ``requires``, what the writes rely on; docs/design.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from . import records
from .jobs import Action, Job, job_ref
from .keys import Keys, job_of
from .planning import Clean, Hold, Refuse, Report, Start
from .records import Cause, Failed, Handled, Poll, Run, Step
from .refs import JobId, Json, Ref, RunId
from .resources import Wanted
from .schema_list import SchemaList, Trouble
from .texts import LONGEST_REASON, cut
from .transactions import (
    Require,
    Transaction,
    absent,
    exists,
    same_incarnation,
    unchanged,
)


def _config(keys: Keys, ref: Ref, wanted: Wanted | None) -> Require:
    """The decision was made on this very write of the config (or on there being none)."""
    return unchanged(
        keys.below(keys.config, ref), wanted.revision if wanted else 0
    )


# What the bridge decides --------------------------------------------------------------------------


def report(keys: Keys, decision: Report, as_string: bool) -> Transaction:
    """``READ_COMPLETE``, and nothing else to remember."""
    ref = decision.wanted.ref
    state = records.StateRecord.read_complete(decision.wanted.version)
    return Transaction(
        requires=(_config(keys, ref, decision.wanted),),
        puts={keys.below(keys.state, ref): state.to_json(as_string)},
        deletes=(keys.below(keys.held, ref), keys.below(keys.failed, ref)),
    )


def start(keys: Keys, decision: Start) -> Transaction:
    """The job record, and what was handled: together, so that no config makes two jobs. Superseded
    jobs go in the same breath, provided that no worker has taken them meanwhile."""
    ref = decision.job.ref
    return Transaction(
        requires=(
            _config(keys, ref, decision.wanted),
            absent(keys.job(decision.job.id)),
            *_untaken(keys, decision.superseded, decision.retried),
        ),
        puts={
            keys.job(decision.job.id): decision.job.to_json(),
            keys.below(keys.handled, ref): decision.handled.to_json(),
        },
        deletes=(
            keys.below(keys.held, ref),
            *_records_of(keys, decision.superseded, decision.retried),
        ),
    )


def _untaken(
    keys: Keys, jobs: Sequence[Job], retried: Mapping[JobId, int]
) -> Iterator[Require]:
    """No worker has these jobs: none had, or the one that had could not put it to Heat."""
    for job in jobs:
        yield exists(keys.job(job.id))
        yield unchanged(keys.run(job.tenant, job.id), retried.get(job.id, 0))


def _records_of(
    keys: Keys, jobs: Sequence[Job], retried: Mapping[JobId, int]
) -> Iterator[str]:
    for job in jobs:
        yield keys.job(job.id)
        if job.id in retried:
            yield keys.run(job.tenant, job.id)


def refuse(keys: Keys, decision: Refuse, as_string: bool) -> Transaction:
    """A ``…_FAILED`` state without a job."""
    ref, failed = decision.wanted.ref, decision.failed
    status = records.failed_status(failed.action)
    state = records.StateRecord.of(
        failed.action, status, (), decision.wanted.version, failed.error
    )
    return Transaction(
        requires=(_config(keys, ref, decision.wanted),),
        puts={
            keys.below(keys.state, ref): state.to_json(as_string),
            keys.below(keys.handled, ref): decision.handled.to_json(),
            keys.below(keys.failed, ref): failed.to_json(),
        },
        deletes=(keys.below(keys.held, ref),),
    )


def hold(keys: Keys, ref: Ref, decision: Hold) -> Transaction:
    """Make visible what a config waits for."""
    return Transaction(
        requires=(_config(keys, ref, decision.wanted),),
        puts={keys.below(keys.held, ref): decision.held.to_json()},
    )


def clean(keys: Keys, ref: Ref, decision: Clean) -> Transaction:
    """Everything of a resource whose config is gone."""
    folders = (
        keys.state,
        keys.monitoring,
        keys.stacks,
        keys.job_states,
        keys.handled,
        keys.held,
        keys.failed,
    )
    return Transaction(
        requires=(
            _config(keys, ref, None),
            *_untaken(keys, decision.jobs, decision.retried),
        ),
        deletes=(
            *(keys.below(folder, ref) for folder in folders),
            *_records_of(keys, decision.jobs, decision.retried),
        ),
    )


def never_sent(keys: Keys, ref: Ref, handled: Handled) -> Transaction:
    """The last job on a resource is over, and Heat has never had a request of it."""
    return Transaction(puts={keys.below(keys.handled, ref): handled.to_json()})


def fail_waiting(
    keys: Keys,
    job: Job,
    wanted: Wanted | None,
    failed: Failed,
    as_string: bool,
    *,
    told: bool,
    handled: Handled | None = None,
) -> Transaction:
    """End a job that no worker will end: one that it waited for failed, or no worker survives it.

    :param told: whether a state is written: not when the config is gone or of a later incarnation.
    :param handled: what is to be remembered of the resource instead, if that changes.
    """
    ref = job.ref
    status = records.failed_status(job.action)
    puts = {}
    if told:
        state = records.StateRecord.of(
            job.action, status, (), job.version, failed.error
        )
        puts = {
            keys.below(keys.state, ref): state.to_json(as_string),
            keys.below(keys.failed, ref): failed.to_json(),
        }
    if handled is not None:
        puts[keys.below(keys.handled, ref)] = handled.to_json()
    return Transaction(
        requires=(exists(keys.job(job.id)), _config(keys, ref, wanted)),
        puts=puts,
        deletes=(keys.job(job.id), keys.below(keys.job_states, ref)),
    )


def overtake(
    keys: Keys, deletion: Job, jobs: Sequence[Job], runs: Mapping[JobId, int]
) -> Transaction:
    """A deletion goes ahead of jobs on its resource that Heat does not end: nobody wants their
    stack any more.

    :param runs: the revisions of their runs.
    """
    return Transaction(
        requires=(exists(keys.job(deletion.id)), *_untaken(keys, jobs, runs)),
        deletes=tuple(
            key
            for job in jobs
            for key in (keys.job(job.id), keys.run(job.tenant, job.id))
        ),
    )


def give_time_up(keys: Keys, job: Job, run: Run, revision: int) -> Transaction:
    """The time of a job is over: the worker that looks at it next says so.

    What Heat works on counts as ended, so that it is looked at now; what is to be tried again is
    tried for the last time.
    """
    step = Step.ENDED if run.step is Step.WAITING else run.step
    key = keys.run(job.tenant, job.id)
    return Transaction(
        (unchanged(key, revision),),
        {key: replace(run, step=step, overdue=True).to_json()},
    )


def abandon(keys: Keys, job: Job, run: Run, revision: int) -> Transaction:
    """A person says that the project of a deletion is gone: the deletion is tried once more, at
    once, and then given up."""
    key = keys.run(job.tenant, job.id)
    return Transaction(
        (unchanged(key, revision),),
        {key: replace(run, abandoned=True, delay=0.0, due=0.0).to_json()},
    )


def note_death(keys: Keys, job: Job, deaths: int) -> Transaction:
    """A worker has died over a job: it is to be sent again, and Heat may have taken a request of
    it.

    :param deaths: how many have died over it in a row by now.
    """
    key = keys.run(job.tenant, job.id)
    run = Run(
        Step.RETRY,
        asked=True,
        deaths=deaths,
        cause=Cause.BUSY.value,
        reason="the worker died",
    )
    return Transaction(
        (exists(keys.job(job.id)), absent(key)), {key: run.to_json()}
    )


def remove_runs(runs: Iterable[tuple[str, int]]) -> Transaction:
    """The runs whose outcome has been dealt with, as (key, revision)."""
    listed = tuple(runs)
    return Transaction(
        requires=tuple(unchanged(*run) for run in listed),
        deletes=tuple(key for key, _ in listed),
    )


def store_schemas(keys: Keys, listed: SchemaList) -> Transaction:
    """Put a schema list in force: only the leader does, so it relies on nothing but the fence.

    :raises InvalidInput: the list is too large.
    """
    return Transaction(
        puts={
            keys.schema_list: listed.record(),
            keys.schema_data: listed.data(),
        },
        deletes=(keys.schema_trouble,),
    )


def tell_trouble(keys: Keys, trouble: Trouble | None) -> Transaction:
    """Say why a newer schema list is not in force, or that nothing is wrong."""
    if trouble is None:
        return Transaction(deletes=(keys.schema_trouble,))
    return Transaction(puts={keys.schema_trouble: trouble.to_json()})


def end_reload(keys: Keys, revision: int) -> Transaction:
    """An operator's request to read the schema list, as it was seen, has been dealt with."""
    return Transaction(
        requires=(unchanged(keys.schema_reload, revision),),
        deletes=(keys.schema_reload,),
    )


def hold_deletions(keys: Keys, brake: records.Brake) -> Transaction:
    """Too many configs have been removed: their stacks stay until a person has confirmed it."""
    return Transaction(puts={keys.brake: brake.to_json()})


def release_deletions(keys: Keys) -> Transaction:
    """All that were held are confirmed, or wanted again."""
    return Transaction(deletes=(keys.brake,))


def lead_for(keys: Keys, identity: records.Identity) -> Transaction:
    """What the bridge leads for from now on."""
    return Transaction(
        puts={keys.identity: identity.to_json()},
        deletes=(keys.identity_trouble, keys.identity_confirmed),
    )


def refuse_identity(
    keys: Keys, trouble: records.IdentityTrouble
) -> Transaction:
    """Say why nothing is decided."""
    return Transaction(puts={keys.identity_trouble: trouble.to_json()})


# What the workers do ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Basis:
    """The revisions that a worker's writes on one job rely on.

    *job* is that of the job record, *run* that of the run (0: there is none yet), *incarnation* the
    create revision of the config that the job was made of (0: there was none).
    """

    job: int
    run: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended.

    *status* is the stack's (``UPDATE_FAILED``), *outputs* and *reason* as Heat gave them.
    *error* is empty when all is well, *live* says whether Heat has a stack now; *recorded* whether
    the stack record is written at all: it is not when Heat refused to make one.
    *asked*: Heat may have taken a request.
    """

    status: str
    outputs: Sequence[Json] = ()
    reason: str = ""
    error: str = ""
    live: bool = True
    recorded: bool = True
    root: Ref | None = None
    asked: bool = True


LARGEST_OUTPUTS = 512 * 1024
"""Characters of a stack's outputs, as JSON, that are stored.
The first half of an end holds them twice and the second with every quote escaped, and etcd takes
requests of 1.5 MiB."""


def within_bounds(ended: Ended, most: int = LARGEST_OUTPUTS) -> Ended:
    """The same, no larger than records can be: texts cut, and the largest outputs left out until
    the others fit.

    A stack without all of its outputs counts as failed: whoever needs a missing one is not built
    with nothing in its place.

    :param most: characters of all outputs as JSON.
    """
    outputs, left_out = _fitting(ended.outputs, most)
    error = ended.error
    if left_out:
        names = ", ".join(
            f"{cut(name, 100)} ({size:,} characters)"
            for name, size in left_out[:_NAMED_OUTPUTS]
        )
        more = (
            f" and {len(left_out) - _NAMED_OUTPUTS} more"
            if len(left_out) > _NAMED_OUTPUTS
            else ""
        )
        error = (
            cut(f"{error}; " if error else "", LONGEST_REASON // 2)
            + "the stack's outputs cannot be stored, because they are too large; left"
            f" out: {names}{more}; make them smaller in the template and write the"
            " config with the next version"
        )
    return replace(
        ended, outputs=outputs, reason=cut(ended.reason), error=cut(error)
    )


_NAMED_OUTPUTS = 5


def _fitting(
    outputs: Sequence[Json], most: int
) -> tuple[Sequence[Json], list[tuple[str, int]]]:
    """The outputs that fit, in their order, and of the others name and size, the largest first."""
    sizes = [len(json.dumps(output)) + len(", ") for output in outputs]
    total = sum(sizes)
    largest = sorted(range(len(outputs)), key=sizes.__getitem__, reverse=True)
    dropped: list[int] = []
    for position in largest:
        if total <= most:
            break
        dropped.append(position)
        total -= sizes[position]
    kept = tuple(
        output
        for position, output in enumerate(outputs)
        if position not in set(dropped)
    )
    return (kept if dropped else outputs), [
        (_output_name(outputs[position]), sizes[position])
        for position in dropped
    ]


def _output_name(output: Json) -> str:
    return (
        str(output.get("output_key", "?")) if isinstance(output, dict) else "?"
    )


def claim(
    keys: Keys, run_id: RunId, run: Run, basis: Basis | None = None
) -> Transaction:
    """Take a job: the run hangs on the worker's lease until Heat has answered.

    :param basis: what was read of the job.
        Without it, only a job is taken that is there and that no worker has had before: about such
        a one nothing needs to be known.
    """
    job, key = job_of(run_id), keys.runs + run_id
    free = (
        (unchanged(keys.job(job), basis.job), unchanged(key, basis.run))
        if basis
        else (exists(keys.job(job)), absent(key))
    )
    return Transaction(
        requires=free,
        puts={
            key: run.to_json(),
            keys.below(keys.job_states, job_ref(job)): "{}",
        },
        leased=frozenset({key}),
    )


def move(keys: Keys, job: Job, basis: Basis, run: Run) -> Transaction:
    """The run's next step, if it is still where we left it."""
    key = keys.run(job.tenant, job.id)
    return Transaction(
        requires=(
            unchanged(keys.job(job.id), basis.job),
            unchanged(key, basis.run),
        ),
        puts={key: run.to_json()},
    )


def mark_ended(runs: Sequence[tuple[Run, str, int]]) -> Transaction:
    """One run of a look's finds: it is about to be recorded. Each as (run, key, revision)."""
    return Transaction(
        requires=tuple(unchanged(key, revision) for _, key, revision in runs),
        puts={key: run.to_json() for run, key, _ in runs},
    )


def poll_goes_on(key: str, before: Poll, revision: int) -> Transaction:
    """A tenant's Heat takes long over a poll: no other is to be sent, as long as the worker that
    waits lives.

    :param before: what is known of the polls before, with its *revision*; 0 when there is no
        record.
    """
    poll = replace(before, under_way=True)
    return Transaction(
        (unchanged(key, revision),),
        {key: poll.to_json()},
        leased=frozenset({key}),
    )


def poll_failed(key: str, poll: Poll, revision: int) -> Transaction:
    """A poll failed, once more. The record outlives the worker.

    :param revision: of the record that it replaces; 0 when there is none.
    """
    return Transaction((unchanged(key, revision),), {key: poll.to_json()})


def poll_is_over(key: str, revision: int) -> Transaction:
    """A poll was answered, or nothing is left to poll for."""
    return Transaction(requires=(unchanged(key, revision),), deletes=(key,))


def end_stack(keys: Keys, job: Job, basis: Basis, ended: Ended) -> Transaction:
    """First half of the end: the stack record, then the filled job state (CONTRACT section 7, 1 and
    2)."""
    puts = {}
    if ended.recorded:
        stack = records.StackRecord.of(
            job.ref, job.tenant, ended.status, ended.outputs, ended.reason
        )
        puts[keys.below(keys.stacks, job.ref)] = stack.to_json()
    job_state = records.JobState(ended.status, tuple(ended.outputs))
    puts[keys.below(keys.job_states, job.ref)] = job_state.to_json()
    return Transaction(requires=_still_ours(keys, job, basis), puts=puts)


def end_job(
    keys: Keys,
    job: Job,
    basis: Basis,
    ended: Ended,
    *,
    config: bool,
    earlier: Failed | None = None,
    as_string: bool = False,
) -> Transaction:
    """Second half: the state, and the job is over (CONTRACT section 7, 3 and 4).

    :param config: whether the config that the job was made of is still there. Only then is a state
        written, and only if that still holds in the transaction.
    :param earlier: the failure on record, to count attempts.
    """
    run_key, failed_key = (
        keys.run(job.tenant, job.id),
        keys.below(keys.failed, job.ref),
    )
    monitored = any(
        records.is_monitoring_link(output) for output in ended.outputs
    )
    root = ended.root or (job.ref if ended.error else None)
    done = Run(
        Step.DONE,
        complete=not ended.error,
        live=ended.live,
        monitored=monitored,
        reason=ended.error,
        root=root,
        asked=ended.asked,
    )
    puts = {run_key: done.to_json()}
    deletes = [keys.below(keys.job_states, job.ref), keys.job(job.id)]
    requires = _still_ours(keys, job, basis)
    if ended.error:
        attempts = (
            earlier.attempts + 1
            if earlier and earlier.version == job.version
            else 1
        )
        puts[failed_key] = Failed(
            job.version, job.action, ended.error, root or job.ref, attempts
        ).to_json()
    else:
        deletes.append(failed_key)
    if config:
        state = records.StateRecord.of(
            job.action, ended.status, ended.outputs, job.version, ended.error
        )
        puts[keys.below(keys.state, job.ref)] = state.to_json(as_string)
        requires = (
            *requires,
            same_incarnation(
                keys.below(keys.config, job.ref), basis.incarnation
            ),
        )
    return Transaction(requires, puts, tuple(deletes))


def _still_ours(keys: Keys, job: Job, basis: Basis) -> tuple[Require, ...]:
    return (
        unchanged(keys.job(job.id), basis.job),
        unchanged(keys.run(job.tenant, job.id), basis.run),
    )


def not_built(
    action: Action,
    error: str,
    *,
    root: Ref | None = None,
    live: bool = False,
    asked: bool = True,
) -> Ended:
    """The end of a job for which Heat was not asked, or refused."""
    return Ended(
        records.failed_status(action),
        error=error,
        live=live,
        recorded=False,
        root=root,
        asked=asked,
    )
