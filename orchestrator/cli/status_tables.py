"""The sections of ``orchestrator status``: each is left out when there is nothing in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from rich.text import Text

from ..core.jobs import Action
from ..core.records import DelayKind, Run
from ..core.refs import Ref
from ..views.causes import FoldedCause
from ..views.jobs import JobView, Stage, is_failing, next_retry
from ..views.overview import Overview, outdated_by_cause
from ..views.phases import Standing
from ..views.waits import Waiting
from .ages import age, clock_time, due
from .output import BAD, BUSY, CALM, DOUBT, Cell, Section, count, duration

VERB = {
    Action.CREATE: "create",
    Action.MODIFY: "modify",
    Action.DELETE: "delete",
}
_WIDE = frozenset(
    {"reason", "error", "note", "ids", "what to do", "why", "resources"}
)
"""Columns of sentences."""
_SPARE = ("since", "version", "tenant")
"""Columns that a narrow terminal does without."""
_EXAMPLES = 3
"""How many ids of a type are named."""

Parts = Iterator[Section | Text]


def _section(
    title: str,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[Cell]],
    style: str,
) -> Iterator[Section]:
    """A table, if there is anything in it."""
    if rows:
        wide = _WIDE.intersection(columns)
        spare = tuple(name for name in _SPARE if name in columns)
        yield Section(title, columns, rows, style, wide, spare)


def named(refs: Sequence[Ref], most: int = _EXAMPLES) -> str:
    """The first few by name, and how many there are besides."""
    told = ", ".join(map(str, refs[:most]))
    if len(refs) > most:
        return f"{told} and {len(refs) - most} more"
    return told


def _version(standing: Standing) -> str:
    if standing.version:
        return f"v{standing.version}"
    return ""


# What is wrong ------------------------------------------------------------------------------------


def overdue(found: Overview, now: float) -> Parts:
    """Jobs that take longer than they may: those that are given up first stand first."""
    columns = ("resource", "tenant", "age", "since", "given up", "why")
    first = sorted(found.overdue, key=attrgetter("gives_up"))
    rows = [
        (
            str(one.ref),
            found.tenants.get(one.ref, ""),
            age(now, one.since),
            clock_time(now, one.since),
            due(now, one.gives_up) or "at the next poll",
            one.reason,
        )
        for one in first
    ]
    yield from _section("OVERDUE", columns, rows, BAD)


def failed(found: Overview, now: float) -> Parts:
    """Failures by cause: those that stop most resources stand first."""
    columns = (
        "cause",
        "tenant",
        "age",
        "since",
        "with it",
        "error",
        "what to do",
    )
    rows = [_failure(cause, now) for cause in found.causes]
    yield from _section("Failed", columns, rows, BAD)


def _failure(cause: FoldedCause, now: float) -> tuple[str, ...]:
    tenants = cause.tenants[0] if cause.tenants else ""
    if len(cause.tenants) > 1:
        tenants = f"{tenants} and {len(cause.tenants) - 1} more"
    return (
        named(cause.roots, 1),
        tenants,
        age(now, cause.since),
        clock_time(now, cause.since),
        str(cause.others or ""),
        cause.error,
        _to_do(cause),
    )


def _to_do(cause: FoldedCause) -> str:
    """What a person can do; empty where the error ends with the same command."""
    if len(cause.roots) == 1 and _again(cause.roots[0]) in cause.error:
        return ""
    return cause.todo


def _again(root: Ref) -> str:
    return f"orchestrator retry {root.type} {root.id}"


_DELAYED = {
    DelayKind.CIRCUIT.value: "Heat or Keystone fails",
    DelayKind.LIMIT.value: "as many jobs as may be",
}


def delayed(found: Overview, now: float) -> Parts:
    """Tenants whose jobs wait though they are ready."""
    columns = ("tenant", "because", "age", "waiting", "next try", "reason")
    rows = [
        (
            one.tenant or "(none)",
            _DELAYED.get(one.kind, one.kind),
            age(now, one.since),
            str(one.waiting),
            due(now, one.next_try),
            one.reason,
        )
        for one in found.delays
    ]
    yield from _section("Delayed tenants", columns, rows, DOUBT)
    leader = found.processes.leader
    if leader is not None and leader.more_delays:
        yield Text(f"… and {leader.more_delays} more tenants", DOUBT)


def undeletable(found: Overview, now: float) -> Parts:
    """Deletions that come to nothing."""
    yield from _aged(
        "Deletions that Heat keeps failing", found, found.undeletable, now, BAD
    )


def in_trouble(found: Overview, now: float) -> Parts:
    """What a person has to look at, besides failures."""
    title = "In trouble: tried again, but somebody has to act"
    yield from _aged(title, found, found.trouble, now, BAD)
    for title, standings, style in (
        ("Ignored", found.stale, DOUBT),
        ("Broken: what they were built from is gone", found.broken, BAD),
        ("Lost: somebody has deleted the stacks", found.lost, BAD),
        ("Held: outputs do not settle", found.restless, BAD),
        ("Written twice with one version", found.rewritten, DOUBT),
    ):
        columns = ("resource", "version", "reason")
        yield from _section(title, columns, _reasons(standings), style)


def _aged(
    title: str,
    found: Overview,
    standings: Sequence[Standing],
    now: float,
    style: str,
) -> Parts:
    columns = ("resource", "tenant", "age", "since", "version", "reason")
    rows = [
        (
            str(one.ref),
            found.tenants.get(one.ref, ""),
            age(now, one.since),
            clock_time(now, one.since),
            _version(one),
            one.reason,
        )
        for one in standings
    ]
    yield from _section(title, columns, rows, style)


def held_deletions(found: Overview) -> Parts:
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
    told = ", ".join(ids[:_EXAMPLES])
    if len(ids) > _EXAMPLES:
        return f"{told} and {len(ids) - _EXAMPLES} more"
    return told


def held_back(found: Overview, now: float) -> Parts:
    """What cannot become a job before something else is there, by what that is."""
    columns = ("waits for", "number", "age", "since", "resources", "reason")
    rows = [_waiting(one, now) for one in found.held_back]
    yield from _section("Held back", columns, rows, DOUBT)


def _waiting(one: Waiting, now: float) -> tuple[str, ...]:
    return (
        str(one.waits_for),
        str(len(one.refs)),
        age(now, one.since),
        clock_time(now, one.since),
        named(one.refs),
        one.reason,
    )


def outdated(found: Overview) -> Parts:
    """Stacks that were built from something else than there is now, by what has changed."""
    rows = [
        (cause, str(len(members)), named([one.ref for one in members]))
        for cause, members in outdated_by_cause(found).items()
    ]
    columns = ("what has changed", "number", "resources")
    yield from _section("Outdated", columns, rows, DOUBT)


def rejected(found: Overview) -> Parts:
    """Keys that are no configs."""
    rows = list((found.rejected or {}).items())
    yield from _section("Rejected", ("key", "reason"), rows, BAD)


# What goes on -------------------------------------------------------------------------------------


def running(found: Overview, now: float) -> Parts:
    """Jobs that wait for no other."""
    columns = ("resource", "action", "version", "where", "note")
    late = {one.ref for one in found.overdue}
    under_way = [
        view
        for view in found.running
        if view.stage is not Stage.READY and view.job.ref not in late
    ]
    rows = [(*_job(view), *_stage(view, now)) for view in under_way]
    yield from _section("Running", columns, rows, BUSY)


def ready(found: Overview, now: float) -> Parts:
    """Jobs that no worker has taken, by tenant."""
    columns = ("tenant", "number", "age", "since", "resources")
    rows = [
        (
            one.tenant or "(none)",
            str(len(one.refs)),
            age(now, one.since),
            clock_time(now, one.since),
            named(one.refs),
        )
        for one in found.ready
    ]
    title = "Ready, no worker has taken them yet"
    yield from _section(title, columns, rows, CALM)


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
            notes = filter(None, (_limit(run), attempts))
            return f"in Heat for {duration(now - run.asked_at)}", ", ".join(
                notes
            )
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


def waiting(found: Overview, now: float) -> Parts:
    """Jobs that wait for others, by what they wait for in the end."""
    columns = ("waits for", "number", "age", "since", "resources", "reason")
    rows = [_waiting(one, now) for one in found.waits]
    yield from _section("Waiting for other jobs", columns, rows, CALM)


def pending(found: Overview) -> Parts:
    """What the bridge has not decided."""
    columns = ("resource", "version", "why")
    rows = _reasons(found.pending)
    yield from _section("Not looked at yet", columns, rows, CALM)


def _reasons(standings: Iterable[Standing]) -> list[tuple[str, str, str]]:
    return [(str(s.ref), _version(s), s.reason) for s in standings]


def deleted(found: Overview) -> Parts:
    """What is gone as asked."""
    yield from _section(
        "Deleted: the stacks are gone, the config may be removed",
        ("resource", "version"),
        [(str(s.ref), f"v{s.version}") for s in found.deleted],
        "bold",
    )


def workers(found: Overview, now: float) -> Parts:
    """Each worker that is alive."""
    columns = ("worker", "host", "slots", "release", "last claim", "started")
    rows = [
        (
            one.name,
            one.host,
            str(one.slots),
            one.version,
            age(now, one.claimed),
            age(now, one.since),
        )
        for one in found.processes.workers
    ]
    yield from _section("Workers", columns, rows, CALM)
