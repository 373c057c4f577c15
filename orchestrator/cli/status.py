"""``orchestrator status``: what is wrong and since when, who works, what runs and what waits.

:func:`render` makes sections of an :class:`~orchestrator.views.overview.Overview`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ..core.records import SchemaTrouble
from ..views.overview import Overview
from ..views.phases import Phase, Standing
from .drift_table import DRIFTED, drift_table
from .exits import Exit
from .output import (
    BAD,
    BUSY,
    CALM,
    DOUBT,
    FAINT,
    GOOD,
    Section,
    count,
    duration,
)
from .status_tables import (
    Parts,
    delayed,
    deleted,
    failed,
    held_back,
    held_deletions,
    in_trouble,
    outdated,
    overdue,
    pending,
    ready,
    rejected,
    running,
    undeletable,
    waiting,
    workers,
)
from .verbs.pauses_text import paused

ROWS = 10
"""Rows of a section, unless all are asked for."""

PHASE_STYLES = {
    Phase.OVERDUE: BAD,
    Phase.COMPLETE: GOOD,
    Phase.RUNNING: BUSY,
    Phase.WAITING: CALM,
    Phase.PENDING: CALM,
    Phase.HELD: DOUBT,
    Phase.FAILED: BAD,
    Phase.TROUBLE: BAD,
    Phase.STALE: DOUBT,
    Phase.UNCONFIRMED: BAD,
    Phase.BROKEN: BAD,
    Phase.LOST: BAD,
    Phase.DELETED: FAINT,
}


def exit_of(found: Overview) -> Exit:
    """What the command answers."""
    if found.well:
        return Exit.OK
    return Exit.PROBLEM


def standing_text(standing: Standing) -> Text:
    """The word for where a resource stands: also whether its stack is outdated."""
    if standing.outdated:
        return Text("outdated", DOUBT)
    return phase_text(standing.phase)


def phase_text(phase: Phase) -> Text:
    """A phase in its colour."""
    return Text(phase.value, PHASE_STYLES.get(phase, DOUBT))


def render(
    found: Overview, now: float, most: int | None = ROWS
) -> list[Section | Text]:
    """Everything that is not as it should be yet; of what is complete, only how many there are.

    :param now: seconds since the epoch.
    :param most: rows of a section; what is left out is counted. None: all rows, and the workers.
    """
    parts: list[Section | Text] = [*first_lines(found, now)]
    for section in _sections(found, now, everything=most is None):
        parts += _cut(section, most)
    return parts


def first_lines(found: Overview, now: float) -> list[Text]:
    """What is wrong, who works, and how many resources there are.

    :param now: seconds since the epoch.
    """
    return [*_verdict(found), *_head(found, now)]


def _sections(found: Overview, now: float, *, everything: bool) -> Parts:
    """All sections: what is wrong first, then what goes on."""
    yield from overdue(found, now)
    yield from failed(found, now)
    yield from delayed(found, now)
    yield from undeletable(found, now)
    yield from in_trouble(found, now)
    yield from held_deletions(found)
    yield from held_back(found, now)
    yield from drift_table(found.drifted, now, DRIFTED)
    yield from outdated(found)
    yield from rejected(found)
    yield from running(found, now)
    yield from ready(found, now)
    yield from waiting(found, now)
    yield from pending(found)
    yield from deleted(found)
    if everything:
        yield from workers(found, now)


def _cut(part: Section | Text, most: int | None) -> Iterator[Section | Text]:
    """A section with so many rows; how many were left out is said."""
    if isinstance(part, Text) or most is None or len(part.rows) <= most:
        yield part
        return
    yield part.first(most)
    left = len(part.rows) - most
    yield Text(f"… and {left} more; `orchestrator status --all`", FAINT)


# The first lines ----------------------------------------------------------------------------------


def _verdict(found: Overview) -> Iterator[Text]:
    """What is wrong, in red and first; nothing when all is well."""
    for alarm in found.alarms:
        yield Text(alarm, BAD)
    if trouble := found.identity_trouble:
        told = (
            f"The bridge has stopped, since {trouble.since}: {trouble.reason}."
        )
        yield Text(told, BAD)
    wrong = [f"{number} {word}" for number, word in _wrong(found) if number]
    if wrong and not found.well:
        yield Text(f"Not well: {', '.join(wrong)}.", BAD)


def _wrong(found: Overview) -> Sequence[tuple[int, str]]:
    failures = sum(len(cause.members) for cause in found.causes)
    causes = count(len(found.causes), "cause")
    stuck = sum(not held.moving for held in found.held)
    return (
        (len(found.overdue), "overdue"),
        (failures, f"failed ({causes})"),
        (len(found.undeletable), "deletions that Heat keeps failing"),
        (len(found.trouble), "in trouble"),
        (len(found.unconfirmed), "deletions held"),
        (stuck, "held"),
        (len(found.broken), "broken"),
        (len(found.lost), "lost"),
        (len(found.restless), "held, as outputs do not settle"),
        (len(found.stale), "ignored"),
        (len(found.rejected or ()), "rejected"),
    )


def _head(found: Overview, now: float) -> Iterator[Text]:
    """Who works, and how many resources there are."""
    yield from _bridges(found)
    yield from _workers(found, now)
    yield from paused(found)
    yield from _types(found)
    yield _counts(found)


def _bridges(found: Overview) -> Iterator[Text]:
    leader = found.leader
    if leader is None:
        told = Text()
    else:
        told = Text.assemble(
            "The bridge on ",
            (leader.host, "bold"),
            f" (pid {leader.pid}) leads.",
        )
    if standbys := found.processes.standbys:
        verb = "stands" if len(standbys) == 1 else "stand"
        hosts = ", ".join(one.host for one in standbys)
        told.append(f" {hosts} {verb} by.")
    told.append(f"  revision {found.revision}", FAINT)
    yield told


def _workers(found: Overview, now: float) -> Iterator[Text]:
    """How many workers there are, and whether they keep up."""
    alive = found.processes
    if not alive.workers:
        if alive.leader is not None:
            yield Text("No worker is alive.", DOUBT)
        return
    told = [
        f"{count(len(alive.workers), 'worker')} with {count(alive.slots, 'slot')}"
    ]
    if alive.claimed:
        told.append(f"last claim {duration(now - alive.claimed)} ago")
    if alive.leader is not None:
        told.append(f"messages wait {alive.wait:.1f} s for a worker")
    if len(alive.releases) > 1:
        told.append(f"releases {', '.join(alive.releases)}")
    yield Text(f"{', '.join(told)}.")


def _types(found: Overview) -> Iterator[Text]:
    """What keeps the newest schema list from being in force."""
    trouble = found.schema_trouble
    if trouble is None:
        return
    what, style = _schema_trouble(trouble)
    kept = (found.schema_list or {}).get("fetched", "an earlier time")
    yield Text.assemble(
        (f"{what} since {trouble.since}: ", style),
        f"{trouble.reason}. The list of {kept} stays in force.",
    )


def _schema_trouble(trouble: SchemaTrouble) -> tuple[str, str]:
    if trouble.refused:
        return "A newer schema list is refused", BAD
    return "The schema list cannot be read", DOUBT


def _counts(found: Overview) -> Text:
    total = sum(found.phases.values())
    if not total and not found.rejected:
        return Text(
            "Nothing is wanted yet; `orchestrator apply -f FILE` writes what should be."
        )
    text = Text.assemble((count(total, "resource"), "bold"))
    before = ": "
    for phase, number in found.phases.items():
        text.append(before)
        text.append(f"{number} {phase.value}", PHASE_STYLES.get(phase, DOUBT))
        before = ", "
    if found.rejected:
        text.append(f"; {count(len(found.rejected), 'key')} rejected", BAD)
    return text
