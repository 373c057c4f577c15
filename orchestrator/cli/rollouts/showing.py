"""What ``orchestrator rollout`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ...core.forecast.plans import Change, Plan
from ...core.records import Rollout, RolloutPhase
from ...core.rollouts import MemberStanding, WaveProgress
from ...views.rollouts import RolloutProgress
from ..output import BAD, BUSY, CALM, DOUBT, GOOD, Format, Section, emit, show
from ..planning import screen

_STYLES = {
    RolloutPhase.CANARY: BUSY,
    RolloutPhase.WAITING: DOUBT,
    RolloutPhase.WAVES: BUSY,
    RolloutPhase.STOPPED: BAD,
    RolloutPhase.REVERTING: BAD,
    RolloutPhase.REVERTED: DOUBT,
    RolloutPhase.ABORTED: DOUBT,
    RolloutPhase.DONE: GOOD,
}
_SHOWN = 20
"""Failed resources that are named."""
_COLUMNS = (
    "wave",
    "resources",
    "complete",
    "under way",
    "failed",
    "to do",
    "busy",
)


def show_progress(found: RolloutProgress, output: Format) -> None:
    """The waves with their progress, and who failed and why."""
    if output is not Format.TEXT:
        emit(found.to_json(), output)
        return
    show(list(_parts(found)))


def show_plan(
    found: RolloutProgress,
    plan: Plan,
    changes: Sequence[Change],
    output: Format,
) -> None:
    """The waves that a roll-out would have, and what it would rebuild.

    :param changes: those of the plan that are the roll-out's.
    """
    if output is Format.TEXT:
        show([*_parts(found), Text(), *screen.render(plan, changes)])
        return
    told = plan.to_json()
    told["changes"] = [change.to_json() for change in changes]
    emit({**found.to_json(), "plan": told}, output)


def _parts(found: RolloutProgress) -> Iterator[Text | Section]:
    rollout = found.rollout
    yield Text.assemble(
        f"Template {rollout.template}: ",
        (phase(rollout), _STYLES[rollout.phase]),
    )
    yield Text(
        f"Roll-out {rollout.id} by {rollout.by} since {rollout.since}, from revision"
        f" {rollout.before} to {rollout.revision}"
    )
    if rollout.reason:
        yield Text(f"Reason: {rollout.reason}", DOUBT)
    if told := next_step(rollout):
        yield Text(told, CALM)
    yield Section("", _COLUMNS, [_row(wave) for wave in found.waves])
    if failed := found.failed:
        rows = [(str(m.ref), m.why) for m in failed[:_SHOWN]]
        title = f"Failed: {len(failed)}"
        wide = frozenset({"why"})
        yield Section(title, ("resource", "why"), rows, BAD, wide)


def _row(wave: WaveProgress) -> tuple[str, ...]:
    order = (
        MemberStanding.COMPLETE,
        MemberStanding.UNDER_WAY,
        MemberStanding.FAILED,
        MemberStanding.TO_DO,
        MemberStanding.BUSY,
    )
    counts = (str(wave.counts[one] or "") for one in order)
    return (wave.name, str(wave.resources), *counts)


def phase(rollout: Rollout) -> str:
    """``waves (2 of 3), paused``"""
    told = rollout.phase.value
    if rollout.phase is RolloutPhase.WAVES:
        told += f" ({rollout.wave} of {len(rollout.waves)})"
    if rollout.paused:
        told += ", paused"
    return told


def next_step(rollout: Rollout) -> str:
    """What a person can do now; empty: nothing has to be done."""
    name = rollout.template
    if rollout.phase is RolloutPhase.WAITING:
        return (
            "The canaries are done: look at them, then `orchestrator rollout promote"
            f" {name}`, or `orchestrator rollout revert {name}`"
        )
    if rollout.phase is RolloutPhase.STOPPED:
        return (
            f"Nothing more is begun: `orchestrator rollout revert {name}`, or repair what"
            f" failed and `orchestrator rollout resume {name}`"
        )
    if rollout.paused:
        return (
            f"Nothing more is begun until `orchestrator rollout resume {name}`"
        )
    return ""


def show_list(rollouts: Sequence[Rollout], output: Format) -> None:
    """The last roll-out of each template."""
    if output is not Format.TEXT:
        emit([rollout.to_record() for rollout in rollouts], output)
        return
    rows = [
        (
            rollout.template,
            Text(phase(rollout), _STYLES[rollout.phase]),
            rollout.since,
            rollout.by,
            rollout.revision,
        )
        for rollout in rollouts
    ]
    columns = ("template", "phase", "since", "by", "revision")
    show([Section("", columns, rows)])
