"""The commands: ``orchestrator rollout start``, ``status`` and the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from ...clients.overlay import Overlay
from ...core.records import UNREADABLE, Rollout, RolloutPhase
from ...core.rollouts import decide
from ...core.templates import Template
from ...errors import InvalidInput
from ...views.reading import read_all
from ...views.rollouts import progress
from ..exits import HELP, Exit
from ..options import Output
from ..output import Format, hint
from ..planning import edits, making
from ..session import Session, session
from ..verbs.authors import As, AskedVerb, Why, verb
from . import deciding, showing
from .deciding import RolloutFound

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Roll out a changed template: canaries first, then wave by wave. It stops by"
        " itself when too many stacks fail."
    ),
    epilog=HELP,
)

Name = Annotated[
    str,
    typer.Argument(help="Name of the template.", metavar="TEMPLATE"),
]
File = Annotated[
    str,
    typer.Option(
        "--file",
        "-f",
        help="The changed template: a folder with template and mapping, or a file of"
        " documents.",
        metavar="FILE",
    ),
]
Canary = Annotated[
    int,
    typer.Option(
        "--canary",
        help="Rebuild so many stacks first, and wait for `rollout promote`. 0: put"
        " the template in force at once.",
        min=0,
        metavar="N",
    ),
]
Waves = Annotated[
    str,
    typer.Option(
        "--waves",
        help="How many of the stacks are rebuilt at the end of each wave.",
        metavar="SHARES",
    ),
]
MaxParallel = Annotated[
    int,
    typer.Option(
        "--max-parallel",
        help="At most so many jobs of the roll-out at a time.",
        min=1,
        metavar="N",
    ),
]
MinHealthy = Annotated[
    str,
    typer.Option(
        "--min-healthy",
        help="For how long the monitoring target of a stack, where it has one, has to"
        " be positive: 60s, 5m.",
        metavar="TIME",
    ),
]
FailAfter = Annotated[
    int,
    typer.Option(
        "--fail-after",
        help="So many failures are tolerated. One more stops the roll-out.",
        min=0,
        metavar="N",
    ),
]
AutoRevert = Annotated[
    bool,
    typer.Option(
        "--auto-revert",
        help="When the canaries fail, rebuild them from the revision before.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show the waves that it would have, and write nothing.",
    ),
]


@app.command(epilog=HELP)
def start(
    template: Name,
    file: File,
    canary: Canary = 0,
    waves: Waves = "100%",
    max_parallel: MaxParallel = 20,
    min_healthy: MinHealthy = "0s",
    fail_after: FailAfter = 0,
    auto_revert: AutoRevert = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    output: Output = Format.TEXT,
) -> None:
    """Begin to rebuild the stacks of a template from a changed one.

    With --canary, only the canaries are built from it until you promote it.
    Everything else, new resources too, takes the revision before.
    Without --canary, it is in force at once, and the stacks that are there follow wave by wave.
    A stack is done once its own job of this revision is complete and its monitoring target, where
    it has one, was positive for --min-healthy.

    **Examples**

        orchestrator rollout start port -f templates/port --canary 3 --auto-revert
        orchestrator rollout start port -f templates/port --waves 10%,50%,100%
    """
    deciding.check_canaries(canary, auto_revert=auto_revert)
    shares = deciding.parse_waves(waves)
    seconds = deciding.parse_seconds(min_healthy)
    asked = verb("rollout start", by, why, template)
    with session() as doors:
        found = RolloutFound.of(doors.store, doors.keys, template, asked)
        deciding.refuse_if_under_way(found)
        changed = deciding.template_in(doors.keys, template, file)
        rollout = _new(found, asked, changed.revision, canary)
        rollout = replace(
            rollout,
            waves=shares,
            max_parallel=max_parallel,
            min_healthy=seconds,
            fail_after=fail_after,
            auto_revert=auto_revert,
        )
        if dry_run:
            _show_plan(doors, found, rollout, changed, output)
            return
        deciding.begin(found, rollout, changed)
        _show(doors, rollout, output)


def _show_plan(
    doors: Session,
    found: RolloutFound,
    rollout: Rollout,
    changed: Template,
    output: Format,
) -> None:
    """Print the waves that a roll-out would have, and the plan of it: what is rebuilt if a person
    promotes it."""
    paper = Overlay(doors.store)
    paper.get(
        doors.keys.schema_list
    )  # From now on, all is read at one revision.
    deciding.begin(replace(found, store=paper), rollout, changed)
    ground = replace(making.PlanGround.of(doors), store=paper)
    made = making.make(ground, edits.NONE, promote=True)
    theirs = [
        change
        for change in made.plan.changes
        if change.because == f"roll-out {rollout.id}"
    ]
    waves = progress(read_all(doors.store, doors.keys), rollout)
    first = decide(rollout, waves.members, rollout.expected)
    waves = replace(waves, rollout=first.record or rollout)
    others = tuple(
        one for one in made.plan.rollouts if one.template != rollout.template
    )
    planned = replace(made.plan, rollouts=others)
    showing.show_plan(waves, planned, theirs, output)
    hint(
        "Nothing is written. Canaries and waves are drawn by lot once the roll-out"
        " begins."
    )


def _new(
    found: RolloutFound, asked: AskedVerb, revision: str, canary: int
) -> Rollout:
    """The record of a roll-out that begins now.

    :raises InvalidInput: there is nothing to leave, or nothing to try.
    """
    before = found.revision_in_force()
    if not before:
        raise InvalidInput(
            f"no revision of template {found.template} is in force: push it with"
            " `orchestrator templates push`; a roll-out is for a template that a bridge"
            " has seen"
        )
    if before == revision and canary:
        raise InvalidInput(
            f"revision {revision} of template {found.template} is in force already:"
            " leave out --canary to rebuild its outdated stacks wave by wave"
        )
    phase = RolloutPhase.CANARY if canary else RolloutPhase.WAVES
    return Rollout(
        id=asked.id,
        template=found.template,
        before=before,
        revision=revision,
        by=asked.by,
        since=asked.at,
        canary=canary,
        phase=phase,
        promoted=not canary,
        moved=asked.at,
    )


def _show(doors: Session, rollout: Rollout, output: Format) -> bool:
    """Print how far a roll-out has come. Returns whether a person should look at it."""
    found = progress(read_all(doors.store, doors.keys), rollout)
    showing.show_progress(found, output)
    return found.troubled


@app.command(epilog=HELP)
def status(template: Name, output: Output = Format.TEXT) -> None:
    """Show the waves with their progress, who failed and why.

    The answer is 1 when something failed, or the roll-out was stopped or goes back.
    """
    with session() as doors:
        rollout = RolloutFound.of(doors.store, doors.keys, template).rollout
        troubled = _show(doors, rollout, output)
    if troubled:
        raise typer.Exit(Exit.PROBLEM)


@app.command("list", epilog=HELP)
def list_rollouts(output: Output = Format.TEXT) -> None:
    """Show the last roll-out of each template."""
    with session() as doors:
        listed = doors.store.list(doors.keys.rollouts)[1]
    known: list[Rollout] = []
    for kv in listed:
        try:
            known.append(Rollout.from_json(kv.value))
        except UNREADABLE:
            hint(f"{kv.key} cannot be read: another release wrote it")
    showing.show_list(known, output)


def _add_decision(
    name: str, change: Callable[[RolloutFound], Rollout], summary: str
) -> None:
    """Add a command by which a person decides about a roll-out that is under way.

    :param change: what becomes of its record.
    :param summary: the help of the command.
    """

    def decide(
        template: Name,
        by: As = None,
        why: Why = None,
        output: Output = Format.TEXT,
    ) -> None:
        asked = verb(f"rollout {name}", by, why, template)
        with session() as doors:
            found = RolloutFound.of(doors.store, doors.keys, template, asked)
            _show(doors, change(found), output)

    app.command(name, help=summary, epilog=HELP)(decide)


_add_decision(
    "pause",
    deciding.pause,
    "Begin no job of the roll-out from now on. Jobs that are under way end.",
)
_add_decision(
    "resume",
    deciding.resume,
    "Go on after a pause, or after a stop, once what failed is repaired.",
)
_add_decision(
    "promote",
    deciding.promote,
    "Put the new revision in force once the canaries are done, and begin the waves.",
)
_add_decision(
    "abort",
    deciding.abort,
    "End the roll-out. All stacks, and the revision in force, stay as they are.",
)
_add_decision(
    "revert",
    deciding.revert,
    "Put the revision before in force, and rebuild from it what was built from the"
    " new one.",
)
