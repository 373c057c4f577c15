"""What the leading bridge made of a verb: waited for, and told."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from ...clients.store import Store
from ...core.keys import Keys
from ...core.records import AuditRecord, RetryAsked
from ...core.refs import Ref
from ..exits import Exit
from ..output import Format, Section, emit, hint, show
from ..session import Session
from . import requesting
from .authors import AskedVerb

PATIENCE = 30.0
"""Seconds to wait for the leading bridge where the command line does not say."""
_BETWEEN = 0.1
_TOGETHER = 100
"""Keys in one reading."""

Patience = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="Seconds to wait for the leading bridge.",
        min=0,
        metavar="SECONDS",
    ),
]


def carry_out(
    doors: Session,
    asked: AskedVerb,
    requests: Mapping[Ref, RetryAsked],
    timeout: float,
    output: Format,
) -> None:
    """Leave a verb's requests to the leading bridge, wait for their outcomes and tell them.

    :param timeout: seconds to wait for the bridge.
    :raises typer.Exit: 1 when something is not done, 3 when it is not known yet.
    """
    store, keys = doors.store, doors.keys
    requesting.ask(store, keys, asked, requests)
    told = outcomes(store, keys, asked, list(requests), timeout)
    tell_outcomes(told, output)


def outcomes(
    store: Store,
    keys: Keys,
    asked: AskedVerb,
    refs: Sequence[Ref],
    timeout: float,
) -> dict[Ref, AuditRecord]:
    """The records of a verb, once the leading bridge has dealt with it or the time is over."""
    end = time.monotonic() + timeout
    names = {keys.audit(ref, asked.id): ref for ref in refs}
    while True:
        told: dict[Ref, AuditRecord] = {}
        listed = list(names)
        for start in range(0, len(listed), _TOGETHER):
            some = listed[start : start + _TOGETHER]
            found = store.get_many(some)
            told |= {
                names[key]: AuditRecord.from_json(kv.value)
                for key, kv in found.items()
            }
        over = all(record.outcome for record in told.values())
        if over or time.monotonic() >= end:
            return told
        time.sleep(_BETWEEN)


def tell_outcomes(told: dict[Ref, AuditRecord], output: Format) -> None:
    """Say what became of a verb.

    :raises typer.Exit: 1 when something is not done, 3 when it is not known yet.
    """
    waits = [ref for ref, record in told.items() if not record.outcome]
    failed = [
        ref
        for ref, record in told.items()
        if record.outcome.startswith(("not done", "nothing to do"))
    ]
    if output is Format.TEXT:
        rows = [
            (str(ref), record.outcome or "not dealt with yet")
            for ref, record in told.items()
        ]
        wide = frozenset({"outcome"})
        show([Section("", ("resource", "outcome"), rows, wide=wide)])
    else:
        emit(
            [
                {"type": ref.type, "id": ref.id, **record.to_record()}
                for ref, record in told.items()
            ],
            output,
        )
    if waits:
        hint(
            "The leading bridge has not dealt with all of it yet; it will."
            " `orchestrator history --verbs` shows the outcome."
        )
        raise typer.Exit(Exit.TIMEOUT)
    if failed:
        raise typer.Exit(Exit.PROBLEM)
