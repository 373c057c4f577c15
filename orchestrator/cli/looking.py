"""The commands that show where everything stands."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import InvalidInput
from ..views.overview import overview
from ..views.reading import read_all
from . import (
    naming,
    schemas,
    status,
    status_document,
    waiting,
    watching,
)
from .options import OneId, OneType, Output, Timeout
from .output import Format, emit, hint, on_terminal, show
from .session import session


def show_status(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            "-w",
            help=(
                "An application on the terminal: sort, filter, open one resource."
            ),
        ),
    ] = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Show every row of every table, and each worker."
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Show what is wrong and since when, who works, what runs, and what waits for what.

    What is overdue comes first, then what failed, folded by its cause.
    Each table has at most ten rows, and says how many it left out.

    Answers 0 when all is well, though something may still be in progress.
    Answers 1 when nobody leads, when no worker takes jobs although some wait, and when a person has
    to act: something is overdue, in trouble, failed, lost, broken, held back, rejected or paused.
    """
    if watch and (output is not Format.TEXT or not on_terminal()):
        raise InvalidInput(
            "--watch draws on a terminal; in a script, use `orchestrator wait`, then"
            " `orchestrator status -o json`"
        )
    with session() as doors:
        if watch:
            raise typer.Exit(watching.watch(doors))
        moment = doors.moment()
        found = overview(read_all(doors.store, doors.keys), moment)
        differs = schemas.difference(doors.source, found.schema_list)
    if differs:
        hint(differs)
    if output is Format.TEXT:
        most = None if everything else status.ROWS
        show(status.render(found, moment.now, most))
    else:
        emit(status_document.as_document(found, moment.now), output)
    raise typer.Exit(status.exit_of(found))


def wait(
    kind: OneType = None,
    resource_id: OneId = None,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Wait until nothing is in progress: everywhere, for one type, or for one resource.

    A resource is done when its wanted version is reported, or when it is held back by something
    that does not come by itself.
    Answers 0 when all is complete, 1 when something failed or is held back, and 3 when time was
    over.
    """
    kind, resource_id = naming.split(kind, resource_id)
    with session(timeout) as doors:
        goal = waiting.goal_of(doors.store, doors.keys, kind, resource_id)
        outlook = waiting.until_told(doors.store, doors.keys, goal, timeout)
    if output is Format.TEXT:
        show(waiting.summary(outlook))
    else:
        emit(waiting.as_document(outlook), output)
    raise typer.Exit(waiting.exit_of(outlook))
