"""``orchestrator history`` and ``orchestrator historian``."""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Annotated

import typer

from .. import log
from .. import settings as configuration
from ..core.refs import Ref
from ..errors import (
    InvalidInput,
    OrchestratorError,
    SettingsError,
    StoreUnavailable,
    TemporaryError,
)
from ..history import reading, sources, timeline, wanted
from ..history.moments import moment
from ..history.timeline import Timeline
from ..history.wanted import WantedThen
from . import history_text, naming
from .exits import Exit
from .options import OneId, OneType, Output
from .output import Format, emit, hint, show
from .session import Session, exit_code, session
from .verbs import listing

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Only what is not older: 1d, 2h30m, or a time such as"
        " 2026-11-28T04:57:22Z.",
        metavar="WHEN",
        show_default=False,
    ),
]
Diff = Annotated[
    bool,
    typer.Option("--diff", help="Show what differs from the version before."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="Show the wanted configuration of that moment instead, from the"
        " historian's database.",
        metavar="WHEN",
        show_default=False,
    ),
]


Verbs = Annotated[
    bool,
    typer.Option(
        "--verbs",
        help="Show what people asked for by commands lately: who, why, and the outcome.",
    ),
]


def command(
    kind: OneType = None,
    resource_id: OneId = None,
    since: Since = None,
    diff: Diff = False,
    at: At = None,
    verbs: Verbs = False,
    output: Output = Format.TEXT,
) -> None:
    """Show what happened to a resource: every version of its config, each job and attempt, each
    report, failure and request of a person, in order.

    It is read from the historian's database, where ORCHESTRATOR_HISTORY_DATABASE names one.
    What is not there is read from etcd's own revisions, as far back as etcd has not compacted them.
    etcd keeps no times: a change has one where its record names it, or where a historian saw it.
    Secrets are masked.

    **Examples**

        orchestrator history port port-web
        orchestrator history port:port-web --since 1d --diff
        orchestrator history --at 2026-11-28T04:00:00Z port -o yaml
        orchestrator history --verbs
    """
    if verbs:
        _show_verbs(kind, output)
        return
    kind, resource_id = naming.split(kind, resource_id)
    if at is not None:
        if since is not None or diff:
            raise InvalidInput("--at goes with neither --since nor --diff")
        _show_then(at, kind, resource_id, output)
        return
    if kind is None or resource_id is None:
        raise InvalidInput("name TYPE and ID of one resource, or --at WHEN")
    after = moment(since, time.time(), "--since") if since else None
    with session() as doors:
        found = _read(doors, located(doors, kind, resource_id))
    if after is not None:
        kept = timeline.since(found.entries, after)
        found = replace(found, entries=tuple(kept))
    if output is Format.TEXT:
        show(history_text.history(found, diff=diff))
        for note in found.notes:
            hint(note)
    else:
        emit(found.to_json(), output)


def _show_verbs(kind: str | None, output: Format) -> None:
    """What people asked for by commands, as far as etcd keeps it."""
    if kind is not None:
        raise InvalidInput(
            "--verbs goes without TYPE and ID: `orchestrator history TYPE ID` shows"
            " the verbs on one resource"
        )
    with session() as doors:
        taken = listing.read(doors.store, doors.keys)
    if output is Format.TEXT:
        show(listing.table(taken))
    else:
        emit([one.to_json() for one in taken], output)


def located(doors: Session, kind: str, resource_id: str) -> Ref:
    """The resource that a command line names, once it is known where it lies."""
    ref = naming.resource(doors.keys, kind, resource_id)
    return naming.place(doors.store, doors.keys, ref)


def _read(doors: Session, ref: Ref) -> Timeline:
    read = partial(
        reading.history,
        doors.store,
        doors.keys,
        ref,
        doors.catalogue.templates,
    )
    try:
        with sources.archive(doors.settings.history_database) as archive:
            return read(archive)
    except StoreUnavailable:
        raise
    except TemporaryError as error:
        hint(f"{error}. This is what etcd alone tells.")
        return read()


def _show_then(
    at: str, kind: str | None, resource_id: str | None, output: Format
) -> None:
    """The wanted configuration of a moment."""
    now = time.time()
    then = moment(at, now, "--at")
    if then > now:
        raise InvalidInput(f"--at {at}: this is yet to come")
    with session() as doors:
        found = _then(doors, then, kind, resource_id)
    if output is Format.TEXT:
        show(history_text.configs(found.configs))
    else:
        emit(list(found.documents), output)
    for note in found.notes:
        hint(note)


def _then(
    doors: Session, then: float, kind: str | None, resource_id: str | None
) -> WantedThen:
    keys = doors.keys
    known = naming.check_type(keys, kind) if kind else None
    templates = reading.templates_of(
        doors.store, keys, doors.catalogue.templates
    )
    with sources.archive(doors.settings.history_database) as archive:
        if archive is None:
            raise InvalidInput(
                "--at needs the historian's database, because etcd keeps no times: set"
                " ORCHESTRATOR_HISTORY_DATABASE (docs/howto/history.md)"
            )
        return wanted.at(
            archive, then, templates, kind=known, resource_id=resource_id
        )


def historian() -> None:
    """Follow etcd's watch, and keep the history of all resources in a database.

    Runs until it is told to stop (SIGTERM, Ctrl-C).
    It resumes where it stopped. It may be killed at any time, and more than one may run.
    The database is that of ORCHESTRATOR_HISTORY_DATABASE: a file, or a PostgreSQL server.
    """
    try:
        settings = configuration.load()
    except SettingsError as error:
        log.tell_refused(error)
        raise typer.Exit(Exit.INPUT) from error
    log.configure(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        # Without a database its library need not be installed.
        sources.required(settings.history_database)
        import_module("orchestrator.history.service").run(settings, stop)
    except OrchestratorError as error:
        if settings.log_format != "json":
            raise
        logging.getLogger(__name__).error(
            "The historian cannot run",
            extra={"event": "historian_refused", "reason": str(error)},
        )
        raise typer.Exit(exit_code(error)) from error
    except Exception as error:
        # As of a bridge: whoever supervises it starts it again.
        logging.getLogger(__name__).exception(
            "The historian ended by a defect",
            extra={"event": "historian_defect"},
        )
        raise typer.Exit(Exit.DEFECT) from error
