"""The commands: ``plan``, and what ``apply`` does with a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ...core.forecast.plans import Change, Plan
from ...errors import InvalidInput
from ...views.outlook import Goal
from .. import naming
from ..documents import Document
from ..exits import HELP, Exit
from ..finishing import finish, warn_of_api_server
from ..options import Files, Output
from ..output import Format, emit, hint, show
from ..session import Session, session
from ..verbs.authors import AskedVerb
from . import edits, making, previewing, saved, screen
from .edits import Edits

PLAN_HELP = (
    HELP
    + " With --exit-code 5 there is something to do. 6 a saved plan is stale."
)

Deletions = Annotated[
    list[str] | None,
    typer.Option(
        "--delete",
        help="Mark resources for deletion: a TYPE, then ids up to the next option.",
        metavar="TYPE ID…",
        show_default=False,
    ),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        help=(
            "Push this template: a folder with template and mapping, or a file of"
            " documents."
        ),
        metavar="FILE",
        show_default=False,
    ),
]
AskHeat = Annotated[
    bool,
    typer.Option(
        "--heat",
        help=(
            "Also ask Heat for its own preview, which changes nothing. Heat does not"
            " guarantee it."
        ),
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        help="Keep the plan for `orchestrator apply --plan FILE`.",
        metavar="FILE",
        show_default=False,
    ),
]
Show = Annotated[
    Path | None,
    typer.Option(
        "--show",
        help="Show a saved plan, though it may be stale.",
        metavar="FILE",
        show_default=False,
    ),
]
Validate = Annotated[
    bool,
    typer.Option(
        "--validate/--no-validate",
        help="Hold bodies to the JSON schemas of their types.",
    ),
]
ExitCode = Annotated[
    bool,
    typer.Option("--exit-code", help="Answer 5 when there is something to do."),
]
SavedPlan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        help="Carry out this plan, saved by `orchestrator plan --save`.",
        metavar="FILE",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what would happen, and write nothing."
    ),
]
Kind = Annotated[
    str | None,
    typer.Argument(
        help="Show this type only, such as port; port:port-web names one.",
        metavar="TYPE",
        show_default=False,
    ),
]
Id = Annotated[
    str | None,
    typer.Argument(
        help="Show this resource only.", metavar="ID", show_default=False
    ),
]


class ManyIds(TyperCommand):
    """A command whose option ``--delete`` takes a type and any number of ids."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_one_by_one(args)))


def _one_by_one(words: Sequence[str]) -> Iterator[str]:
    """``--delete port a b`` as ``--delete port:a --delete port:b``."""
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word != "--delete":
            yield word
            continue
        end = place
        while end < len(words) and not words[end].startswith("-"):
            end += 1
        for name in _names(words[place:end]):
            yield from ("--delete", name)
        place = end


def _names(words: Sequence[str]) -> list[str]:
    """The resources that the words behind ``--delete`` name.

    :raises InvalidInput: there is no id.
    """
    if words and all(":" in word for word in words):
        return list(words)
    if len(words) < 2:
        raise InvalidInput("--delete needs a TYPE and at least one ID")
    kind, *ids = words
    return [f"{kind}:{one}" for one in ids]


def plan(
    kind: Kind = None,
    resource_id: Id = None,
    files: Files = None,
    delete: Deletions = None,
    template: Templates = None,
    validate: Validate = True,
    ask_heat: AskHeat = False,
    save: Save = None,
    show_saved: Show = None,
    exit_code: ExitCode = False,
    output: Output = Format.TEXT,
) -> None:
    """Show what would happen: which stacks would be built, changed, replaced or deleted, why, and
    in which order.

    The bridge's own code decides, on what etcd holds at one revision and what you want to write.
    Nothing is written and nothing is sent, and no bridge has to run.
    Without files it shows what the bridge would do as it is.
    A plan that is saved can be carried out later: if what it was made from has changed since,
    nothing is written.
    Secrets are not shown, only that they change.

    **Examples**

        orchestrator plan -f service.yaml
        orchestrator plan -f service.yaml --save service.plan
        orchestrator apply --plan service.plan --wait
        orchestrator plan --delete port port-web port-db
        orchestrator plan --template templates/network
    """
    kind, resource_id = naming.split(kind, resource_id)
    if save is not None and (kind or show_saved):
        raise InvalidInput(
            "--save keeps a whole plan: leave out TYPE and --show"
        )
    if show_saved is not None:
        _tell_some(saved.read(show_saved).plan, kind, resource_id, output)
        return
    with session() as doors:
        wanted = edits.of_command(
            doors.keys,
            files or (),
            template or (),
            delete or (),
            validate=validate,
        )
        if kind:
            kind = naming.check_type(doors.keys, kind)
        made = _make(doors, wanted, ask_heat=ask_heat)
    if save is not None:
        saved.save(made, save)
    _tell_some(made.plan, kind, resource_id, output)
    _hint_undecided(made.undecided)
    if exit_code and made.changes_something:
        raise typer.Exit(Exit.CHANGES)


def _make(doors: Session, wanted: Edits, *, ask_heat: bool) -> making.MadePlan:
    made = making.make(making.PlanGround.of(doors), wanted)
    if ask_heat:
        return previewing.preview(made, previewing.door(doors.settings))
    return made


def _hint_undecided(number: int) -> None:
    """Tell of jobs that the bridge has yet to make, whatever this plan does."""
    if number:
        hint(
            f"The bridge has yet to make {number} other jobs; see `orchestrator plan`"
            " without files."
        )


def _tell_some(
    known: Plan, kind: str | None, resource_id: str | None, output: Format
) -> None:
    """Print the changes that a command line asks for: of a type, of one resource, or all."""
    chosen = [
        change
        for change in known.changes
        if kind in (None, change.ref.type)
        and resource_id in (None, change.ref.id)
    ]
    tell(known, chosen, output)


def tell(known: Plan, changes: Sequence[Change], output: Format) -> None:
    """Print a plan, or some changes of it."""
    if output is Format.TEXT:
        show(screen.render(known, changes))
        return
    told = known.to_json()
    if len(changes) != len(known.changes):
        told["changes"] = [change.to_json() for change in changes]
    emit(told, output)


def refuse_with_plan(files: list[str] | None, *, dry_run: bool) -> None:
    """:raises InvalidInput: a saved plan is to be carried out, and more is asked for."""
    if files or dry_run:
        raise InvalidInput(
            "--plan names all that is written: leave out -f and --dry-run; see it"
            " with `orchestrator plan --show FILE`"
        )


def dry_run(
    doors: Session, checked: Sequence[Document], output: Format
) -> None:
    """What ``apply`` would do: the plan of the same documents."""
    wanted = Edits({document.ref: document.body for document in checked})
    made = making.make(making.PlanGround.of(doors), wanted)
    tell(made.plan, made.plan.changes, output)


def carry_out(
    file: Path,
    verb: AskedVerb,
    *,
    wait: bool,
    timeout: float | None,
    output: Format,
) -> None:
    """Carry out a saved plan, if what it was made from is as it was."""
    known = saved.read(file)
    with session(timeout if wait else None) as doors:
        try:
            record = verb.done(doors.keys, None)
            written = saved.carry_out(doors.store, doors.keys, known, record)
        except saved.Stale as stale:
            if output is not Format.TEXT:
                keys = [one.to_json() for one in stale.moved]
                done = [one.to_json() for one in stale.written]
                emit({"stale": keys, "written": done}, output)
            raise
        warn_of_api_server(doors, written)
        goal = None
        if wait:
            goal = Goal([w.ref for w in written])
        finish(doors, written, goal, timeout, output)
