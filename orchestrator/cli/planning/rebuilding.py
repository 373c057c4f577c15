"""``orchestrator rebuild``: the version that is there is asked of Heat again.

It takes in a changed template, brings back a stack that Heat has lost, and settles a version that
went backwards. The bridge sees the request below its own prefix, and removes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from ...clients.store import Store
from ...core.keys import Keys
from ...core.records import RetryAsked
from ...core.refs import Ref
from ...core.transactions import Transaction
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
from ..writing import WriteResult, Written
from . import command, edits, making

_TOGETHER = 100
"""Requests in one transaction; etcd takes 128 operations."""


BuiltFrom = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="All that were built from this template.",
        metavar="NAME",
        show_default=False,
    ),
]
InTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help="All in this project.",
        metavar="ID",
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
Everything = Annotated[bool, typer.Option("--all", help="All that were built.")]


@dataclass(frozen=True, slots=True)
class ToRebuild:
    """What a command line means: one resource, or all that have what is named."""

    ref: Ref | None = None
    kind: str | None = None
    template: str | None = None
    tenant: str | None = None
    outdated: bool = False
    everything: bool = False

    @property
    def nothing(self) -> bool:
        named = (self.ref, self.kind, self.template, self.tenant)
        if self.outdated or self.everything:
            return False
        return all(name is None for name in named)


def rebuild(
    kind: OneType = None,
    resource_id: OneId = None,
    template: BuiltFrom = None,
    tenant: InTenant = None,
    outdated: OutdatedOnly = False,
    everything: Everything = False,
    dry_run: command.DryRun = False,
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
    kind, resource_id = naming.split(kind, resource_id)
    with session(timeout if wait else None) as doors:
        meant = replace(
            _meant(doors.keys, kind, resource_id),
            template=template,
            tenant=tenant,
            outdated=outdated,
            everything=everything,
        )
        found = _read(doors.store, doors.keys, meant)
        refs = choose(found, meant)
        if dry_run:
            _show_plan(doors, refs, output)
            return
        written = ask(doors.store, found, refs)
        goal = None
        if wait and written:
            goal = Goal(refs)
        finish(doors, written, goal, timeout, output)


def _show_plan(doors: Session, refs: Sequence[Ref], output: Format) -> None:
    """Show what building these again would do, and write nothing."""
    wanted = edits.Edits({}, rebuilds=frozenset(refs))
    made = making.make(making.PlanGround.of(doors), wanted)
    command.tell(made.plan, made.plan.changes, output)


def _meant(keys: Keys, kind: str | None, resource_id: str | None) -> ToRebuild:
    """:raises InvalidInput: there is no such type, or no such id can be."""
    if kind is None:
        return ToRebuild()
    if resource_id is None:
        return ToRebuild(kind=naming.check_type(keys, kind))
    return ToRebuild(naming.resource(keys, kind, resource_id))


def _read(store: Store, keys: Keys, meant: ToRebuild) -> Snapshot:
    if meant.ref is None:
        return read_all(store, keys)
    naming.place(store, keys, meant.ref)
    return read_some(store, keys, [meant.ref])


def choose(found: Snapshot, meant: ToRebuild) -> list[Ref]:
    """The resources that are meant and can be built again.

    :raises InvalidInput: nothing is named, or the one that is named cannot.
    """
    if meant.nothing:
        raise InvalidInput(
            "nothing to rebuild: name TYPE ID, a TYPE, --template NAME, --tenant ID,"
            " --outdated, or --all"
        )
    if meant.ref is not None:
        if why := _cannot(found, meant.ref):
            raise InvalidInput(f"{meant.ref} {why}")
        return [meant.ref]
    return sorted(_all(found, meant))


def _all(found: Snapshot, meant: ToRebuild) -> Iterator[Ref]:
    progress = Progress(found)
    for ref, handled in found.handled.items():
        if meant.outdated and progress.of(ref).outdated is None:
            continue
        if meant.kind not in (None, ref.type):
            continue
        if meant.template not in (None, handled.template):
            continue
        if meant.tenant not in (None, handled.tenant):
            continue
        if not _cannot(found, ref):
            yield ref


def _cannot(found: Snapshot, ref: Ref) -> str:
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


def ask(store: Store, found: Snapshot, refs: Sequence[Ref]) -> list[Written]:
    """Leave the requests; asking twice is asking once."""
    written: list[Written] = []
    for start in range(0, len(refs), _TOGETHER):
        together = refs[start : start + _TOGETHER]
        requests = {
            found.keys.below(found.keys.retries, ref): RetryAsked(
                rebuild=found.handled[ref].job
            ).to_json()
            for ref in together
        }
        revision = store.commit(Transaction(puts=requests))
        written += [
            Written(
                ref,
                key,
                WriteResult.REBUILT,
                found.wanted[ref].version,
                revision,
            )
            for ref, key in zip(together, requests, strict=True)
        ]
    return written
