"""``orchestrator wait``, and ``--wait``: until nothing is in progress any more, and what is told
about it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from ..clients.store import Store
from ..core.keys import Keys
from ..core.refs import Json
from ..views.outlook import Goal, Outlook, until
from ..views.reading import read_some
from ..views.resource import unknown
from ..views.snapshot import Snapshot
from ..views.standings import Phase, Standing
from . import naming
from .exits import Exit
from .output import (
    BAD,
    BUSY,
    DOUBT,
    FAINT,
    GOOD,
    Section,
    console,
    count,
    duration,
    hint,
    on_terminal,
    seen,
)

_NAMED = 3
"""How many running resources a line names."""


def goal_of(
    store: Store, keys: Keys, kind: str | None, resource_id: str | None
) -> Goal:
    """What a command line means: everything, one type, or one resource.

    :raises InvalidInput: there is no such type, or nothing is known of such a resource.
    """
    if kind is None:
        return Goal()
    if resource_id is None:
        return Goal(kind=naming.check_type(keys, kind))
    named = naming.resource(keys, kind, resource_id)
    ref = naming.place(store, keys, named)
    if ref not in read_some(store, keys, [ref]).refs():
        raise unknown(keys, ref)
    return Goal([ref])


def exit_of(found: Outlook) -> Exit:
    """What the command answers."""
    if found.moving:
        return Exit.TIMEOUT
    if found.bad:
        return Exit.PROBLEM
    return Exit.OK


# Telling ------------------------------------------------------------------------------------------


def until_told(
    store: Store, keys: Keys, goal: Goal, timeout: float | None
) -> Outlook:
    """Wait, and on a terminal show how far it has come."""
    if on_terminal():
        return _with_spinner(store, keys, goal, timeout)
    return until(store, keys, goal, timeout, _Warn(goal))


class _Warn:
    """Says on stderr what the outlook does not: that nobody works, and what nobody looks at."""

    def __init__(self, goal: Goal) -> None:
        self._everything = goal.refs is None and not goal.kind
        self._no_leader = self._rejected = False

    def __call__(self, found: Outlook, snapshot: Snapshot) -> None:
        if found.moving and snapshot.leader is None and not self._no_leader:
            self._no_leader = True
            hint(
                "No bridge leads; nothing will happen before `orchestrator bridge`"
                " runs."
            )
        if self._everything and snapshot.rejected and not self._rejected:
            self._rejected = True
            keys = count(len(snapshot.rejected), "key")
            hint(
                f"The bridge rejects {keys}, such as one of an unknown type: see"
                " `orchestrator status`."
            )


def _with_spinner(
    store: Store, keys: Keys, goal: Goal, timeout: float | None
) -> Outlook:
    warn = _Warn(goal)
    with console().status(Text("Waiting …")) as spinner:

        def tell(found: Outlook, snapshot: Snapshot) -> None:
            warn(found, snapshot)
            spinner.update(seen(sentence(found)))

        return until(store, keys, goal, timeout, tell)


def sentence(found: Outlook) -> Text:
    """One line on how far it has come."""
    total = len(found.good) + len(found.bad) + len(found.moving)
    text = Text.assemble((f"{len(found.good)} of {total} complete", GOOD))
    if found.bad:
        text.append(f", {len(found.bad)} failed or held", BAD)
    if running := _running(found):
        text.append(f", running: {running}", BUSY)
    return text.append(f"  {duration(found.seconds)}", FAINT)


def _running(found: Outlook) -> str:
    """The resources with a job under way, the first few by name; empty when there are none."""
    running = [
        str(standing.ref)
        for standing in found.moving
        if standing.phase is Phase.RUNNING
    ]
    named = ", ".join(running[:_NAMED])
    if len(running) > _NAMED:
        return f"{named} and {len(running) - _NAMED} more"
    return named


def summary(found: Outlook) -> list[Section | Text]:
    """How it ended."""
    return [*troubles(found), _verdict(found)]


def _verdict(found: Outlook) -> Text:
    took = duration(found.seconds)
    if found.moving:
        left = count(len(found.moving), "resource")
        return Text(
            f"Time is over after {took}: {left} still in progress.", DOUBT
        )
    if found.bad:
        failed = f"{count(len(found.bad), 'resource')} failed or held back"
        return Text(f"{failed}, {len(found.good)} complete, after {took}.", BAD)
    if not found.good:
        return Text("Nothing is left to wait for.", GOOD)
    complete = count(len(found.good), "resource")
    return Text(f"{complete} complete after {took}.", GOOD)


def troubles(found: Outlook) -> list[Section | Text]:
    """What did not end well, and what did not end."""
    rows = [*_rows(found.bad, BAD), *_rows(found.moving, BUSY)]
    if not rows:
        return []
    columns = ("resource", "is", "because")
    return [Section("", columns, rows, wide=frozenset({"because"}))]


def _rows(
    standings: Sequence[Standing], style: str
) -> list[tuple[str, Text, str]]:
    return [
        (str(standing.ref), Text(standing.phase.value, style), standing.reason)
        for standing in standings
    ]


_RESULTS = {
    Exit.OK: "complete",
    Exit.PROBLEM: "failed",
    Exit.TIMEOUT: "timeout",
}


def as_document(found: Outlook) -> dict[str, Json]:
    """For programs."""
    return {
        "result": _RESULTS[exit_of(found)],
        "seconds": round(found.seconds, 3),
        "complete": [str(good.ref) for good in found.good],
        "failed": [_entry(bad) for bad in found.bad],
        "in_progress": [_entry(left) for left in found.moving],
    }


def _entry(standing: Standing) -> dict[str, Json]:
    return {
        "type": standing.ref.type,
        "id": standing.ref.id,
        "phase": standing.phase.value,
        "reason": standing.reason,
    }
