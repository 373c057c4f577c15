"""``orchestrator cancel``: a job ends before it has done its work."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import RetryAsked, Step
from ...core.refs import Ref
from ...errors import InvalidInput
from ...views.jobs import JobView, Stage
from ...views.reading import read_all
from ...views.snapshot import Snapshot
from ...views.standings import Progress
from ..options import OneId, OneType, Output, Yes
from ..output import Format, count
from ..session import session
from .answers import PATIENCE, Patience, carry_out
from .authors import As, Why, ask, verb
from .selecting import (
    DryRun,
    Everything,
    OfTenant,
    Selector,
    selector,
    tell_dry_run,
)


def cancel(
    kind: OneType = None,
    resource_id: OneId = None,
    tenant: OfTenant = None,
    everything: Everything = False,
    yes: Yes = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    timeout: Patience = PATIENCE,
    output: Output = Format.TEXT,
) -> None:
    """End the unfinished job of a resource.

    A job that waits ends at once: its version is reported as failed, with who cancelled it and why.
    A create or update that Heat works on is ended by Heat, which does not roll it back.
    Heat cannot end a deletion.
    When a resource has several unfinished jobs, the newest that is not in Heat ends.
    What depends on a cancelled job fails with it, and is tried again when it is built after all.

    **Examples**

        orchestrator cancel server web-1 --why "wrong image"
        orchestrator cancel --tenant 5bc29eb468c444bf839a3e634d222132 --dry-run
    """
    with session() as doors:
        meant = selector(
            doors.keys,
            kind,
            resource_id,
            tenant=tenant,
            everything=everything,
        )
        found = read_all(doors.store, doors.keys)
        jobs = choose(found, meant)
        refs = list(jobs)
        if dry_run:
            notes = [_note(view) for view in jobs.values()]
            tell_dry_run("would be cancelled", refs, output, notes)
            return
        if meant.ref is None:
            ask(f"Cancel {count(len(refs), 'job')}?", yes)
        asked = verb("cancel", by, why, meant.words)
        requests = {
            ref: RetryAsked(cancel=view.job.id) for ref, view in jobs.items()
        }
        carry_out(doors, asked, requests, timeout, output)


def choose(found: Snapshot, meant: Selector) -> Mapping[Ref, JobView]:
    """By resource, the job that is meant.

    :raises InvalidInput: nobody is named, or the one that is named has no job.
    """
    progress = Progress(found)
    unfinished = {
        ref: chosen
        for ref in {job.ref for job in found.jobs.values()}
        if (chosen := _newest(progress.jobs(ref))) is not None
    }
    refs = meant.of(found, unfinished, "cancel")
    if meant.ref is not None and not refs:
        raise InvalidInput(
            f"no job on {meant.ref} is unfinished; see `orchestrator get"
            f" {meant.ref.type} {meant.ref.id}`"
        )
    return {ref: unfinished[ref] for ref in refs}


def _newest(views: list[JobView]) -> JobView | None:
    """The newest job of a resource that is not in Heat; if all are, the newest."""
    ordered = sorted(views, key=lambda view: view.job.version)
    there = [
        view
        for view in ordered
        if view.run is None or view.run.step is not Step.DONE
    ]
    waiting = [view for view in there if view.stage is not Stage.IN_HEAT]
    return next(reversed(waiting or there), None)


def _note(view: JobView) -> str:
    return f"v{view.job.version}, {view.stage.value}"
