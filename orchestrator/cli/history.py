"""``orchestrator history``: what happened to a resource, in order."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Annotated

import typer
from rich.text import Text

from .. import log
from .. import settings as configuration
from ..core.refs import Json, Ref
from ..errors import (
    InvalidInput,
    OrchestratorError,
    SettingsError,
    StoreUnavailable,
    TemporaryError,
)
from ..history import reading, sources, timeline
from ..history.differences import NOTHING, Difference
from ..history.moments import moment
from ..history.timeline import Entry, Timeline
from . import documents
from .exits import Exit
from .options import Output
from .output import BAD, DOUBT, FAINT, GOOD, Format, Section, emit, hint, show
from .session import Session, exit_code, session

OneType = Annotated[
    str | None,
    typer.Argument(
        help="A type, such as port; port:port-web names type and id in one.",
        metavar="TYPE",
        show_default=False,
    ),
]
OneId = Annotated[
    str | None,
    typer.Argument(
        help="The id of one resource.", metavar="ID", show_default=False
    ),
]
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


def command(
    kind: OneType = None,
    resource_id: OneId = None,
    since: Since = None,
    diff: Diff = False,
    output: Output = Format.TEXT,
) -> None:
    """Show what happened to a resource: every version of its config, each job and attempt, each
    report, failure and request of a person, in order.

    It is read from etcd's own revisions, as far back as etcd has not compacted them.
    etcd keeps no times: a change has one only where its record names it.
    Secrets are masked.

    **Examples**

        orchestrator history port port-web
        orchestrator history port:port-web --since 1d --diff
    """
    kind, resource_id = documents.split(kind, resource_id)
    if kind is None or resource_id is None:
        raise InvalidInput("name TYPE and ID of one resource")
    after = moment(since, time.time(), "--since") if since else None
    with session() as doors:
        found = _read(doors, kind, resource_id)
    if after is not None:
        found = replace(
            found, entries=tuple(timeline.since(found.entries, after))
        )
    if output is Format.TEXT:
        show(_render(found, diff=diff))
        for note in found.notes:
            hint(note)
    else:
        emit(found.to_json(), output)


def _read(doors: Session, kind: str, resource_id: str) -> Timeline:
    ref = _located(doors, kind, resource_id)
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


def _located(doors: Session, kind: str, resource_id: str) -> Ref:
    """The resource that a command line names, once it is known where it lies."""
    ref = documents.resource(doors.keys, kind, resource_id)
    return documents.place(doors.store, doors.keys, ref)


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
    # Without a database its library need not be installed.
    sources.address(settings.history_database)
    service = import_module("orchestrator.history.service")
    try:
        service.run(settings, stop)
    except OrchestratorError as error:
        if settings.log_format != "json":
            raise
        logging.getLogger(__name__).error(
            "The historian cannot run",
            extra={"event": "historian_refused", "reason": str(error)},
        )
        raise typer.Exit(exit_code(error)) from error
    except Exception as error:
        logging.getLogger(__name__).exception(
            "The historian ended by a defect",
            extra={"event": "historian_defect"},
        )
        raise typer.Exit(Exit.DEFECT) from error


# For people ---------------------------------------------------------------------------------------


_COLUMNS = ("time", "revision", "record", "what", "who")


def _render(found: Timeline, *, diff: bool) -> list[Section | Text]:
    entries = list(timeline.visible(found.entries))
    if not entries:
        return [Text("Nothing happened.")]
    if diff:
        return list(_with_differences(found.entries))
    authors = any(entry.author for entry in entries)
    columns = _COLUMNS if authors else _COLUMNS[:-1]
    rows = [_cells(entry)[: len(columns)] for entry in entries]
    return [Section("", columns, rows, wide=frozenset({"what"}))]


def _cells(entry: Entry) -> tuple[str | Text, ...]:
    return (
        _time(entry),
        str(entry.change.revision),
        entry.change.kind.value,
        Text(entry.says, _style(entry)),
        entry.author,
    )


def _time(entry: Entry) -> Text:
    """In this machine's zone; ``≤`` where the change may be older."""
    if entry.time is None:
        return Text("-", FAINT)
    local = datetime.fromtimestamp(entry.time).astimezone()
    mark = "≤ " if entry.at_the_latest else ""
    return Text(f"{mark}{local:%Y-%m-%d %H:%M:%S}")


def _style(entry: Entry) -> str:
    says = entry.says
    if "FAILED" in says or "failed" in says:
        return BAD
    if says.startswith(("reported", "the job is complete")):
        return GOOD
    return DOUBT if entry.change.value is None else ""


def _with_differences(entries: Iterable[Entry]) -> Iterator[Text]:
    """One line for a change, and one for each value that differs."""
    for entry in entries:
        if entry.quiet:
            continue
        yield Text.assemble(
            _time(entry),
            (f"  revision {entry.change.revision}  ", FAINT),
            (entry.change.kind.value, "bold cyan"),
            "  ",
            (entry.says, _style(entry)),
            (f"  by {entry.author}" if entry.author else "", FAINT),
        )
        for difference in entry.differences:
            yield difference_line(difference)


def difference_line(difference: Difference) -> Text:
    """``~ body.cidr: "192.0.2.0/24" → "192.0.2.0/25"``."""
    path = difference.path or "(all)"
    if difference.masked:
        return Text(f"    ~ {path}: a secret has changed", DOUBT)
    if difference.before is NOTHING:
        return Text(f"    + {path}: {_value(difference.after)}", GOOD)
    if difference.after is NOTHING:
        return Text(f"    - {path}: {_value(difference.before)}", BAD)
    before, after = _value(difference.before), _value(difference.after)
    return Text(f"    ~ {path}: {before} → {after}", DOUBT)


def _value(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
