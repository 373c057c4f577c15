"""``orchestrator confirm``: a person lets go what the bridge holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from rich.text import Text

from ..clients.store import Store
from ..core.jobs import Action
from ..core.keys import Keys
from ..core.records import Cause, RetryAsked, Run, Step
from ..core.refs import Ref
from ..core.transactions import Transaction
from ..errors import InvalidInput
from ..views.outlook import Goal
from ..views.overview import held_deletions
from ..views.reading import read_all
from ..views.snapshot import Snapshot
from .exits import HELP
from .finishing import finish
from .options import OneId, OneType, Output, Timeout, Wait, Yes
from .output import BAD, Format, count, hint, show
from .session import Session, session
from .status_tables import by_type
from .verbs import requesting
from .verbs.authors import As, AskedVerb, Why, ask, verb
from .verbs.selecting import DryRun, OfTenant, selector, tell_dry_run
from .writing import WriteResult, Written

app = typer.Typer(
    no_args_is_help=True,
    help="Confirm what the bridge does only after a person agreed.",
    epilog=HELP,
)


@app.command(epilog=HELP)
def deletions(
    kind: OneType = None,
    resource_id: OneId = None,
    tenant: OfTenant = None,
    yes: Yes = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Delete the stacks whose configs were removed in too great numbers.

    Without TYPE, ID or --tenant, all of them go.
    Only those deletions go that this command has shown.
    Configs that are removed later are held again.
    To keep a stack, write its config again instead.
    """
    with session() as doors:
        found = read_all(doors.store, doors.keys)
        meant = selector(doors.keys, kind, resource_id, tenant=tenant)
        meant = replace(meant, everything=meant.empty)
        refs = meant.of(found, held_deletions(found), "confirm")
        if not refs:
            raise InvalidInput("no deletion is held; see `orchestrator status`")
        if dry_run:
            tell_dry_run("would be deleted", refs, output)
            return
        if output is Format.TEXT:
            show([by_type(refs)])
        ask(f"Delete {count(len(refs), 'stack')}?", yes)
        asked = verb("confirm deletions", by, why, meant.words)
        confirm(doors.store, doors.keys, refs, found.revision, asked)
        told = f"{count(len(refs), 'deletion')} confirmed."
        _finish(
            doors,
            refs,
            told,
            Goal(refs, gone=True) if wait else None,
            timeout,
            output,
        )


def _finish(
    doors: Session,
    refs: list[Ref],
    told: str,
    goal: Goal | None,
    timeout: float | None,
    output: Format,
) -> None:
    """Say what was confirmed, and wait for what comes of it."""
    written = [_confirmed(doors, ref) for ref in refs]
    if output is Format.TEXT:
        show([Text(told)])
    finish(doors, written, goal, timeout, output, told=True)


def _confirmed(doors: Session, ref: Ref) -> Written:
    return Written(
        ref, doors.keys.below(doors.keys.retries, ref), WriteResult.CONFIRMED
    )


@app.command(epilog=HELP)
def project(
    tenant: Annotated[
        str,
        typer.Argument(
            help="Id of the project.", metavar="PROJECT", show_default=False
        ),
    ],
    yes: Yes = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Give up the stacks of a project that is gone from Keystone.

    Deletions in that project wait, because Keystone gives no token for it.
    They are tried once more; if Keystone still refuses the project, they count as done.
    A stack that is still there stays in Heat, and the orchestrator forgets it.
    """
    with session() as doors:
        found = read_all(doors.store, doors.keys)
        refs = refused_deletions(found, tenant)
        if not refs:
            raise InvalidInput(
                f"no deletion waits for project {tenant}: delete its resources first,"
                " or try a deletion that has failed again (orchestrator retry TYPE"
                " ID); see `orchestrator status`"
            )
        if dry_run:
            tell_dry_run("would be given up", refs, output)
            return
        if output is Format.TEXT:
            show([by_type(refs)])
        ask(f"Forget {count(len(refs), 'stack')}?", yes)
        asked = verb("confirm project", by, why, tenant)
        requests = dict.fromkeys(refs, RetryAsked(gone=tenant))
        requesting.ask(doors.store, doors.keys, asked, requests)
        told = f"{count(len(refs), 'stack')} given up."
        _finish(
            doors,
            refs,
            told,
            Goal(refs, gone=True) if wait else None,
            timeout,
            output,
        )


@app.command(epilog=HELP)
def identity(yes: Yes = False, by: As = None, why: Why = None) -> None:
    """Let the bridge lead with other prefixes, or in another etcd, than the one before it.

    The bridge decides nothing while this would make most resources vanish.
    Deletions that follow are held once more, until `orchestrator confirm deletions`.
    """
    with session() as doors:
        found = read_all(doors.store, doors.keys)
        trouble = found.identity_trouble
        if trouble is None:
            raise InvalidInput(
                "no bridge waits for this; see `orchestrator status`"
            )
        show([Text(trouble.reason, BAD)])
        ask("Lead with this?", yes)
        keys = doors.keys
        confirmed = {keys.identity_confirmed: trouble.found.to_json()}
        record = verb("confirm identity", by, why).done(keys, None)
        doors.store.commit(Transaction(puts={**confirmed, **record}))
    hint("The bridge begins within seconds.")


def confirm(
    store: Store, keys: Keys, refs: list[Ref], seen: int, asked: AskedVerb
) -> None:
    """Leave the requests; asking twice is asking once.

    :param seen: the revision at which their configs were gone.
    """
    requests = dict.fromkeys(refs, RetryAsked(confirm=seen))
    requesting.ask(store, keys, asked, requests)


def refused_deletions(found: Snapshot, tenant: str) -> list[Ref]:
    """The resources whose stacks are to be deleted in a project that Keystone refuses."""
    refused = [
        job.ref
        for job in found.jobs.values()
        if job.action is Action.DELETE
        and job.tenant == tenant
        and _is_refused(found.runs.get(job.id))
    ]
    return sorted(set(refused))


def _is_refused(run: Run | None) -> bool:
    return (
        run is not None
        and run.step is Step.RETRY
        and run.cause == Cause.PROJECT
    )
