"""``orchestrator rebuild``: the version that is there is asked of Heat again.

It takes in a changed template, brings back a stack that Heat has lost, and settles a version that
went backwards. The bridge sees the request below its own prefix, and removes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from ...clients.store import Store
from ...core.keys import Keys
from ...core.records import RetryAsked
from ...core.refs import Ref
from ...errors import InvalidInput
from ...views.outlook import Goal
from ...views.reading import read_all, read_some
from ...views.snapshot import Snapshot
from ...views.standings import Progress
from .. import naming
from ..finishing import finish
from ..options import OneId, OneType, Output, Timeout, Wait
from ..output import Format
from ..session import Session, session
from ..verbs import requesting
from ..verbs.authors import As, AskedVerb, Why, verb
from ..verbs.selecting import (
    DryRun,
    Everything,
    OfCause,
    OfTenant,
    Selector,
    selector,
)
from ..writing import WriteResult, Written
from . import command, edits, making

BuiltFrom = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="All that were built from this template.",
        metavar="NAME",
        show_default=False,
    ),
]
OutdatedOnly = Annotated[
    bool,
    typer.Option(
        "--outdated",
        help="All that were built from another template or output than there is now.",
    ),
]


def rebuild(
    kind: OneType = None,
    resource_id: OneId = None,
    template: BuiltFrom = None,
    tenant: OfTenant = None,
    cause: OfCause = None,
    outdated: OutdatedOnly = False,
    everything: Everything = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Ask Heat again for the versions that are there, without a new version of the config.

    This takes in a template that was changed, and outputs of others that are new.
    It brings back a stack that Heat has lost, and builds a version that went backwards.
    The state of the version is then reported a second time.
    Several conditions together choose what meets all of them.

    **Examples**

        orchestrator rebuild port port-web --wait
        orchestrator rebuild --template network --dry-run
        orchestrator rebuild --outdated --wait
        orchestrator rebuild port --tenant 5bc29eb468c444bf839a3e634d222132
    """
    with session(timeout if wait else None) as doors:
        keys = doors.keys
        meant = selector(
            keys,
            kind,
            resource_id,
            tenant=tenant,
            cause=cause,
            template=template,
            everything=everything,
        )
        found = _read(doors.store, keys, meant)
        refs = choose(found, meant, outdated=outdated)
        if dry_run:
            _show_plan(doors, refs, output)
            return
        named = f"{meant.words} --outdated" if outdated else meant.words
        asked = verb("rebuild", by, why, named.strip())
        written = ask(doors.store, found, refs, asked)
        goal = None
        if wait and written:
            goal = Goal(refs)
        finish(doors, written, goal, timeout, output)


def _show_plan(doors: Session, refs: Sequence[Ref], output: Format) -> None:
    """Show what building these again would do, and write nothing."""
    wanted = edits.Edits({}, rebuilds=frozenset(refs))
    made = making.make(making.PlanGround.of(doors), wanted)
    command.tell(made.plan, made.plan.changes, output)


def _read(store: Store, keys: Keys, meant: Selector) -> Snapshot:
    if meant.ref is None:
        return read_all(store, keys)
    naming.place(store, keys, meant.ref)
    return read_some(store, keys, [meant.ref])


def choose(
    found: Snapshot, meant: Selector, *, outdated: bool = False
) -> list[Ref]:
    """The resources that are meant and can be built again.

    :param outdated: only those that were built from another template or output than there is now.
    :raises InvalidInput: nothing is named, or the one that is named cannot.
    """
    if meant.ref is not None:
        if why := cannot(found, meant.ref):
            raise InvalidInput(f"{meant.ref} {why}")
        return [meant.ref]
    if outdated:
        meant = replace(meant, everything=meant.everything or meant.empty)
    return meant.of(found, _all(found, outdated=outdated), "rebuild")


def _all(found: Snapshot, *, outdated: bool) -> Iterator[Ref]:
    progress = Progress(found)
    for ref in found.handled:
        if outdated and progress.of(ref).outdated is None:
            continue
        if not cannot(found, ref):
            yield ref


def cannot(found: Snapshot, ref: Ref) -> str:
    """Why a resource cannot be built again; empty when it can."""
    wanted, handled = found.wanted.get(ref), found.handled.get(ref)
    if wanted is None:
        return "is not in the configuration; see `orchestrator get`"
    if wanted.marked_for_deletion:
        return "is marked for deletion: write its next version instead"
    if handled is None:
        return (
            "was never built: it has no stack, or waits; see `orchestrator get`"
        )
    if not handled.job:
        again = f"orchestrator retry {ref.type} {ref.id}"
        return f"was refused before it was built: correct it, or: {again}"
    return ""


def ask(
    store: Store, found: Snapshot, refs: list[Ref], asked: AskedVerb
) -> list[Written]:
    """Leave the requests; asking twice is asking once."""
    keys = found.keys
    requests = {ref: RetryAsked(rebuild=found.handled[ref].job) for ref in refs}
    revisions = requesting.ask(store, keys, asked, requests)
    return [
        Written(
            ref,
            keys.below(keys.retries, ref),
            WriteResult.REBUILT,
            found.wanted[ref].version,
            revisions[ref],
        )
        for ref in refs
    ]
