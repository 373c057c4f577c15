"""``orchestrator schemas``: which resource types are in force, and reading them anew at once."""

from __future__ import annotations

import time
from collections.abc import Mapping

import typer
from rich.text import Text

from ..clients.schema_list import Source
from ..clients.types import read_stored
from ..core.records import SchemaTrouble
from ..core.refs import Json
from ..core.schemas import ResourceType, Schemas
from ..errors import InvalidInput, OrchestratorError, TemporaryError
from .exits import HELP, Exit
from .options import Output, Timeout
from .output import (
    BAD,
    DOUBT,
    FAINT,
    GOOD,
    Format,
    Section,
    count,
    emit,
    hint,
    show,
)
from .session import Session, session

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Show the resource types in force, or have the leading bridge read the list of"
        " types now."
    ),
    epilog=HELP,
)

_BETWEEN = 0.1
"""Interval, in seconds, of the checks whether the leader has done what was asked."""
_PATIENCE = 60.0
"""Seconds to wait for it, when nothing else is said: a large API server takes its time."""


@app.command("show", epilog=HELP)
def show_types(output: Output = Format.TEXT) -> None:
    """Show the types in force: their keys in etcd, whether their configs have versions, and what
    becomes of them."""
    with session() as doors:
        types, trouble = doors.keys.schemas, _trouble(doors)
        record = _record(doors)
        differs = difference(doors.source, record)
    if differs:
        hint(differs)
    if output is Format.TEXT:
        show(
            [
                _headline(types, stored=record is not None),
                *_told(trouble),
                _table(types),
            ]
        )
    else:
        emit(_as_document(types, record, trouble), output)


@app.command(epilog=HELP)
def reload(timeout: Timeout = None) -> None:
    """Have the leading bridge read the schema list now, and wait until it has.

    Without this it does so every ORCHESTRATOR_SCHEMAS_INTERVAL seconds. Answers 0 when the newest
    list is in force, 1 when it is refused, and 4 when the API server does not answer.
    """
    with session() as doors:
        before = _record(doors)
        if doors.store.get(doors.types.none.leader) is None:
            told = "no bridge leads; `orchestrator bridge` reads the list when it begins"
            raise _NobodyLeads(told)
        asked = doors.store.put(doors.types.none.schema_reload, "{}")
        if not _done(doors, asked, timeout):
            hint("The leading bridge has not read the list yet; it will.")
            raise typer.Exit(Exit.TIMEOUT)
        trouble, types = _trouble(doors), doors.types.refresh().keys.schemas
    show([_headline(types, stored=True), *_told(trouble)])
    if trouble is not None:
        if trouble.refused:
            raise typer.Exit(Exit.PROBLEM)
        raise typer.Exit(Exit.UNAVAILABLE)
    news = Text("It is new.", GOOD)
    if before is not None and before["revision"] == types.origin.revision:
        news = Text("It was the newest already.", FAINT)
    show([news])


class _NobodyLeads(OrchestratorError):
    """There is nobody who could do it."""


def _done(doors: Session, asked: int, timeout: float | None) -> bool:
    """Whether the leader has dealt with the request, waiting for it."""
    if timeout is None:
        timeout = _PATIENCE
    end = time.monotonic() + timeout
    while True:
        request = doors.store.get(doors.types.none.schema_reload)
        if request is None or request.revision > asked:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_BETWEEN)


# What is known ------------------------------------------------------------------------------------


def difference(source: Source, record: Mapping[str, Json] | None) -> str:
    """How this machine's own schema list differs from the one in force.

    Empty when it does not, or when that is not known.

    :param record: what the leader has stored about the list in force.
    """
    if record is None:
        return ""
    if not source.local:
        if record["source"] == source.name:
            return ""
        return _differs(source, record)
    try:
        own = source.read()
    except InvalidInput as error:
        return f"This machine's schema list cannot be used: {error}."
    if own.digest == record["digest"]:
        return ""
    return _differs(source, record)


def _differs(source: Source, record: Mapping[str, Json]) -> str:
    return (
        f"This machine's schema list ({source.name}) differs from the leader's"
        f" ({record['source']}), which is in force everywhere. A bridge of this machine"
        " would put its own in force when it leads: set the same ORCHESTRATOR_SCHEMAS."
    )


def _record(doors: Session) -> dict[str, Json] | None:
    try:
        stored = read_stored(doors.store, doors.types.none)
    except ValueError as error:
        raise TemporaryError(
            f"the schema list in etcd cannot be read: {error}"
        ) from error
    if stored is None:
        return None
    listed = stored.listed
    return {
        "revision": stored.revision,
        "source": listed.source,
        "fetched": listed.fetched,
        "types": len(listed.entries),
        "digest": listed.digest,
    }


def _trouble(doors: Session) -> SchemaTrouble | None:
    found = doors.store.get(doors.types.none.schema_trouble)
    if found is None:
        return None
    try:
        return SchemaTrouble.from_json(found.value)
    except (ValueError, KeyError, TypeError):
        return None


# Telling ------------------------------------------------------------------------------------------


def _headline(types: Schemas, *, stored: bool) -> Text:
    text = f"{count(len(types), 'type')} of {types.origin}"
    if stored:
        verb = "are"
        if len(types) == 1:
            verb = "is"
        return Text(f"{text} {verb} in force.")
    return Text(
        f"{text}; no leader has stored a list yet, so this is this machine's own.",
        DOUBT,
    )


def _told(trouble: SchemaTrouble | None) -> list[Section | Text]:
    if trouble is None:
        return []
    since = f"since {trouble.since}: "
    what = Text(f"The list cannot be read {since}", DOUBT)
    if trouble.refused:
        what = Text(f"A newer list is refused {since}", BAD)
    return [Text.assemble(what, trouble.reason)]


def _table(types: Schemas) -> Section:
    rows = [
        (
            kind.id,
            f"/{kind.pattern}",
            "yes" if kind.versioned else "no",
            _what(kind),
        )
        for kind in types
    ]
    return Section(
        "", ("type", "keys", "state versioning", "what becomes of it"), rows
    )


def _what(kind: ResourceType) -> Text:
    if kind.fault:
        return Text(kind.fault, BAD)
    if not kind.is_resource:
        return Text("no resource", FAINT)
    if kind.template is None:
        return Text("nothing to build", FAINT)
    return Text("a stack")


def _as_document(
    types: Schemas,
    record: Mapping[str, Json] | None,
    trouble: SchemaTrouble | None,
) -> dict[str, Json]:
    return {
        "list": dict(record) if record else None,
        "trouble": _trouble_document(trouble) if trouble else None,
        "types": [_type_document(kind) for kind in types],
    }


def _trouble_document(trouble: SchemaTrouble) -> dict[str, Json]:
    return {
        "reason": trouble.reason,
        "since": trouble.since,
        "refused": trouble.refused,
    }


def _type_document(kind: ResourceType) -> dict[str, Json]:
    return {
        "type": kind.id,
        "keys": f"/{kind.pattern}",
        "state_versioning": kind.versioned,
        "resource": kind.is_resource,
        "built": kind.template is not None,
        "fault": kind.fault,
    }
