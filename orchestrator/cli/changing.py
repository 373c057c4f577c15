"""The commands that change what is wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.checks.bodies import Shapes
from ..errors import InvalidInput
from ..views.outlook import Goal
from . import deleting, documents, naming, relations, retrying, writing
from .finishing import finish, warn_of_api_server
from .options import Files, OneId, OneType, Output, Timeout, Wait
from .output import Format
from .planning import command as planning
from .session import session
from .verbs.authors import As, AskedVerb, Why, record_of, verb
from .verbs.selecting import (
    DryRun,
    Everything,
    OfCause,
    OfTenant,
    selector,
    tell_dry_run,
)

_Now = Annotated[
    bool,
    typer.Option(
        "--now", help="Remove the config at once, without marking it first."
    ),
]
_Cascade = Annotated[
    bool,
    typer.Option("--cascade", help="Delete everything that uses them, too."),
]
_Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Delete them even if others use them, and leave those as they are.",
    ),
]
_ForceStack = Annotated[
    bool,
    typer.Option(
        "--force",
        help=(
            "Take the stack that is in Heat as it is, whoever built it. Needs TYPE"
            " and ID."
        ),
    ),
]


def apply(
    files: Files = None,
    validate: Annotated[
        bool,
        typer.Option(
            "--validate/--no-validate",
            help="Hold bodies to the JSON schemas of their types.",
        ),
    ] = True,
    saved_plan: planning.SavedPlan = None,
    by: As = None,
    why: Why = None,
    dry_run: planning.DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Write wanted resources: documents of type, id and body.

    Every document is checked before the first is written; its body is checked against the JSON
    schema of its type.
    A new resource starts at version 1, a changed one gets its next version, and one that is there
    already just so is left alone.
    The order does not matter: who needs whom follows from the references.

    **Examples**

        orchestrator apply -f service.yaml
        orchestrator apply -f service.yaml --wait --timeout 300
        generate-config | orchestrator apply -f -
        orchestrator apply -f service.yaml --dry-run
        orchestrator apply --plan service.plan --wait
    """
    if saved_plan is not None:
        planning.refuse_with_plan(files, dry_run=dry_run)
        planned = verb("apply", by, why, f"--plan {saved_plan.name}")
        planning.carry_out(
            saved_plan, planned, wait=wait, timeout=timeout, output=output
        )
        return
    if not files:
        raise InvalidInput(
            "nothing to apply: name a file with -f FILE, or -f - for standard input"
        )
    found = documents.read(files)
    _write_files(
        found,
        verb("apply", by, why, " ".join(f"-f {file}" for file in files)),
        validate=validate,
        dry_run=dry_run,
        wait=wait,
        timeout=timeout,
        output=output,
    )


def _write_files(
    found: list[documents.Raw],
    applied: AskedVerb,
    *,
    validate: bool,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    output: Format,
) -> None:
    with session(timeout if wait else None) as doors:
        shapes = None
        if validate:
            shapes = Shapes(doors.keys.schemas.json_schema)
        checked = documents.check(doors.keys, found, shapes=shapes)
        if shapes is not None:
            relations.tell_missing(doors.store, doors.keys, checked, shapes)
        if dry_run:
            planning.dry_run(doors, checked, output)
            return
        records = record_of(doors.keys, applied, [d.ref for d in checked])
        written = [
            writing.put(
                doors.store,
                doors.keys,
                document.ref,
                document.body,
                record=records(document.ref),
            )
            for document in checked
        ]
        warn_of_api_server(doors, written)
        goal = None
        if wait:
            goal = Goal([w.ref for w in written])
        finish(doors, written, goal, timeout, output)


def delete(
    kind: OneType = None,
    resource_id: OneId = None,
    files: Files = None,
    now: _Now = False,
    cascade: _Cascade = False,
    force: _Force = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Mark resources for deletion, so that their stacks are deleted.

    The config itself stays until the API server has seen that the stack is gone, and removes it.
    Where there is no API server, --wait plays its part: it waits for the deletion and then removes
    the config.
    With --now the config is removed at once; the bridge then deletes the stack by what it has
    recorded.
    A resource that others use is not deleted without --cascade or --force.

    **Examples**

        orchestrator delete port port-web --wait
        orchestrator delete -f service.yaml --wait
    """
    found = documents.read(files or ())
    kind, resource_id = naming.split(kind, resource_id)
    if resource_id is not None and kind is not None:
        found = [documents.of_command_line(kind, resource_id), *found]
    elif kind is not None or not found:
        raise InvalidInput(
            "nothing to delete: name TYPE and ID, or a file with -f FILE"
        )
    chosen = deleting.Choice(cascade, force, now, dry_run)
    again = None
    if not wait:
        again = deleting.typed_again(kind, resource_id, files, chosen)
    words = deleting.words(kind, resource_id, files)
    deleted = verb("delete", by, why, " ".join(words))
    with session(timeout if wait else None) as doors:
        deleting.run(doors, found, chosen, deleted, again, timeout, output)


def retry(
    kind: OneType = None,
    resource_id: OneId = None,
    tenant: OfTenant = None,
    cause: OfCause = None,
    everything: Everything = False,
    force: _ForceStack = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Try failed versions once more, as they are.

    Use it after a cause outside was repaired, such as a quota.
    What failed because of another resource needs no retry of its own: it is tried again by itself
    when its cause is repaired.
    A new version of the configuration is tried by itself, too.
    The state of the version is then reported a second time.

    **Examples**

        orchestrator retry port port-web --wait
        orchestrator retry --cause network:net-front --why "quota raised"
        orchestrator retry --tenant 5bc29eb468c444bf839a3e634d222132 --dry-run
        orchestrator retry --all
    """
    if force and (kind is None or (resource_id is None and ":" not in kind)):
        raise InvalidInput("--force is for one resource: name its TYPE and ID")
    with session(timeout if wait else None) as doors:
        meant = selector(
            doors.keys,
            kind,
            resource_id,
            tenant=tenant,
            cause=cause,
            everything=everything,
        )
        found = retrying.read(doors.store, doors.keys, meant)
        chosen = retrying.choose(found, meant)
        if dry_run:
            tell_dry_run("would be retried", chosen, output)
            return
        asked = verb("retry", by, why, meant.words)
        written = retrying.ask(doors.store, found, chosen, asked, force=force)
        goal = Goal(chosen) if wait and chosen else None
        finish(doors, written, goal, timeout, output)
