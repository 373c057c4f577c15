"""The independent check: pure functions from the facts to violations.

It reads CONTRACT and nothing of the orchestrator's code. Facts are what etcd's history and Heat's request
log say; a job record is consulted only for which content of which incarnation a request belongs to.

A *content* is a version with its body and mark. The generator gives each body of an incarnation a value of its own, which is
also a parameter and an output of the stack. So contents are told apart whatever their versions are: of an
*unversioned* resource (version 0 after its creation), and of one version that is written with several bodies.

What is let pass, and why:

* a deletion asked several times: Heat takes it as the same deletion (counted);
* another job for a content whose operation Heat ended in FAILED: a repair;
* another job and report for a content after an output has changed that the stack was built from;
* a stack of which no record tells, because the answer of Heat was lost, and whose tags somebody else's update has
  taken away: it stays, and the failure says so;
* a content asked for once more after somebody else has changed or deleted its stack: it is not built any more;
* a failure that says so, of a stack that somebody else has suspended, or deleted or changed while it was built;
* the deletion of a parent under a child whose config still wanted it when the deletion was decided
  (the deletion's patience had ended), or whose own deletion or change had failed in Heat;
* a child changed on the old stack of its parent, while the replacement of that stack (the parent's id was made
  anew) waits for this very child to go;
* a failure that says that an operator has cancelled it, of whom a record tells;
* a stack that an operator has left in Heat by release or forget;
* after etcd went back to a backup: an operation or a report once more (each history counts for itself), the order
  among resources of which something was lost, and a stack whose config was removed since the backup was taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import verbs
from .facts import Facts, ObservedStanding, Operation, level_of
from .ledger import (
    AUDIT,
    BUILDING,
    CONFIG,
    FAILED,
    JOB_STATE,
    JOBS,
    LEFT,
    OWN,
    PARENT_FIELDS,
    Ledger,
    LedgerJob,
    LedgerReport,
    Write,
    ref_of,
    stack_name,
)

EPSILON = 0.05
"""Seconds of tolerance between Heat's clock readings."""
SLACK = 3.0
"""Seconds by which the leader may not have heard of a child's change when it decides its parent's deletion."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken once, with the lines that show it."""

    rule: str
    ref: str
    text: str
    evidence: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"[{self.rule}] {self.ref}: {self.text}"


Check = Callable[[Ledger], Iterator[Violation]]


def check(facts: Facts) -> list[Violation]:
    """Every violation of every rule."""
    ledger = Ledger(facts)
    return [violation for rule in RULES for violation in rule(ledger)]


# (a) The end ---------------------------------------------------------------------------------------


def final_state(ledger: Ledger) -> Iterator[Violation]:
    """Every resource's stack and state are those of its newest config."""
    for ref in ledger.refs():
        config = ledger.config(ref)
        if config.gone:
            continue
        for text in _final_of(ledger, ref, config):
            yield Violation("final state", ref, text, tuple(ledger.story(ref, *config.parents())))


def _final_of(ledger: Ledger, ref: str, config: Write) -> Iterator[str]:
    if config.marked:
        yield f"v{config.version} is marked for deletion and its deletion was never reported complete"
        return
    report = _last_report(ledger, ref, config)
    if report is None or report.version != config.version:
        yield f"v{config.version} was never reported; the state is {report}"
        return
    if report.failed:
        if not _explained(ledger, ref, config, report):
            yield f"v{config.version} is reported {report.worker_state}, but no operation failed: {report.error}"
        return
    if report.worker_state not in ("CREATE_COMPLETED", "MODIFY_COMPLETED"):
        yield f"v{config.version} is reported {report.worker_state}"
    if report.value and report.value != config.value:
        yield f"v{config.version} is {config.value}, but the report is of {report.value}"
    standing = [
        s
        for s in ledger.facts.stacks
        if s.name == stack_name(ref) and s.tenant == config.body.get("tenant_id")
    ]
    if not standing:
        yield f"v{config.version} is reported {report.worker_state}, but Heat has no stack"
    for stack in standing:
        has = stack.parameters.get("value")
        if has != config.body["value"]:
            yield f"v{config.version} should have value {config.body['value']!r}, but the stack has {has!r}"
        if stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            yield f"v{config.version} is reported {report.worker_state}, but the stack is in {stack.status}"


def _last_report(ledger: Ledger, ref: str, config: Write) -> LedgerReport | None:
    """The state as it stands, if it was written for this incarnation."""
    reports = ledger.reports.get(ref, [])
    return reports[-1] if reports and reports[-1].revision > config.created else None


def _explained(
    ledger: Ledger, ref: str, config: Write, report: LedgerReport, depth: int = 0
) -> bool:
    """Whether a failure has a cause that lasts: Heat failed this very content, or one that it is built from."""
    own = ledger.asked_for(ref, config.created, config.value)
    if _is_nobodys(ledger, ref, report) and (not own or _answer_was_lost(ledger, ref, report.at)):
        return True
    if own:
        return own[-1].outcome == "FAILED" and own[-1].reason in report.error
    return depth < 50 and any(
        _failed_below(ledger, parent, report, depth) for parent in config.parents()
    )


def _failed_below(ledger: Ledger, parent: str, report: LedgerReport, depth: int) -> bool:
    config = ledger.config(parent)
    if not config.wanted:
        return False
    failed = _last_report(ledger, parent, config)
    return (
        failed is not None
        and failed.failed
        and _explained(ledger, parent, config, failed, depth + 1)
    )


def orphans(ledger: Ledger) -> Iterator[Violation]:
    """(g) Every stack belongs to a config that wants it, in its tenant."""
    for stack in ledger.facts.stacks:
        ref = stack.name.replace("_", ":", 1)
        config = ledger.config(ref)
        if ledger.shaken(ref):
            continue  # made since the backup, and wanted by nobody any more: docs/howto/back-up-and-upgrade.md
        told = _is_told_of(ledger, ref) and _answer_was_lost(ledger, ref, float("inf"))
        last = max((o.at for o in ledger.of[stack.name] if o.tenant == stack.tenant), default=0.0)
        left = verbs.left_between(ledger, ref, last, float("inf"))
        if told or left or _is_never_ours(ledger, stack):
            continue
        if config.gone or config.tenant != stack.tenant:
            text = f"stack {stack.tenant}/{stack.name} in {stack.status} belongs to no config"
            yield Violation("orphan", ref, text, tuple(ledger.story(ref)))


def _is_never_ours(ledger: Ledger, stack: ObservedStanding) -> bool:
    """Whether somebody else has made the stack, and nobody has adopted it."""
    asked = [o for o in ledger.all_of[stack.name] if o.tenant == stack.tenant]
    return bool(asked) and all(o.foreign for o in asked)


def leftovers(ledger: Ledger) -> Iterator[Violation]:
    """(d) No key of work that is over, and no key of a resource that is gone."""
    for key in ledger.final:
        if key.startswith((JOBS, JOB_STATE, f"{OWN}runs/", f"{OWN}held/")):
            yield Violation(
                "leftover",
                key,
                "is left though nothing is under way",
                tuple(_about_key(ledger, key)),
            )
        elif key.startswith((AUDIT, LEFT)):
            continue  # kept on purpose
        elif not key.startswith(CONFIG) and (ref := ref_of(key)) and ledger.config(ref).gone:
            if _is_told_of(ledger, ref) and _answer_was_lost(ledger, ref, float("inf")):
                continue
            yield Violation(
                "leftover", key, "is left though its config is gone", tuple(ledger.story(ref))
            )


def _about_key(ledger: Ledger, key: str) -> list[str]:
    ref = ref_of(key)
    job = ledger.jobs.get(key.rpartition("/")[2])
    return ledger.story(ref or (job.ref if job else ""))


# (b) Once --------------------------------------------------------------------------------------------


def once(ledger: Ledger) -> Iterator[Violation]:
    """No create or update is taken twice for one content of one incarnation."""
    seen: dict[tuple[int, str, str], Operation] = {}
    contents: dict[tuple[int, str, int, str], tuple[LedgerJob, Operation]] = {}
    for operation in ledger.facts.operations:
        if operation.method not in BUILDING or operation.foreign:
            continue
        job = ledger.job_of(operation)
        ref = operation.stack.replace("_", ":", 1)
        if job is None:
            if _around_restore(ledger, operation):
                continue  # its record was lost before anybody else saw it
            text = f"{operation.method} with tag {operation.tag!r}, which is no job's"
            yield Violation("once", ref, text, tuple(ledger.story(ref, around=operation.at)))
            continue
        era = ledger.era(operation.at)
        twin = seen.get((era, operation.stack, operation.tag))
        seen[era, operation.stack, operation.tag] = operation
        if twin and not _somebody_else_between(ledger, twin, operation):
            text = f"{operation.method} of {job.id} taken twice, at {twin.at:.3f} and {operation.at:.3f}"
            yield Violation("once", ref, text, tuple(ledger.story(ref, around=operation.at)))
            continue
        content = (era, ref, job.incarnation, job.value)
        if (earlier := contents.get(content)) and not twin:
            other, before = earlier
            follows = before.inputs != operation.inputs
            repair = before.outcome == "FAILED" or _somebody_else_between(ledger, before, operation)
            if not follows and not repair:
                text = f"v{job.version} asked for by two jobs, {other.id} and {job.id}"
                yield Violation("once", ref, text, tuple(ledger.story(ref, around=operation.at)))
        contents[content] = (job, operation)


def _somebody_else_between(ledger: Ledger, first: Operation, second: Operation) -> bool:
    """Whether somebody else changed or deleted the stack after the one request and before the other."""
    return any(
        other.foreign and other.method in ("update", "delete") and first.at <= other.at <= second.at
        for other in ledger.all_of[first.stack]
        if other.stack_id == first.stack_id
    )


def asked_as_wanted(ledger: Ledger) -> Iterator[Violation]:
    """Each create and update is of the content and in the tenant of the config that its job was made for."""
    for operation in ledger.facts.operations:
        job = (
            ledger.job_of(operation)
            if operation.method in BUILDING and not operation.foreign
            else None
        )
        if job is None or ledger.shaken(job.ref, operation.at):
            continue
        came = ledger.first_write(job.ref, job.incarnation, job.value)
        if operation.value != job.value:
            text = f"{operation.method} of {job.id} with {operation.value!r}, which is for {job.value!r}"
        elif came is None:
            text = f"{job.id} is for {job.value!r}, which no config had"
        elif came.tenant != operation.tenant:
            text = (
                f"{operation.method} of {job.id} in {operation.tenant}, which is for {came.tenant}"
            )
        else:
            continue
        yield Violation("content", job.ref, text, tuple(ledger.story(job.ref, around=operation.at)))


def one_home(ledger: Ledger) -> Iterator[Violation]:
    """A stack is made only when the resource has none in another tenant any more."""
    for operation in ledger.facts.operations:
        ref = operation.stack.replace("_", ":", 1)
        if operation.method != "create" or operation.foreign or ledger.shaken(ref, operation.at):
            continue
        last: dict[str, Operation] = {}
        for other in ledger.all_of[operation.stack]:
            if other.at < operation.at and other.tenant != operation.tenant:
                last[other.tenant] = other
        for other in last.values():
            if not (
                other.method == "delete"
                and other.outcome == "COMPLETE"
                and other.ends <= operation.at + EPSILON
            ) and not (
                _is_somebody_elses(ledger, other)
                or verbs.left_between(ledger, ref, other.at, operation.at)
            ):
                text = f"create in {operation.tenant} while there is a stack in {other.tenant}"
                yield Violation(
                    "two homes", ref, text, tuple(ledger.story(ref, around=operation.at))
                )


def _is_somebody_elses(ledger: Ledger, operation: Operation) -> bool:
    """Whether nobody but somebody else has ever asked for anything of the stack up to then."""
    return all(
        other.foreign
        for other in ledger.all_of[operation.stack]
        if other.stack_id == operation.stack_id and other.at <= operation.at
    )


def _around_restore(ledger: Ledger, operation: Operation) -> bool:
    return any(abs(operation.at - restore.at) < SLACK for restore in ledger.facts.restores)


def repeated_deletes(facts: Facts) -> int:
    """Deletions asked of a stack whose deletion had been taken and not failed: harmless."""
    last: dict[str, Operation] = {}
    count = 0
    for operation in facts.operations:
        before = last.get(operation.stack_id)
        if operation.foreign:
            continue
        if (
            operation.method == "delete"
            and before
            and before.method == "delete"
            and before.outcome != "FAILED"
        ):
            count += 1
        last[operation.stack_id] = operation
    return count


def newest_first(ledger: Ledger) -> Iterator[Violation]:
    """No older content is asked for after a newer one of the same incarnation."""
    newest: dict[tuple[int, str, int], int] = {}
    for operation in ledger.facts.operations:
        job = ledger.job_of(operation) if operation.method in BUILDING else None
        if job is None:
            continue
        about = (ledger.era(operation.at), job.ref, job.incarnation)
        known, serial = newest.get(about, -1), ledger.serial(job.ref, job.incarnation, job.value)
        if serial < known:
            text = f"v{job.version} {job.value} asked for after content {known} of this incarnation"
            yield Violation(
                "older after newer",
                job.ref,
                text,
                tuple(ledger.story(job.ref, around=operation.at)),
            )
        newest[about] = max(known, serial)


# (c) Order -------------------------------------------------------------------------------------------


def built_on_complete_parents(ledger: Ledger) -> Iterator[Violation]:
    """A child is asked for only when its parent stands complete, in the version that it had when the child came."""
    for operation in ledger.facts.operations:
        job = ledger.job_of(operation) if operation.method in BUILDING else None
        if job is None or ledger.shaken(job.ref, operation.at):
            continue
        came = ledger.first_write(job.ref, job.incarnation, job.value)
        for parent in came.parents() if came else ():
            if fault := _parent_fault(ledger, job, operation, parent):
                evidence = tuple(ledger.story(job.ref, parent, around=operation.at))
                yield Violation(
                    "child before parent",
                    job.ref,
                    f"{operation.method} at {operation.at:.3f}: {fault}",
                    evidence,
                )


def _parent_fault(ledger: Ledger, job: LedgerJob, operation: Operation, parent: str) -> str:
    last = ledger.last_before(parent, operation.at)
    if last is None or (last.method == "delete" and last.outcome == "COMPLETE"):
        return f"{parent} has no stack"
    if last.ends > operation.at + EPSILON:
        return f"{last.method} of {parent} is in progress until {last.ends:.3f}"
    if last.outcome == "FAILED":
        return f"{parent} is in {last.method.upper()}_FAILED"
    return _parent_version_fault(ledger, job, operation, parent)


def _parent_version_fault(ledger: Ledger, job: LedgerJob, operation: Operation, parent: str) -> str:
    came = ledger.first_write(job.ref, job.incarnation, job.value)
    assert came is not None, "the caller has looked"
    wanted = ledger.config(parent, came.revision)
    if not wanted.wanted or ledger.config(parent, job.revision).created != wanted.created:
        return ""  # it came, or came anew, after the child
    if _waits_to_be_replaced(ledger, job, operation, parent, wanted):
        return ""
    least = ledger.serial(parent, wanted.created, wanted.value)
    done = [
        each
        for each in ledger.of[stack_name(parent)]
        if each.method in BUILDING
        and each.ends <= operation.at + EPSILON
        and (other := ledger.job_of(each))
        and other.incarnation == wanted.created
        and ledger.serial(parent, other.incarnation, other.value) >= least
    ]
    failed = [
        report
        for report in ledger.reports.get(parent, ())
        if report.failed
        and report.at <= operation.at
        and any(
            ledger.serial(parent, wanted.created, write.value) >= least
            for write in _contents_of(
                ledger, parent, report, ledger.config(parent, report.revision)
            )
        )
    ]
    return (
        ""
        if done or failed
        else f"v{wanted.version} of {parent} was written before it and is not built"
    )


def _waits_to_be_replaced(
    ledger: Ledger, job: LedgerJob, operation: Operation, parent: str, wanted: Write
) -> bool:
    """The parent's id was made anew or moves, and the deletion of its old stack is patient with this very child."""
    last, own = ledger.last_before(parent, operation.at), ledger.last_before(job.ref, operation.at)
    old = ledger.job_of(last) if last and last.method in BUILDING else None
    replaced = old and last and (old.incarnation != wanted.created or last.tenant != wanted.tenant)
    return bool(replaced and own and parent in ledger.built_from(own))


def parents_outlive_children(ledger: Ledger) -> Iterator[Violation]:
    """A parent's deletion is asked for only when no child is left that was built from it."""
    built: dict[str, tuple[Operation, set[str]]] = {}
    for operation in ledger.facts.operations:
        ref = operation.stack.replace("_", ":", 1)
        if operation.foreign:
            continue
        if operation.method in BUILDING:
            built[ref] = (operation, ledger.built_from(operation))
            continue
        if ledger.shaken(ref, operation.at):
            continue
        for child, (_, parents) in built.items():
            if (
                ref in parents
                and _still_there(ledger, child, operation.at)
                and not _let_pass(ledger, child, ref, operation)
            ):
                text = f"delete at {operation.at:.3f} while {child}, built from it, is still there"
                yield Violation(
                    "parent before child",
                    ref,
                    text,
                    tuple(ledger.story(ref, child, around=operation.at)),
                )


def _still_there(ledger: Ledger, ref: str, at: float) -> bool:
    """Whether there is a stack that is ours: one that was left in Heat is not."""
    last = ledger.last_of_all_before(ref, at)
    if last is not None and verbs.left_between(ledger, ref, last.at, at):
        return False
    return last is not None and not (
        last.method == "delete" and last.outcome == "COMPLETE" and last.ends <= at + EPSILON
    )


def _is_of_a_lost_time(ledger: Ledger, ref: str, at: float) -> bool:
    """Whether what Heat has of the resource was asked for in a time that a restore has taken back: whoever goes by
    the backup knows nothing of it (docs/reliability.md, what cannot be promised)."""
    last = ledger.last_of_all_before(ref, at)
    return last is not None and ledger.shaken(ref, at) and ledger.era(last.at) < ledger.era(at)


def _let_pass(ledger: Ledger, child: str, parent: str, operation: Operation) -> bool:
    """Whether the child wanted the parent still when the deletion was decided, or failed in Heat."""
    last = ledger.last_before(child, operation.at)
    if last is not None and last.outcome == "FAILED" and last.ends <= operation.at + EPSILON:
        return True
    jobs = [job for job in ledger.jobs_on.get(parent, ()) if job.at <= operation.at + EPSILON]
    deletions = [job for job in jobs if job.action == "logical_delete"]
    if not deletions:
        return bool(jobs)  # a stack that cannot be updated is built anew
    # Jobs on one resource run in the order of their making: the operation is that of the first unfinished one.
    decided = next((job for job in deletions if job.ended >= operation.at - EPSILON), deletions[-1])
    if decided.ended < operation.at and jobs[-1] is not decided:
        return True
    recent = [
        w
        for w in ledger.writes.get(child, ())
        if decided.at - SLACK <= w.at and w.revision <= decided.revision
    ]
    first = recent[0].revision - 1 if recent else decided.revision
    wanted = any(
        write.wanted and parent in write.parents()
        for write in (ledger.config(child, first), *recent)
    )
    return (
        wanted
        or _failed_meanwhile(ledger, child, operation)
        or _cannot_leave(ledger, child, parent, decided.revision)
    )


def _cannot_leave(ledger: Ledger, child: str, parent: str, revision: int) -> bool:
    """The child's newest config does not want the parent any more, but cannot be built, since it refers to
    something that is not there or is being replaced, itself or by what it refers to. How long that lasts, nobody
    knows: the replacement may itself wait for this very parent to go."""
    config = ledger.config(child, revision)
    return (
        config.wanted
        and parent not in config.parents()
        and _is_held_back(ledger, config, revision, frozenset({child}))
    )


def _is_held_back(ledger: Ledger, config: Write, revision: int, seen: frozenset[str]) -> bool:
    parents = {parent: ledger.config(parent, revision) for parent in config.parents() - seen}
    return any(
        not write.wanted
        or _is_being_replaced(ledger, parent, write, revision)
        or _is_held_back(ledger, write, revision, seen | parents.keys())
        for parent, write in parents.items()
    )


def _is_being_replaced(ledger: Ledger, ref: str, config: Write, revision: int) -> bool:
    """Whether the last that was to be built of the resource belongs to another incarnation, or to another tenant."""
    jobs = [
        job
        for job in ledger.jobs_on.get(ref, ())
        if job.revision <= revision and job.action != "logical_delete"
    ]
    built = ledger.first_write(ref, jobs[-1].incarnation, jobs[-1].value) if jobs else None
    return built is not None and (built.created, built.tenant) != (config.created, config.tenant)


def _failed_meanwhile(ledger: Ledger, child: str, operation: Operation) -> bool:
    """The child's newest config was reported as failed before: it stays as it was built."""
    config = ledger.writes[child][-1] if ledger.writes.get(child) else None
    before = [report for report in ledger.reports.get(child, ()) if report.at <= operation.at]
    return bool(config and before and before[-1].failed)


def parents_rest_while_children_are_built(ledger: Ledger) -> Iterator[Violation]:
    """A parent is not changed while a child, whose job came first, is being built from it."""
    for operation in ledger.facts.operations:
        child_job = ledger.job_of(operation) if operation.method in BUILDING else None
        if child_job is None or ledger.shaken(child_job.ref, operation.ends):
            continue
        for parent in ledger.built_from(operation):
            for change in ledger.of.get(stack_name(parent), ()):
                job = ledger.job_of(change) if change.method in BUILDING else None
                overlaps = operation.at < change.at < operation.ends - EPSILON
                if job and overlaps and job.revision > child_job.revision:
                    until = f"until {operation.ends:.3f}"
                    text = f"{change.method} at {change.at:.3f} while {child_job.ref} is being built from it {until}"
                    evidence = tuple(ledger.story(parent, child_job.ref, around=change.at))
                    yield Violation("parent under child", parent, text, evidence)


# (e) Reports -----------------------------------------------------------------------------------------


def reports(ledger: Ledger) -> Iterator[Violation]:
    """Each version is reported once, truly, not above the config, not without it."""
    for ref, listed in ledger.reports.items():
        last = _Reported((-1, -1))
        for report in listed:
            if report.restored:
                continue
            config = ledger.config(ref, report.revision)
            faults = list(_report_faults(ledger, ref, report, config))
            life = (ledger.era(report.at), config.created)
            if last.life != life:
                last = _Reported(life)
            faults += _repetition_faults(ledger, ref, last, report, config)
            for text in faults:
                yield Violation("report", ref, text, tuple(ledger.story(ref, around=report.at)))


@dataclass(slots=True)
class _Reported:
    """What was reported of an incarnation up to now: the content (by number) and the report that came last."""

    life: tuple[int, int]
    content: int = -1
    report: LedgerReport | None = None


def _contents_of(ledger: Ledger, ref: str, report: LedgerReport, config: Write) -> list[Write]:
    """The contents that a report may be about: of its version, written before it, and of the value that it tells."""
    deletion = report.worker_state.startswith("DELETE")
    return [
        write
        for write in ledger.contents(ref, config.created)
        if write.version == report.version
        and write.revision < report.revision
        and write.marked == deletion
        and report.value in ("", write.value)
    ]


def _report_faults(ledger: Ledger, ref: str, report: LedgerReport, config: Write) -> Iterator[str]:
    if config.gone:
        yield f"v{report.version} {report.worker_state} was written after the config was gone (revision {report.revision})"
        return
    if report.version > config.version and config.version:
        yield f"v{report.version} was written while the config was at v{config.version}"
    if report.failed and not report.error:
        yield f"v{report.version} {report.worker_state} says no reason"
    elif report.error and not report.failed:
        yield f"v{report.version} {report.worker_state} has an error: {report.error}"
    elif report.failed:
        if not _has_cause(ledger, ref, report, config):
            yield f"v{report.version} is reported {report.worker_state} though nothing had failed: {report.error}"
    elif report.worker_state == "DELETE_COMPLETED":
        there = _still_there(ledger, ref, report.at)
        if there and not _is_of_a_lost_time(ledger, ref, report.at):
            yield f"v{report.version} is reported DELETE_COMPLETED while the stack was there"
    else:
        values = {write.value for write in _contents_of(ledger, ref, report, config)}
        asked = [
            o
            for value in values
            for o in ledger.asked_for(ref, config.created, value)
            if o.ends <= report.at + EPSILON
        ]
        if not any(o.outcome == "COMPLETE" for o in asked):
            yield f"v{report.version} is reported {report.worker_state}, but Heat had not completed it"


def _has_cause(ledger: Ledger, ref: str, report: LedgerReport, config: Write) -> bool:
    """Whether a reported failure quotes one of Heat's, or something that the resource is built from had failed."""
    failed = (
        o
        for o in ledger.facts.operations
        if o.outcome == "FAILED" and o.ends <= report.at + EPSILON
    )
    if any(operation.reason in report.error for operation in failed):
        return True
    if _somebody_else_was_the_cause(ledger, ref, report, config):
        return True
    if verbs.is_cancelled(ledger, ref, report.error, report.at):
        return True
    if report.error.startswith("needs output") and ledger.shaken(ref, report.at):
        return True  # Since a restore, the order among these resources is not promised.
    deleted = "behind the orchestrator's back" in report.error
    # The report is of its version, which need not be the config's any more, and so may those be that it names.
    reported = [
        w
        for w in ledger.writes.get(ref, ())
        if w.created == config.created and w.version == report.version
    ]
    seen, todo = {ref}, [parent for write in reported for parent in write.parents()]
    while todo:
        parent = todo.pop()
        if parent in seen:
            continue
        seen.add(parent)
        if deleted and _somebody_deleted(ledger, parent, report.at):
            return True  # Its own failure need not be reported: its config may be gone by now.
        if _last_failed(ledger, parent, report.at) or _reported_failed(
            ledger, parent, report.revision
        ):
            return True
        todo += [
            p
            for w in ledger.writes.get(parent, ())
            if w.revision <= report.revision
            for p in w.parents()
        ]
    return False


def _somebody_else_was_the_cause(
    ledger: Ledger, ref: str, report: LedgerReport, config: Write
) -> bool:
    """Whether the failure says what somebody else did to the stack, and somebody did that."""
    foreign = [o for o in ledger.all_of.get(stack_name(ref), ()) if o.foreign and o.at <= report.at]
    if any(o.method == "suspend" for o in foreign) and "SUSPEND" in report.error:
        return True
    if _is_nobodys(ledger, ref, report):
        return True
    values = {write.value for write in _contents_of(ledger, ref, report, config)}
    asked = [o.at for value in values for o in ledger.asked_for(ref, config.created, value)]
    meanwhile = [o for o in foreign if asked and o.at >= min(asked)]
    return (
        any(o.method == "delete" for o in meanwhile)
        and "behind the orchestrator's back" in report.error
    )


_NOBODYS = (
    "nothing says that it was built from this resource",
    "without our tags, and a request of ours may have made it",
)


def _is_nobodys(ledger: Ledger, ref: str, report: LedgerReport) -> bool:
    """Whether no record tells that we made the stack, and it has no tags of ours: neither etcd nor Heat tells whose it
    is, so a person has to (`orchestrator adopt`, `orchestrator retry --force`).

    Somebody else has made it; or a restore took the record back, or whoever asked Heat could not write the answer, and
    somebody else's update has taken the tags away since.
    """
    if not any(said in report.error for said in _NOBODYS):
        return False
    before = [o for o in ledger.all_of.get(stack_name(ref), ()) if o.at <= report.at]
    if any(o.foreign and o.method == "create" for o in before):
        return True
    lost = _is_of_a_lost_time(ledger, ref, report.at) or _answer_was_lost(ledger, ref, report.at)
    return lost and bool(before) and before[-1].foreign


def _answer_was_lost(ledger: Ledger, ref: str, at: float) -> bool:
    """Whether of all that we asked for on the resource's stack up to then, nothing in etcd says that Heat took it."""
    asked = [o for o in ledger.of.get(stack_name(ref), ()) if o.at <= at]
    deletions = [n for n, o in enumerate(asked) if o.method == "delete"]
    asked = asked[max(deletions, default=-1) + 1 :]
    if not asked or any(
        not report.failed and asked[0].at <= report.at <= at
        for report in ledger.reports.get(ref, ())
    ):
        return False
    jobs = [ledger.job_of(operation) for operation in asked]
    return all(job is not None and job.id not in ledger.accepted for job in jobs)


def _is_told_of(ledger: Ledger, ref: str) -> bool:
    """Whether the orchestrator says of a stack that it may be ours, and that a person has to decide."""
    told = [report.error for report in ledger.reports.get(ref, ())[-1:]]
    told += [
        event.value or ""
        for key, event in ledger.final.items()
        if key.startswith(FAILED) and ref_of(key) == ref
    ]
    return any(_NOBODYS[1] in text for text in told)


def _somebody_deleted(ledger: Ledger, ref: str, at: float) -> bool:
    return any(
        o.foreign and o.method == "delete" and o.at <= at
        for o in ledger.all_of.get(stack_name(ref), ())
    )


def _reported_failed(ledger: Ledger, ref: str, revision: int) -> bool:
    """Whether the newest report of the resource was a failure, which is checked for a cause of its own. (Heat
    may have repaired it already, and the report of that be on its way.)"""
    before = [report for report in ledger.reports.get(ref, ()) if report.revision < revision]
    return bool(before) and before[-1].failed


def _last_failed(ledger: Ledger, ref: str, at: float) -> bool:
    """Whether the last operation that had ended on the resource's stack failed."""
    ended = [o for o in ledger.of.get(stack_name(ref), ()) if o.ends <= at + EPSILON]
    return bool(ended) and ended[-1].outcome == "FAILED"


def _repetition_faults(
    ledger: Ledger, ref: str, told: _Reported, report: LedgerReport, config: Write
) -> Iterator[str]:
    """Each content is reported once, in the order of writing; *told* takes in the report.

    Where a report does not tell its content it counts for the oldest that it may be about.
    """
    contents = ledger.contents(ref, config.created)
    numbers = [contents.index(write) for write in _contents_of(ledger, ref, report, config)]
    before, last = told.report, told.content
    told.content = min((n for n in numbers if n > last), default=last)
    told.report = report
    if not numbers:
        yield f"v{report.version} {report.worker_state} {report.value} is of no content that this incarnation had"
    elif max(numbers) < last:
        yield f"v{report.version} {report.value} was reported after content {last} of this incarnation"
    elif max(numbers) == last and before is not None:
        value = contents[last].value
        own = [
            o
            for o in ledger.asked_for(ref, config.created, value)
            if o.ends <= before.at + EPSILON and o.at < before.at - EPSILON
        ]
        if (not before.failed or own) and not _followed(ledger, ref, before, report):
            yield f"v{report.version} was reported twice, {before.worker_state} and {report.worker_state}"


def _followed(ledger: Ledger, ref: str, before: LedgerReport, report: LedgerReport) -> bool:
    """Whether the stack was built from other outputs between two reports."""
    asked = [
        o
        for o in ledger.of.get(stack_name(ref), ())
        if o.method in BUILDING and o.ends <= report.at + EPSILON
    ]
    earlier = [o for o in asked if o.ends <= before.at + EPSILON]
    later = asked[len(earlier) :]
    return bool(earlier and later) and any(o.inputs != earlier[-1].inputs for o in later)


def built_from_the_last_outputs(ledger: Ledger) -> Iterator[Violation]:
    """(h) Whoever is complete, as are all that it is built from, was built from the outputs that those have now."""
    stacks = {(s.tenant, s.name): s for s in ledger.facts.stacks}
    for ref in ledger.refs():
        if not _is_complete_throughout(ledger, ref) or ledger.shaken(ref):
            continue
        config = ledger.config(ref)
        own = stacks.get((config.tenant, stack_name(ref)))
        if own is None:
            continue  # told of by another rule
        for name in PARENT_FIELDS:
            if not config.body.get(name):
                continue
            parent = f"node:{config.body[name]}"
            above = stacks.get((ledger.config(parent).tenant, stack_name(parent)))
            read = own.parameters.get(name.replace("_id", "_level")) or ""
            if above is not None and read != level_of(above.parameters):
                text = f"was built from level {read!r} of {parent}, which is {level_of(above.parameters)!r}"
                yield Violation("old output", ref, text, tuple(ledger.story(ref, parent)))


def _is_complete_throughout(ledger: Ledger, ref: str, depth: int = 0) -> bool:
    """Whether the resource and all that it is built from are wanted and reported complete."""
    config = ledger.config(ref)
    report = _last_report(ledger, ref, config)
    if not config.wanted or report is None or report.failed or depth > 50:
        return False
    return all(_is_complete_throughout(ledger, parent, depth + 1) for parent in config.parents())


def asked_once(ledger: Ledger) -> Iterator[Violation]:
    """(i) Each verb has one outcome."""
    for rule, about, text in verbs.double_outcomes(ledger):
        yield Violation(rule, about, text)


def paused(ledger: Ledger) -> Iterator[Violation]:
    """(j) No job is taken in a pause that covers it."""
    for rule, about, text in verbs.taken_in_a_pause(ledger):
        yield Violation(rule, about, text)


def led(ledger: Ledger) -> Iterator[Violation]:
    """(f) What only a leader writes is written only while there is one."""
    leading = False
    for event in ledger.facts.events:
        if event.key == f"{OWN}leader":
            leading = event.value is not None
        elif event.restored:
            continue
        elif (
            event.value is not None
            and event.key.startswith((JOBS, f"{OWN}held/", f"{OWN}handled/"))
            and not leading
        ):
            yield Violation(
                "no leader", event.key, f"was written at revision {event.revision}, when nobody led"
            )


RULES: tuple[Check, ...] = (
    final_state,
    orphans,
    leftovers,
    once,
    asked_as_wanted,
    one_home,
    newest_first,
    built_on_complete_parents,
    parents_outlive_children,
    parents_rest_while_children_are_built,
    reports,
    built_from_the_last_outputs,
    asked_once,
    paused,
    led,
)


# Numbers ---------------------------------------------------------------------------------------------


def latencies(facts: Facts) -> list[float]:
    """Seconds from the first write of each version to its first report, of those that were reported and never held
    back: waiting for a parent that is not there is no latency."""
    ledger = Ledger(facts)
    held: defaultdict[str, list[int]] = defaultdict(list)
    for event in facts.events:
        if (
            event.value is not None
            and event.key.startswith(f"{OWN}held/")
            and (about := ref_of(event.key))
        ):
            held[about].append(event.revision)
    found: list[float] = []
    for ref, listed in ledger.reports.items():
        seen: set[tuple[int, int]] = set()
        for report in listed:
            if report.restored:
                continue
            config = ledger.config(ref, report.revision)
            incarnation = config.created
            came = next(iter(_contents_of(ledger, ref, report, config)), None)
            if came and (incarnation, came.revision) not in seen:
                seen.add((incarnation, came.revision))
                if not any(came.revision < revision < report.revision for revision in held[ref]):
                    found.append(report.at - came.at)
    return sorted(found)


def kinds(facts: Facts) -> dict[str, int]:
    """Heat's operations by method and outcome."""
    foreign = {True: "somebody else's ", False: ""}
    return dict(
        sorted(
            Counter(f"{foreign[o.foreign]}{o.method} {o.outcome}" for o in facts.operations).items()
        )
    )
