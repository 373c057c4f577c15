"""``orchestrator status``: what runs, what waits and on whom, what is held back, failed or
rejected, and why.

:func:`overview` works it out from a snapshot, :func:`render` makes tables of it,
:func:`as_document` JSON.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.live import Live
from rich.text import Text

from ..clients.store import Store
from ..core.jobs import Action, job_ref
from ..core.keys import Keys
from ..core.records import Brake, IdentityTrouble
from ..core.refs import Json, Ref
from ..core.schema_list import Trouble
from .exits import Exit
from .held import by_type
from .output import (
    BAD,
    BUSY,
    CALM,
    DOUBT,
    FAINT,
    GOOD,
    Section,
    as_renderable,
    console,
    count,
    duration,
)
from .progress import JobView, Phase, Progress, Stage, Standing
from .snapshot import Snapshot
from .waiting import follow

VERB = {
    Action.CREATE: "create",
    Action.MODIFY: "modify",
    Action.DELETE: "delete",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One cause, and everything that failed because of it.
    *error* is the cause's own, if it has one on record."""

    root: Ref
    error: str
    members: tuple[Standing, ...]

    @property
    def others(self) -> tuple[Standing, ...]:
        return tuple(
            member for member in self.members if member.ref != self.root
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole picture at one revision."""

    revision: int
    leader: Mapping[str, Json] | None
    phases: Mapping[Phase, int]
    running: tuple[JobView, ...] = ()
    waiting: tuple[JobView, ...] = ()
    pending: tuple[Standing, ...] = ()
    held: tuple[Standing, ...] = ()
    failures: tuple[Failure, ...] = ()
    trouble: tuple[Standing, ...] = ()
    stale: tuple[Standing, ...] = ()
    unconfirmed: tuple[Standing, ...] = ()
    broken: tuple[Standing, ...] = ()
    deleted: tuple[Standing, ...] = ()
    rewritten: tuple[Standing, ...] = ()
    rejected: Mapping[str, str] | None = None
    schema_list: Mapping[str, Json] | None = None
    schema_trouble: Trouble | None = None
    brake: Brake | None = None
    identity_trouble: IdentityTrouble | None = None

    @property
    def exit(self) -> Exit:
        stuck = any(not held.moving for held in self.held)
        refused = (
            self.schema_trouble is not None and self.schema_trouble.refused
        )
        troubled = (
            self.failures
            or self.trouble
            or self.stale
            or self.broken
            or self.rejected
        )
        braked = self.unconfirmed or self.identity_trouble
        return (
            Exit.PROBLEM if stuck or refused or troubled or braked else Exit.OK
        )

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting or self.pending)


def overview(snapshot: Snapshot) -> Overview:
    """Where everything stands."""
    progress = Progress(snapshot)
    standings = progress.everything()
    views = [
        view
        for ref in dict.fromkeys(standing.ref for standing in standings)
        for view in progress.jobs(ref)
    ]
    by_phase: dict[Phase, list[Standing]] = {phase: [] for phase in Phase}
    for standing in standings:
        by_phase[standing.phase].append(standing)
    counts = Counter(standing.phase for standing in standings)
    return Overview(
        revision=snapshot.revision,
        leader=snapshot.leader,
        phases={phase: counts[phase] for phase in Phase if counts[phase]},
        running=tuple(
            view for view in views if view.stage is not Stage.WAITING
        ),
        waiting=tuple(view for view in views if view.stage is Stage.WAITING),
        pending=tuple(by_phase[Phase.PENDING]),
        held=tuple(by_phase[Phase.HELD]),
        failures=_by_root(by_phase[Phase.FAILED]),
        trouble=tuple(by_phase[Phase.TROUBLE]),
        stale=tuple(by_phase[Phase.STALE]),
        unconfirmed=tuple(by_phase[Phase.UNCONFIRMED]),
        broken=tuple(by_phase[Phase.BROKEN]),
        deleted=tuple(by_phase[Phase.DELETED]),
        rewritten=tuple(_rewritten(snapshot)),
        rejected={
            key: rejected.reason
            for key, rejected in sorted(snapshot.rejected.items())
        },
        schema_list=_schema_list(snapshot),
        schema_trouble=snapshot.schema_trouble,
        brake=snapshot.brake,
        identity_trouble=snapshot.identity_trouble,
    )


def _schema_list(snapshot: Snapshot) -> Mapping[str, Json] | None:
    """The leader's record of the list in force, and its revision; None when there is none."""
    record = snapshot.raw.get(snapshot.keys.schema_list)
    if record is None or snapshot.schema_list is None:
        return None
    known = {
        name: snapshot.schema_list.get(name)
        for name in ("source", "fetched", "types", "digest")
    }
    return {"revision": record.revision, **known}


def _rewritten(snapshot: Snapshot) -> Iterator[Standing]:
    """The versions that were written a second time with another content, and built."""
    for ref, handled in snapshot.handled.items():
        wanted = snapshot.wanted.get(ref)
        if (
            handled.rewritten
            and wanted
            and wanted.version == handled.version
            and wanted.incarnation == handled.incarnation
        ):
            reason = (
                "was written again with another body and built; an API server takes in"
                " only the first report of a version"
            )
            yield Standing(ref, Phase.COMPLETE, reason, handled.version)


def _by_root(failed: Sequence[Standing]) -> tuple[Failure, ...]:
    groups: dict[Ref, list[Standing]] = {}
    for standing in failed:
        groups.setdefault(standing.root or standing.ref, []).append(standing)
    found = []
    for root, members in groups.items():
        own = next(
            (member.reason for member in members if member.ref == root), ""
        )
        found.append(Failure(root, own or members[0].reason, tuple(members)))
    return tuple(found)


# For programs -------------------------------------------------------------------------------------


def as_document(found: Overview, now: float) -> dict[str, Json]:
    """The keys are stable: scripts rely on them."""
    return {
        "revision": found.revision,
        "leader": dict(found.leader) if found.leader is not None else None,
        "schemas": dict(found.schema_list)
        if found.schema_list is not None
        else None,
        "schemas_trouble": _schema_trouble(found.schema_trouble),
        "stopped": found.identity_trouble.reason
        if found.identity_trouble
        else "",
        "resources": {
            phase.value: found.phases.get(phase, 0) for phase in Phase
        },
        "running": [_job(view, now) for view in found.running],
        "waiting": [_job(view, now) for view in found.waiting],
        "pending": [_standing(standing) for standing in found.pending],
        "held": [
            {
                **_standing(held),
                "waits_for": held.waits_for.to_record()
                if held.waits_for
                else None,
            }
            for held in found.held
        ],
        "failed": [
            {
                "root": failure.root.to_record(),
                "error": failure.error,
                "resources": [_standing(member) for member in failure.members],
            }
            for failure in found.failures
        ],
        "trouble": [
            {**_standing(standing), "since": standing.since}
            for standing in found.trouble
        ],
        "stale": [_standing(standing) for standing in found.stale],
        "unconfirmed": [_standing(standing) for standing in found.unconfirmed],
        "broken": [_standing(standing) for standing in found.broken],
        "deleted": [_standing(standing) for standing in found.deleted],
        "rewritten": [_standing(standing) for standing in found.rewritten],
        "rejected": [
            {"key": key, "reason": reason}
            for key, reason in (found.rejected or {}).items()
        ],
    }


def _schema_trouble(trouble: Trouble | None) -> dict[str, Json] | None:
    if trouble is None:
        return None
    return {
        "reason": trouble.reason,
        "source": trouble.source,
        "since": trouble.since,
        "refused": trouble.refused,
    }


def _standing(standing: Standing) -> dict[str, Json]:
    return {
        "type": standing.ref.type,
        "id": standing.ref.id,
        "version": standing.version,
        "reason": standing.reason,
    }


def _job(view: JobView, now: float) -> dict[str, Json]:
    run = view.run
    return {
        "job": view.job.id,
        "type": view.job.ref.type,
        "id": view.job.ref.id,
        "action": view.job.action.value,
        "version": view.job.version,
        "stage": view.stage.name.lower(),
        "waits_for": list(view.waits_for),
        "stack": run.stack if run else "",
        "seconds_in_heat": (
            round(now - run.asked_at, 1)
            if run and run.asked_at and view.stage is Stage.IN_HEAT
            else None
        ),
        "attempt": run.tries if run else 0,
        "retry_after": (
            round(run.resumed(now).delay, 1)
            if run and view.stage is Stage.RETRY
            else None
        ),
        "reason": run.reason if run else "",
    }


# For people ---------------------------------------------------------------------------------------

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
    Phase.DELETED: FAINT,
}


def phase_text(phase: Phase) -> Text:
    return Text(phase.value, _PHASE_STYLES[phase])


def render(found: Overview, now: float) -> list[Section | Text]:
    """Everything that is not as it should be yet; of what is complete, only how many there are."""
    parts: list[Section | Text] = [
        _headline(found),
        *_stopped(found),
        *_types(found),
        _counts(found),
    ]
    parts += _in_progress(found, now)
    parts += _troubles(found, now)
    if found.deleted:
        rows = [
            (str(standing.ref), f"v{standing.version}")
            for standing in found.deleted
        ]
        parts.append(
            Section(
                "Deleted: the stacks are gone, the config may be removed",
                ("resource", "version"),
                rows,
            )
        )
    return parts


def _headline(found: Overview) -> Text:
    if found.leader is None:
        who = Text(
            "No bridge leads: nothing happens before `orchestrator bridge` runs.",
            BAD,
        )
    else:
        who = Text.assemble(
            "The bridge on ",
            (f"{found.leader.get('host')}", "bold"),
            f" (pid {found.leader.get('pid')}) leads.",
        )
    return who.append(f"  revision {found.revision}", FAINT)


def _stopped(found: Overview) -> list[Section | Text]:
    """Why the bridge decides nothing."""
    trouble = found.identity_trouble
    return (
        [
            Text(
                f"The bridge has stopped, since {trouble.since}: {trouble.reason}.",
                BAD,
            )
        ]
        if trouble
        else []
    )


def _types(found: Overview) -> list[Section | Text]:
    """What keeps the newest schema list from being in force."""
    if found.schema_trouble is None:
        return []
    kept = found.schema_list or {}
    what = (
        "A newer schema list is refused"
        if found.schema_trouble.refused
        else "The schema list cannot be read"
    )
    style = BAD if found.schema_trouble.refused else DOUBT
    return [
        Text.assemble(
            (f"{what} since {found.schema_trouble.since}: ", style),
            f"{found.schema_trouble.reason}. The list of"
            f" {kept.get('fetched', 'an earlier time')} stays in force.",
        )
    ]


def _counts(found: Overview) -> Text:
    total = sum(found.phases.values())
    if not total and not found.rejected:
        return Text(
            "Nothing is wanted yet; `orchestrator apply -f FILE` writes what should be."
        )
    text = Text.assemble(
        (count(total, "resource"), "bold"), ": " if total else ""
    )
    for place, (phase, number) in enumerate(found.phases.items()):
        text.append(", " if place else "").append(
            f"{number} {phase.value}", _PHASE_STYLES[phase]
        )
    if found.rejected:
        text.append(f"; {count(len(found.rejected), 'key')} rejected", BAD)
    return text


def _in_progress(found: Overview, now: float) -> list[Section | Text]:
    parts: list[Section | Text] = []
    if found.running:
        running = [
            (
                str(v.job.ref),
                VERB[v.job.action],
                f"v{v.job.version}",
                *_stage(v, now),
            )
            for v in found.running
        ]
        parts.append(
            Section(
                "Running",
                ("resource", "action", "version", "where", "note"),
                running,
                BUSY,
                frozenset({"note"}),
            )
        )
    if found.waiting:
        stuck = {failure.root for failure in found.failures}
        waiting = [
            (
                str(v.job.ref),
                VERB[v.job.action],
                f"v{v.job.version}",
                _names(v, stuck),
            )
            for v in found.waiting
        ]
        parts.append(
            Section(
                "Waiting for other jobs",
                ("resource", "action", "version", "waits for"),
                waiting,
                CALM,
            )
        )
    if found.pending:
        pending = [(str(s.ref), _version(s), s.reason) for s in found.pending]
        parts.append(
            Section(
                "Not looked at yet",
                ("resource", "version", "why"),
                pending,
                CALM,
            )
        )
    return parts


def _stage(view: JobView, now: float) -> tuple[str, str]:
    run = view.run
    attempts = (
        f"after {count(run.tries, 'attempt')} that did not work"
        if run and run.tries
        else ""
    )
    match view.stage:
        case Stage.IN_HEAT if run and run.asked_at:
            limit = (
                f"at most {count(run.timeout_mins, 'minute')}"
                if run.timeout_mins
                else ""
            )
            return f"in Heat for {duration(now - run.asked_at)}", ", ".join(
                filter(None, (limit, attempts))
            )
        case Stage.CLAIMED if run and run.since:
            return (
                f"{view.stage.value}, for {duration(now - run.since)}",
                attempts,
            )
        case Stage.RETRY if run:
            return (
                f"attempt {run.tries + 1} in {run.resumed(now).delay:.1f} s",
                run.reason,
            )
        case _:
            return view.stage.value, attempts


def _names(view: JobView, stuck: Collection[Ref] = ()) -> str:
    """The resources whose jobs have to end first, instead of long job ids; marked where Heat keeps
    failing them."""
    refs = dict.fromkeys(job_ref(job) for job in view.waits_for)
    named = {
        ref: "its own earlier job" if ref == view.job.ref else str(ref)
        for ref in refs
    }
    return ", ".join(
        f"{name} (fails)" if ref in stuck else name
        for ref, name in named.items()
    )


def _troubles(found: Overview, now: float) -> list[Section | Text]:
    parts: list[Section | Text] = []
    wide = frozenset({"reason", "error"})
    parts += _held_deletions(found)
    if found.held:
        held = [
            (str(s.ref), _version(s), str(s.waits_for or ""), s.reason)
            for s in found.held
        ]
        parts.append(
            Section(
                "Held back",
                ("resource", "version", "waits for", "reason"),
                held,
                DOUBT,
                wide,
            )
        )
    if found.failures:
        failed = [
            (
                str(f.root),
                ", ".join(str(other.ref) for other in f.others),
                f.error,
            )
            for f in found.failures
        ]
        parts.append(
            Section(
                "Failed",
                ("cause", "failed with it", "error"),
                failed,
                BAD,
                wide,
            )
        )
    if found.trouble:
        trouble = [(str(s.ref), _version(s), s.reason) for s in found.trouble]
        parts.append(
            Section(
                "In trouble: tried again, but somebody has to act",
                ("resource", "version", "reason"),
                trouble,
                BAD,
                wide,
            )
        )
    if found.stale:
        stale = [(str(s.ref), _version(s), s.reason) for s in found.stale]
        parts.append(
            Section(
                "Ignored", ("resource", "version", "reason"), stale, DOUBT, wide
            )
        )
    if found.broken:
        broken = [(str(s.ref), _version(s), s.reason) for s in found.broken]
        parts.append(
            Section(
                "Broken: what they were built from is gone",
                ("resource", "version", "reason"),
                broken,
                BAD,
                wide,
            )
        )
    if found.rewritten:
        rewritten = [
            (str(s.ref), _version(s), s.reason) for s in found.rewritten
        ]
        parts.append(
            Section(
                "Written twice with one version",
                ("resource", "version", "reason"),
                rewritten,
                DOUBT,
                wide,
            )
        )
    if found.rejected:
        parts.append(
            Section(
                "Rejected",
                ("key", "reason"),
                list(found.rejected.items()),
                BAD,
                wide,
            )
        )
    return parts


def _held_deletions(found: Overview) -> list[Section | Text]:
    """What a brake holds, by type: it may be everything."""
    if not found.unconfirmed or found.brake is None:
        return []
    refs = [standing.ref for standing in found.unconfirmed]
    told = (
        f"More than {found.brake.limit} configs of built resources were removed within"
        f" ten minutes, without a mark. Since {found.brake.since} their deletions are"
        " held. `orchestrator confirm deletions` lets them go; writing the configs"
        " again keeps the stacks."
    )
    return [by_type(refs), Text(told, DOUBT)]


def _version(standing: Standing) -> str:
    return f"v{standing.version}" if standing.version else ""


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
            return found.exit
