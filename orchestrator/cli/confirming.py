"""``orchestrator confirm``: a person lets go what the bridge holds."""

from __future__ import annotations

import sys
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
from .options import Output, Timeout, Wait
from .output import BAD, Format, count, hint, show
from .session import Session, session
from .status_tables import by_type
from .writing import WriteResult, Written

app = typer.Typer(
    no_args_is_help=True,
    help="Let go what the bridge holds until a person has confirmed it.",
    epilog=HELP,
)

_TOGETHER = 100
"""Requests in one transaction; etcd takes 128 operations."""

Yes = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", help="Do not ask; needed where there is no terminal."
    ),
]


@app.command(epilog=HELP)
def deletions(
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Delete the stacks whose configs were removed in too great numbers.

    Only those deletions go that this command has shown.
    Configs that are removed later are held again.
    To keep a stack, write its config again instead.
    """
    with session() as doors:
        found = read_all(doors.store, doors.keys)
        refs = held_deletions(found)
        if not refs:
            raise InvalidInput("no deletion is held; see `orchestrator status`")
        if output is Format.TEXT:
            show([by_type(refs)])
        _ask(f"Delete {count(len(refs), 'stack')}?", yes)
        confirm(doors.store, doors.keys, refs, found.revision)
        written = [_confirmed(doors, ref) for ref in refs]
        if output is Format.TEXT:
            show([Text(f"{count(len(refs), 'deletion')} confirmed.")])
        finish(
            doors,
            written,
            Goal(refs, gone=True) if wait else None,
            timeout,
            output,
            told=True,
        )


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
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Give up the stacks of a project that is gone from Keystone.

    Deletions in that project wait, because Keystone gives no token for it.
    They are tried once more; if Keystone still refuses the project, they count as done.
    A stack that is there all the same stays in Heat, and the orchestrator forgets it.
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
        if output is Format.TEXT:
            show([by_type(refs)])
        _ask(f"Forget {count(len(refs), 'stack')}?", yes)
        _leave(doors.store, doors.keys, refs, RetryAsked(gone=tenant))
        written = [_confirmed(doors, ref) for ref in refs]
        if output is Format.TEXT:
            show([Text(f"{count(len(refs), 'stack')} given up.")])
        finish(
            doors,
            written,
            Goal(refs, gone=True) if wait else None,
            timeout,
            output,
            told=True,
        )


@app.command(epilog=HELP)
def identity(yes: Yes = False) -> None:
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
        _ask("Lead with this?", yes)
        doors.store.put(doors.keys.identity_confirmed, trouble.found.to_json())
    hint("The bridge begins within seconds.")


def confirm(store: Store, keys: Keys, refs: list[Ref], seen: int) -> None:
    """Leave the requests; asking twice is asking once.

    :param seen: the revision at which their configs were gone.
    """
    _leave(store, keys, refs, RetryAsked(confirm=seen))


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


def _leave(
    store: Store, keys: Keys, refs: list[Ref], asked: RetryAsked
) -> None:
    value = asked.to_json()
    for start in range(0, len(refs), _TOGETHER):
        together = refs[start : start + _TOGETHER]
        store.commit(
            Transaction(
                puts={keys.below(keys.retries, ref): value for ref in together}
            )
        )


def _ask(question: str, yes: bool) -> None:
    """:raises InvalidInput: there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("there is no terminal to ask on; say --yes")
    typer.confirm(question, abort=True)
