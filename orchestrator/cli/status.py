"""``orchestrator status``: what runs, what waits and on whom, what is held back, failed or
rejected, and why.

:func:`render` makes tables of an :class:`~orchestrator.views.overview.Overview`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from rich.live import Live
from rich.text import Text

from ..clients.store import Store
from ..core.jobs import Action, job_ref
from ..core.keys import Keys
from ..core.records import Run, SchemaTrouble
from ..core.refs import Ref
from ..views.following import follow
from ..views.jobs import JobView, Stage, is_failing, next_retry
from ..views.overview import FailureGroup, Overview, outdated_by_cause, overview
from ..views.standings import Phase, Standing
from .drift_table import DRIFTED, drift_table
from .exits import Exit
from .output import (
    BAD,
    BUSY,
    CALM,
    DOUBT,
    FAINT,
    GOOD,
    Cell,
    Section,
    as_renderable,
    console,
    count,
    duration,
)
from .verbs.pauses_text import paused

VERB = {
    Action.CREATE: "create",
    Action.MODIFY: "modify",
    Action.DELETE: "delete",
}
_PHASE_STYLES = {
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
_WIDE = frozenset({"reason", "error", "note", "ids"})
"""Columns that take what room there is."""
_EXAMPLES = 3
"""How many ids of a type, or of one cause, are named."""

Parts = Iterator[Section | Text]


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
    return Text(phase.value, _PHASE_STYLES[phase])


def render(found: Overview, now: float) -> list[Section | Text]:
    """Everything that is not as it should be yet; of what is complete, only how many there are.

    :param now: seconds since the epoch.
    """
    return [
        _headline(found),
        *_stopped(found),
        *paused(found),
        *_types(found),
        _counts(found),
        *_in_progress(found, now),
        *_troubles(found, now),
        *_deleted(found),
    ]


# The bridge ---------------------------------------------------------------------------------------


def _headline(found: Overview) -> Text:
    return _leader(found).append(f"  revision {found.revision}", FAINT)


def _leader(found: Overview) -> Text:
    leader = found.leader
    if leader is None:
        return Text(
            "No bridge leads: nothing happens before `orchestrator bridge` runs.",
            BAD,
        )
    return Text.assemble(
        "The bridge on ",
        (leader.host, "bold"),
        f" (pid {leader.pid}) leads.",
    )


def _stopped(found: Overview) -> Parts:
    """Why the bridge decides nothing."""
    if trouble := found.identity_trouble:
        told = (
            f"The bridge has stopped, since {trouble.since}: {trouble.reason}."
        )
        yield Text(told, BAD)


def _types(found: Overview) -> Parts:
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
        text.append(f"{number} {phase.value}", _PHASE_STYLES[phase])
        before = ", "
    if found.rejected:
        text.append(f"; {count(len(found.rejected), 'key')} rejected", BAD)
    return text


# In progress --------------------------------------------------------------------------------------


def _in_progress(found: Overview, now: float) -> Parts:
    yield from _section(
        "Running",
        ("resource", "action", "version", "where", "note"),
        [(*_job(view), *_stage(view, now)) for view in found.running],
        BUSY,
    )
    stuck = {failure.root for failure in found.failures}
    yield from _section(
        "Waiting for other jobs",
        ("resource", "action", "version", "waits for"),
        [(*_job(view), _names(view, stuck)) for view in found.waiting],
        CALM,
    )
    yield from _section(
        "Not looked at yet",
        ("resource", "version", "why"),
        _reasons(found.pending),
        CALM,
    )


def _job(view: JobView) -> tuple[str, str, str]:
    job = view.job
    return str(job.ref), VERB[job.action], f"v{job.version}"


def _stage(view: JobView, now: float) -> tuple[str, str]:
    """Where a job stands, and a note about it."""
    run = view.run
    if run is None:
        return view.stage.value, ""
    attempts = ""
    if run.tries:
        attempts = f"after {count(run.tries, 'attempt')} that did not work"
    match view.stage:
        case Stage.IN_HEAT if run.asked_at:
            notes = ", ".join(filter(None, (_limit(run), attempts)))
            return f"in Heat for {duration(now - run.asked_at)}", notes
        case Stage.CLAIMED if run.since:
            told = f"{view.stage.value}, for {duration(now - run.since)}"
            return told, attempts
        case Stage.RETRY if is_failing(run):
            return next_retry(run), run.reason
        case Stage.RETRY:
            delay = run.resumed(now).delay
            return f"attempt {run.tries + 1} in {delay:.1f} s", run.reason
        case _:
            return view.stage.value, attempts


def _limit(run: Run) -> str:
    if run.timeout_mins:
        return f"at most {count(run.timeout_mins, 'minute')}"
    return ""


def _names(view: JobView, stuck: Collection[Ref]) -> str:
    """The resources whose jobs have to end first, instead of long job ids; marked where Heat keeps
    failing them."""
    return ", ".join(
        _name(ref, view.job.ref, ref in stuck)
        for ref in dict.fromkeys(map(job_ref, view.waits_for))
    )


def _name(ref: Ref, own: Ref, fails: bool) -> str:
    name = str(ref)
    if ref == own:
        name = "its own earlier job"
    if fails:
        return f"{name} (fails)"
    return name


# Troubles -----------------------------------------------------------------------------------------


def _troubles(found: Overview, now: float) -> Parts:
    yield from _held_deletions(found)
    yield from _section(
        "Held back",
        ("resource", "version", "waits for", "reason"),
        [_held(standing) for standing in found.held],
        DOUBT,
    )
    yield from _section(
        "Failed",
        ("cause", "failed with it", "error"),
        [_failure(failure) for failure in found.failures],
        BAD,
    )
    because = ("resource", "version", "reason")
    for title, standings, style in (
        (
            "In trouble: tried again, but somebody has to act",
            found.trouble,
            BAD,
        ),
        ("Ignored", found.stale, DOUBT),
        ("Broken: what they were built from is gone", found.broken, BAD),
        ("Held: outputs do not settle", found.restless, BAD),
        ("Lost: somebody has deleted the stacks", found.lost, BAD),
        ("Written twice with one version", found.rewritten, DOUBT),
    ):
        yield from _section(title, because, _reasons(standings), style)
    yield from drift_table(found.drifted, now, DRIFTED)
    yield from _outdated(found)
    rejected = list((found.rejected or {}).items())
    yield from _section("Rejected", ("key", "reason"), rejected, BAD)


def _outdated(found: Overview) -> Parts:
    """What was built from something else than there is now, by what has changed."""
    yield from _section(
        "Outdated",
        ("what has changed", "number", "ids"),
        [
            (cause, str(len(members)), _some(members))
            for cause, members in outdated_by_cause(found).items()
        ],
        DOUBT,
    )


def _deleted(found: Overview) -> Parts:
    yield from _section(
        "Deleted: the stacks are gone, the config may be removed",
        ("resource", "version"),
        [(str(s.ref), f"v{s.version}") for s in found.deleted],
        "bold",
    )


def _section(
    title: str,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[Cell]],
    style: str,
) -> Iterator[Section]:
    """A table, if there is anything in it."""
    if rows:
        wide = _WIDE.intersection(columns)
        yield Section(title, columns, rows, style, wide)


def _reasons(standings: Iterable[Standing]) -> list[tuple[str, str, str]]:
    return [(str(s.ref), _version(s), s.reason) for s in standings]


def _some(standings: Sequence[Standing]) -> str:
    names = ", ".join(str(s.ref) for s in standings[:_EXAMPLES])
    if len(standings) > _EXAMPLES:
        return f"{names} and {len(standings) - _EXAMPLES} more"
    return names


def _held(standing: Standing) -> tuple[str, str, str, str]:
    waits_for = str(standing.waits_for or "")
    return str(standing.ref), _version(standing), waits_for, standing.reason


def _failure(failure: FailureGroup) -> tuple[str, str, str]:
    others = ", ".join(str(other.ref) for other in failure.others)
    return str(failure.root), others, failure.error


def _version(standing: Standing) -> str:
    if standing.version:
        return f"v{standing.version}"
    return ""


def _held_deletions(found: Overview) -> Parts:
    """What a brake holds, by type: it may be everything."""
    if not found.unconfirmed or found.brake is None:
        return
    yield by_type([standing.ref for standing in found.unconfirmed])
    yield Text(
        f"More than {found.brake.limit} configs of built resources were removed within"
        f" ten minutes, without a mark. Since {found.brake.since} their deletions are"
        " held. `orchestrator confirm deletions` lets them go; writing the configs"
        " again keeps the stacks.",
        DOUBT,
    )


def by_type(refs: Sequence[Ref]) -> Section:
    """How many held deletions there are of each type, with examples."""
    number = Counter(ref.type for ref in refs)
    rows = [(kind, str(number[kind]), _examples(refs, kind)) for kind in number]
    columns = ("type", "number", "ids")
    return Section("Deletions that are held", columns, rows, BAD, _WIDE)


def _examples(refs: Sequence[Ref], kind: str) -> str:
    ids = [ref.id for ref in refs if ref.type == kind]
    named = ", ".join(ids[:_EXAMPLES])
    if len(ids) > _EXAMPLES:
        return f"{named} and {len(ids) - _EXAMPLES} more"
    return named


# On a terminal ------------------------------------------------------------------------------------


def watch(store: Store, keys: Keys) -> Exit:
    """Show it on the terminal and keep it up to date until Ctrl-C; the exit code is that of the
    last picture."""
    with follow(store, keys) as follower:
        found = overview(follower.snapshot)
        try:
            with Live(
                console=console(), auto_refresh=False, vertical_overflow="crop"
            ) as live:
                while True:
                    found = overview(follower.snapshot)
                    bottom = Text(
                        f"{time.strftime('%H:%M:%S')}  Ctrl-C ends this.", FAINT
                    )
                    live.update(
                        as_renderable([*render(found, time.time()), bottom]),
                        refresh=True,
                    )
                    follower.next(1.0)
        except KeyboardInterrupt:
            return exit_of(found)
