"""``orchestrator pause`` and ``resume``: nothing new is sent to Heat for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from ...clients.store import Store, revision_of
from ...core.keys import Keys
from ...core.records import UNREADABLE, Pause, Pauses, Run, Step
from ...core.refs import Json, RunId
from ...core.transactions import Transaction, unchanged
from ...errors import InvalidInput, StoreUnavailable
from ...history.changes import of_job
from ...history.moments import coming
from ..exits import Exit
from ..options import OneType, Output
from ..output import DOUBT, GOOD, Format, count, emit, hint, show
from ..session import session
from .authors import As, AskedVerb, Why, verb
from .selecting import DryRun, Everything, OfTenant, Selector, selector

_ATTEMPTS = 20
_BETWEEN = 0.2
"""Seconds between two readings of the requests that are under way."""
_PATIENCE = 60.0
"""Seconds to wait for them where the command line does not say."""

Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="When it ends by itself: 1h, 2h30m, or a time such as"
        " 2026-11-28T06:00:00Z.",
        metavar="WHEN",
        show_default=False,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="Seconds to wait for requests that are under way.",
        min=0,
        metavar="SECONDS",
    ),
]


def pause(
    kind: OneType = None,
    tenant: OfTenant = None,
    everything: Everything = False,
    until: Until = None,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    timeout: Timeout = _PATIENCE,
    output: Output = Format.TEXT,
) -> None:
    """Send nothing new to Heat: for all, for a tenant, or for a type.

    Decisions, polls, drift and monitoring go on, and Heat finishes what it works on.
    The command waits for requests that workers are making at this moment.
    When it answers 0, no worker sends a request for them before `orchestrator resume`.
    It answers 3 when such a request is still under way after the timeout; the pause stays.
    Messages that are already in the broker make no difference: a worker asks etcd first.

    **Examples**

        orchestrator pause --all --until 1h --why "Heat is upgraded"
        orchestrator pause --tenant 5bc29eb468c444bf839a3e634d222132
        orchestrator pause server
    """
    now = time.time()
    end = _stamp(coming(until, now, "--until")) if until else ""
    with session() as doors:
        meant = _scope(doors.keys, kind, tenant, everything, "pause")
        asked = verb("pause", by, why, meant.words)
        wanted = Pause(
            asked.at,
            asked.by,
            meant.tenant,
            meant.kind,
            end,
            asked.why,
            asked.id,
        )
        left: list[RunId] = []
        if not dry_run:
            write(doors.store, doors.keys, asked, lambda p: p.adding(wanted))
            left = drained(doors.store, doors.keys, wanted, timeout)
    _tell_pause(wanted, left, output, dry_run=dry_run)
    if left:
        raise typer.Exit(Exit.TIMEOUT)


def resume(
    kind: OneType = None,
    tenant: OfTenant = None,
    everything: Everything = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    output: Output = Format.TEXT,
) -> None:
    """End a pause: what waited is sent.

    A type or --tenant ends the pause that was made with the same words; --all ends all pauses.

    **Examples**

        orchestrator resume --all
        orchestrator resume --tenant 5bc29eb468c444bf839a3e634d222132
    """
    with session() as doors:
        meant = _scope(doors.keys, kind, tenant, everything, "resume")
        asked = verb("resume", by, why, meant.words)
        there = read(doors.store, doors.keys)
        ended = _ended(there, meant)
        if not dry_run:
            write(
                doors.store,
                doors.keys,
                asked,
                lambda p: p.without(one.scope for one in ended),
            )
    if output is not Format.TEXT:
        emit([one.to_record() for one in ended], output)
        return
    for one in ended:
        would = "Would resume" if dry_run else "Resumed"
        show([Text(f"{would}: {one.about}", GOOD)])
    if left := there.without(one.scope for one in ended):
        names = ", ".join(one.about for one in left)
        hint(f"Still paused: {names}")


def _ended(there: Pauses, meant: Selector) -> list[Pause]:
    """:raises InvalidInput: none of them is meant."""
    ended = [one for one in there if _ends(meant, one)]
    if not ended:
        raise InvalidInput(
            f"nothing is paused by `pause {meant.words}`; see `orchestrator status`"
        )
    return ended


def read(store: Store, keys: Keys) -> Pauses:
    """The pauses that there are."""
    found = store.get(keys.pauses)
    return Pauses.from_json(found.value if found else None)


def _ends(meant: Selector, paused: Pause) -> bool:
    if meant.everything:
        return True
    return paused.scope == (meant.tenant, meant.kind)


def _scope(
    keys: Keys,
    kind: str | None,
    tenant: str | None,
    everything: bool,
    name: str,
) -> Selector:
    """Whom the pause is for.

    :raises InvalidInput: nobody is named, or a single resource is.
    """
    meant = selector(keys, kind, None, tenant=tenant, everything=everything)
    if meant.ref is not None:
        raise InvalidInput(
            f"{name} is for a type or a tenant, not one resource"
        )
    if meant.empty:
        raise InvalidInput(
            f"nothing to {name}: name a TYPE, --tenant ID, or --all"
        )
    if everything and (kind or tenant):
        raise InvalidInput("--all goes without TYPE and --tenant")
    return meant


def write(
    store: Store,
    keys: Keys,
    asked: AskedVerb,
    change: Callable[[Pauses], Pauses],
) -> None:
    """Change the record of the pauses, and write the record of the verb with it.

    :raises StoreUnavailable: others write it all the time.
    """
    record = asked.done(keys, None)
    for _ in range(_ATTEMPTS):
        found = store.get(keys.pauses)
        before = Pauses.from_json(found.value if found else None)
        wanted = change(before)
        requires = (unchanged(keys.pauses, revision_of(found)),)
        written = Transaction(requires, record, (keys.pauses,))
        if wanted:
            puts = {keys.pauses: wanted.to_json(), **record}
            written = Transaction(requires, puts)
        if store.commit(written):
            return
    raise StoreUnavailable(
        "the pauses are written by somebody else all the time"
    )


def drained(
    store: Store, keys: Keys, pause: Pause, timeout: float
) -> list[RunId]:
    """Wait until no worker makes a request for those whom a pause is for.

    :returns: the runs of the jobs that workers still had when the time was over.
    """
    end = time.monotonic() + timeout
    while left := _claimed(store, keys, pause):
        if time.monotonic() >= end:
            break
        time.sleep(_BETWEEN)
    return left


def _claimed(store: Store, keys: Keys, pause: Pause) -> list[RunId]:
    folder = keys.runs
    if pause.tenant is not None:
        folder = keys.tenant_runs(pause.tenant)
    found: list[RunId] = []
    for kv in store.list(folder)[1]:
        if _concerns(keys, kv.key, pause) and _is_claimed(kv.value):
            found.append(keys.run_id(kv.key))
    return found


def _concerns(keys: Keys, run: str, pause: Pause) -> bool:
    ref = of_job(keys.run_job(run))
    return ref is not None and pause.covers(ref.type, keys.run_tenant(run))


def _is_claimed(value: bytes) -> bool:
    try:
        return Run.from_json(value).step is Step.CLAIMED
    except UNREADABLE:
        return True  # Of another release: it may be anything.


def _tell_pause(
    paused: Pause, left: list[RunId], output: Format, *, dry_run: bool
) -> None:
    if output is not Format.TEXT:
        document: dict[str, Json] = {
            "pause": paused.to_record(),
            "written": not dry_run,
            "under_way": list(left),
        }
        emit(document, output)
        return
    until = f" until {paused.until}" if paused.until else ""
    would = "Would pause" if dry_run else "Paused"
    show([Text(f"{would}: {paused.about}{until}", DOUBT)])
    if left:
        hint(
            f"{count(len(left), 'request')} still under way. Nothing else is sent;"
            " `orchestrator status` shows them."
        )


def _stamp(moment: float) -> str:
    found = datetime.fromtimestamp(moment, UTC)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")
