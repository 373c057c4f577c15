"""The end of a command that wrote something: say what, and wait for what comes of it."""

from __future__ import annotations

import typer
from rich.text import Text

from ..clients.schema_list import is_address
from ..core.resources import UNVERSIONED
from ..views.outlook import Goal
from . import waiting
from .output import DOUBT, FAINT, GOOD, Format, Section, emit, hint, show
from .session import Session
from .writing import WriteResult, Written

_RESULTS = {
    WriteResult.CREATED: GOOD,
    WriteResult.UPDATED: GOOD,
    WriteResult.MARKED: DOUBT,
    WriteResult.REMOVED: DOUBT,
    WriteResult.RETRIED: GOOD,
    WriteResult.CONFIRMED: DOUBT,
    WriteResult.REBUILT: GOOD,
}

_NAMED = 3
"""How many resources a sentence names."""


def finish(
    doors: Session,
    written: list[Written],
    goal: Goal | None,
    timeout: float | None,
    output: Format,
    *,
    told: bool = False,
) -> None:
    """Say what was written, and wait for what comes of it.

    :param goal: what to wait for; None: do not wait.
    :param told: a person has been told already.
    """
    if output is Format.TEXT and not told:
        show([written_table(written)])
    elif output is not Format.TEXT and goal is None:
        emit([w.to_json() for w in written], output)
    if goal is None:
        return
    outlook = waiting.until_told(doors.store, doors.keys, goal, timeout)
    if output is Format.TEXT:
        show(waiting.summary(outlook))
    else:
        document = {
            "written": [w.to_json() for w in written],
            "wait": waiting.as_document(outlook),
        }
        emit(document, output)
    raise typer.Exit(waiting.exit_of(outlook))


def warn_of_api_server(doors: Session, written: list[Written]) -> None:
    """Two who write one resource count its versions apart."""
    origin = doors.keys.schemas.origin.source
    server = is_address(doors.settings.schemas) or is_address(origin)
    owned = [
        w
        for w in written
        if w.before is not None and (server or w.before == UNVERSIONED)
    ]
    if not owned:
        return
    names = ", ".join(str(w.ref) for w in owned[:_NAMED])
    more = ""
    if len(owned) > _NAMED:
        more = f" and {len(owned) - _NAMED} more"
    hint(
        f"An API server owns {names}{more}: it does not know of this version and will"
        " write the same number again, with its own body. Change the resource there as"
        " well."
    )


def written_table(written: list[Written]) -> Section:
    """What became of each document."""
    rows = [(_result(w.result), str(w.ref), _version(w)) for w in written]
    return Section("", ("result", "resource", "version"), rows)


def _version(written: Written) -> str:
    if written.version:
        return f"v{written.version}"
    return ""


def _result(result: WriteResult) -> Text:
    return Text(result.value, _RESULTS.get(result, FAINT))
