"""The end of a command that wrote something: say what, and wait for what comes of it."""

from __future__ import annotations

import typer
from rich.text import Text

from . import waiting
from .output import DOUBT, FAINT, GOOD, Format, Section, emit, show
from .session import Session
from .waiting import Goal
from .writing import Result, Written

_RESULTS = {
    Result.CREATED: GOOD,
    Result.UPDATED: GOOD,
    Result.MARKED: DOUBT,
    Result.REMOVED: DOUBT,
    Result.RETRIED: GOOD,
    Result.CONFIRMED: DOUBT,
}


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
        document = {"written": [w.to_json() for w in written], "wait": waiting.as_document(outlook)}
        emit(document, output)
    raise typer.Exit(outlook.exit)


def written_table(written: list[Written]) -> Section:
    rows = [(_result(w.result), str(w.ref), f"v{w.version}" if w.version else "") for w in written]
    return Section("", ("result", "resource", "version"), rows)


def _result(result: Result) -> Text:
    return Text(result.value, _RESULTS.get(result, FAINT))
