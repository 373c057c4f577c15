"""``orchestrator delete``: what goes, in which order, and what is done where there is no API
server."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import typer

from ..core.refs import Ref
from ..views.outlook import Goal
from ..views.reading import read_all
from . import documents, naming, users, waiting, writing
from .documents import Raw
from .finishing import finish, warn_of_api_server, written_table
from .output import Format, emit, hint, show
from .planning import command as planning
from .planning import making
from .planning.edits import Edits
from .session import Session
from .verbs.authors import AskedVerb, record_of
from .writing import WriteResult, Written


@dataclass(frozen=True, slots=True)
class Choice:
    """How to delete. *now* removes the config without marking it first.

    *cascade* deletes everything that uses the resources, too. *force* leaves those as they are.
    *dry_run* writes nothing.
    """

    cascade: bool = False
    force: bool = False
    now: bool = False
    dry_run: bool = False


def run(
    doors: Session,
    found: Sequence[Raw],
    choice: Choice,
    verb: AskedVerb,
    again: str | None,
    timeout: float | None,
    output: Format,
) -> None:
    """Delete what the documents name.

    :param again: the command that waits; None: this one does.
    :raises InvalidInput: a document is at fault, or others use what it names.
    """
    # Files name first what others need, and the others have to go first.
    checked = documents.check(doors.keys, found, need_body=False)
    refs = [
        naming.place(doors.store, doors.keys, document.ref)
        for document in checked
    ]
    refs = _with_users(doors, refs[::-1], choice)
    if choice.dry_run:
        _show_plan(doors, refs, output)
        return
    store, keys = doors.store, doors.keys
    record = record_of(keys, verb, refs)
    if choice.now:
        removed = [
            writing.remove(store, keys, ref, record=record(ref)) for ref in refs
        ]
        goal = Goal(refs, gone=True) if again is None else None
        finish(doors, removed, goal, timeout, output)
        return
    _mark(doors, refs, record, again, timeout, output)


def _show_plan(doors: Session, refs: Sequence[Ref], output: Format) -> None:
    """Show what the deletion would do, and write nothing."""
    made = making.make(
        making.PlanGround.of(doors), Edits({}, deletions=list(refs))
    )
    planning.tell(made.plan, made.plan.changes, output)


def _mark(
    doors: Session,
    refs: Sequence[Ref],
    record: Callable[[Ref], Mapping[str, str]],
    again: str | None,
    timeout: float | None,
    output: Format,
) -> None:
    """Mark the configs for deletion.

    :param record: the record of the verb on a resource, as it is written.
    """
    written = [
        writing.mark(doors.store, doors.keys, ref, record=record(ref))
        for ref in refs
    ]
    warn_of_api_server(doors, written)
    marked = [
        w
        for w in written
        if w.result in (WriteResult.MARKED, WriteResult.ALREADY_MARKED)
    ]
    if again is None:
        _wait_and_remove(doors, written, marked, timeout, output)
        return
    finish(doors, written, None, timeout, output)
    if marked and output is Format.TEXT:
        hint(
            "The config stays until the API server removes it. Where there is none:"
            f" {again}"
        )


def words(
    kind: str | None, resource_id: str | None, files: Sequence[str] | None
) -> list[str]:
    """What a command line names, as it was typed."""
    named = [word for word in (kind, resource_id) if word]
    given = [word for file in files or () for word in ("-f", file)]
    return named + given


def typed_again(
    kind: str | None,
    resource_id: str | None,
    files: Sequence[str] | None,
    choice: Choice,
) -> str:
    """The command as it was typed, and ``--wait``: so that it can be typed again."""
    named = words(kind, resource_id, files)
    flags = (("--cascade", choice.cascade), ("--force", choice.force))
    chosen = [flag for flag, is_given in flags if is_given]
    return shlex.join(["orchestrator", "delete", *named, *chosen, "--wait"])


def _with_users(doors: Session, refs: list[Ref], choice: Choice) -> list[Ref]:
    """What is to be deleted, in the order in which it goes.

    :raises InvalidInput: others use them, and nobody has said what is to become of those.
    """
    if choice.force and not choice.cascade:
        return refs
    found = read_all(doors.store, doors.keys)
    if choice.cascade:
        return users.with_users(found, refs)
    users.refuse_used(found, refs)
    return refs


def _wait_and_remove(
    doors: Session,
    written: list[Written],
    marked: list[Written],
    timeout: float | None,
    output: Format,
) -> None:
    """In the API server's place: remove each config once its very version is reported deleted."""
    if output is Format.TEXT:
        show([written_table(written)])
    goal = Goal([w.ref for w in marked])
    outlook = waiting.until_told(doors.store, doors.keys, goal, timeout)
    gone = {standing.ref for standing in outlook.good}
    removed = [
        writing.remove(doors.store, doors.keys, w.ref, w.revision)
        for w in marked
        if w.ref in gone
    ]
    if output is Format.TEXT:
        parts = waiting.troubles(outlook)
        if removed:
            parts.append(written_table(removed))
        show(parts)
    else:
        answer = {w.ref: w for w in (*written, *removed)}
        document = {
            "written": [w.to_json() for w in answer.values()],
            "wait": waiting.as_document(outlook),
        }
        emit(document, output)
    raise typer.Exit(waiting.exit_of(outlook))
