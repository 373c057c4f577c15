"""``orchestrator release`` and ``forget``: our records go, the stack stays in Heat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ...clients.places import config_key
from ...clients.store import revision_of
from ...core.records import LeavingMode, RetryAsked
from ...core.refs import Ref
from ...errors import InvalidInput
from ...views.reading import read_all
from ...views.snapshot import Snapshot
from .. import users
from ..options import OneId, OneType, Output, Yes
from ..output import Format
from ..session import Session, session
from .answers import PATIENCE, Patience, carry_out
from .authors import As, Why, ask, verb
from .selecting import (
    DryRun,
    Everything,
    OfCause,
    OfTenant,
    Selector,
    selector,
    tell_dry_run,
)

_USED = (
    "Nothing is released. Release the users too, or leave them as they are with"
    " --force"
)


def release(
    kind: OneType = None,
    resource_id: OneId = None,
    tenant: OfTenant = None,
    cause: OfCause = None,
    everything: Everything = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Release them even if others use them."),
    ] = False,
    yes: Yes = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    timeout: Patience = PATIENCE,
    output: Output = Format.TEXT,
) -> None:
    """Stop managing resources: the config and our records go, the stacks stay in Heat.

    The leading bridge removes the config and the records in one transaction.
    It waits until neither a worker nor Heat has a job on the resource.
    Nothing is asked of Heat.
    A record of what was left is kept.
    Where an API server owns the config, remove the resource there as well, or it comes back.

    **Examples**

        orchestrator release server legacy-1 --why "moved to another team"
        orchestrator release --tenant 5bc29eb468c444bf839a3e634d222132 --dry-run
    """
    with session() as doors:
        meant = selector(
            doors.keys,
            kind,
            resource_id,
            tenant=tenant,
            cause=cause,
            everything=everything,
        )
        found = read_all(doors.store, doors.keys)
        refs = choose(found, meant, "release")
        if not force:
            users.refuse_used(found, refs, _USED)
        if dry_run:
            tell_dry_run("would be released", refs, output, _notes(found, refs))
            return
        ask(f"Release {_named(refs)}? The stacks stay in Heat.", yes)
        asked = verb("release", by, why, meant.words)
        requests = _requests(doors, LeavingMode.RELEASE, refs)
        carry_out(doors, asked, requests, timeout, output)


def forget(
    kind: OneType = None,
    resource_id: OneId = None,
    tenant: OfTenant = None,
    cause: OfCause = None,
    everything: Everything = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Needed. A stack that is still in Heat stays there."
        ),
    ] = False,
    yes: Yes = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    timeout: Patience = PATIENCE,
    output: Output = Format.TEXT,
) -> None:
    """Forget resources whose Heat or project is gone for good.

    As `orchestrator release`, but at once: jobs that wait, that workers have or that Heat works on
    are dropped, and nobody reports them.
    It needs --force and --why.

    **Examples**

        orchestrator forget server old-1 --force --why "the region was switched off"
        orchestrator forget --tenant 8d1f --force --why "project deleted, CHG-4711"
    """
    if not dry_run and not (force and why):
        raise InvalidInput("forget needs --force and --why TEXT")
    with session() as doors:
        meant = selector(
            doors.keys,
            kind,
            resource_id,
            tenant=tenant,
            cause=cause,
            everything=everything,
        )
        found = read_all(doors.store, doors.keys)
        refs = choose(found, meant, "forget")
        if dry_run:
            tell_dry_run(
                "would be forgotten", refs, output, _notes(found, refs)
            )
            return
        ask(f"Forget {_named(refs)}? The stacks stay, if there are any.", yes)
        asked = verb("forget", by, why, meant.words)
        requests = _requests(doors, LeavingMode.FORGET, refs)
        carry_out(doors, asked, requests, timeout, output)


def choose(found: Snapshot, meant: Selector, name: str) -> list[Ref]:
    """The resources that are meant, of which something is known.

    :raises InvalidInput: nobody is named, or nothing is known of whom is.
    """
    refs = meant.of(found, found.refs(), name)
    if meant.ref is not None and not refs:
        raise InvalidInput(f"nothing is known of {meant.ref}")
    return refs


def _named(refs: Sequence[Ref]) -> str:
    if len(refs) == 1:
        return str(refs[0])
    return f"{len(refs)} resources"


def _notes(found: Snapshot, refs: Sequence[Ref]) -> list[str]:
    """What is left of each in Heat, as far as the records tell."""
    notes: list[str] = []
    for ref in refs:
        stack = found.stacks.get(ref)
        note = "no stack is recorded"
        if stack is not None and stack.live:
            name = stack.name or ref.stack_name
            note = f"leaves {name} ({stack.status}) in {stack.tenant}"
        notes.append(note)
    return notes


def _requests(
    doors: Session, how: LeavingMode, refs: Sequence[Ref]
) -> dict[Ref, RetryAsked]:
    """What is asked of the bridge. It refuses a config that has changed since."""
    store, keys = doors.store, doors.keys
    requests: dict[Ref, RetryAsked] = {}
    for ref in refs:
        config = revision_of(store.get(config_key(keys, ref)))
        requests[ref] = RetryAsked(leave=how, config=config)
    return requests
