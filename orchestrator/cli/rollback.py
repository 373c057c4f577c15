"""``orchestrator rollback``: an earlier version of a config, written as a new one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from ..clients.store import KeyValue
from ..core.checks.bodies import Shapes
from ..core.refs import Ref
from ..core.source import Located
from ..errors import InvalidInput
from ..history import differences, reading, sources, wanted
from ..history.changes import ChangeKind, config_key
from ..history.differences import NOTHING, Difference, Side
from ..history.reading import FoundPast
from ..history.veiling import Veiled
from ..history.wanted import Config
from ..views.outlook import Goal
from . import documents, history_text, naming, relations, writing
from .documents import Document, Raw
from .finishing import finish, warn_of_api_server
from .history import located
from .options import OneId, OneType, Output, Timeout, Wait, Yes
from .output import Format, hint
from .session import Session, session
from .verbs.authors import As, AskedVerb, Why, verb
from .verbs.selecting import DryRun
from .writing import Written

To = Annotated[
    int,
    typer.Option(
        "--to",
        help="The version to go back to; `orchestrator history` shows them.",
        metavar="VERSION",
        min=0,
        show_default=False,
    ),
]
_Validate = Annotated[
    bool,
    typer.Option(
        "--validate/--no-validate",
        help="Hold the body to the JSON schema of its type as it is now.",
    ),
]


def command(
    to: To,
    kind: OneType = None,
    resource_id: OneId = None,
    yes: Yes = False,
    validate: _Validate = True,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    output: Output = Format.TEXT,
) -> None:
    """Write an earlier version of a config as a new version.

    The earlier version is taken from the history: the historian's database and etcd's revisions.
    What differs is shown, and nothing is written before you agree.
    The config is checked and written as `orchestrator apply` does it, so the version that is gone
    back to gets a number of its own.
    A config that is removed, or marked for deletion, is wanted again.

    **Examples**

        orchestrator rollback port port-web --to 3
        orchestrator rollback port:port-web --to 3 --yes --wait
    """
    kind, resource_id = naming.split(kind, resource_id)
    if kind is None or resource_id is None:
        raise InvalidInput("name TYPE and ID of one resource")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise InvalidInput(
            "nobody can be asked here: --yes writes without a question"
        )
    with session(timeout if wait else None) as doors:
        ref = located(doors, kind, resource_id)
        proposed = _propose(doors, ref, to, validate=validate)
        if dry_run or not (yes or typer.confirm("Write it?", err=True)):
            hint("Nothing is written.")
            return
        rolled = verb("rollback", by, why, f"{ref} --to {to}")
        written = [_write(doors, ref, proposed, rolled)]
        warn_of_api_server(doors, written)
        goal = Goal([ref]) if wait else None
        finish(doors, written, goal, timeout, output)


@dataclass(frozen=True, slots=True)
class _Proposed:
    """What is to be written, and the revision of what it replaces; 0: nothing is there."""

    document: Document
    replaces: int


def _propose(
    doors: Session, ref: Ref, version: int, *, validate: bool
) -> _Proposed:
    """Find the version, check it, and tell what differs.

    :raises InvalidInput: it is not there, or does not fit its type any more.
    """
    found = _found(doors, ref)
    config = _chosen(ref, found, version)
    shapes = Shapes(doors.keys.schemas.json_schema) if validate else None
    document = _checked(doors, config, shapes)
    there = doors.store.get(config_key(doors.keys, ref))
    _tell(doors, found, config, there)
    if shapes is not None:
        relations.tell_missing(doors.store, doors.keys, [document], shapes)
    return _Proposed(document, there.revision if there else 0)


def _write(
    doors: Session, ref: Ref, proposed: _Proposed, rolled: AskedVerb
) -> Written:
    """:raises InvalidInput: somebody else was faster."""
    return writing.put(
        doors.store,
        doors.keys,
        ref,
        proposed.document.body,
        only=proposed.replaces,
        record=rolled.done(doors.keys, ref),
    )


def _found(doors: Session, ref: Ref) -> FoundPast:
    with sources.archive(doors.settings.history_database) as archive:
        return reading.changes(doors.store, doors.keys, ref, archive)


def _chosen(ref: Ref, found: FoundPast, version: int) -> Config:
    """:raises InvalidInput: the history has no such version."""
    config = wanted.version_of(found.changes, version)
    if config is not None:
        return config
    known = ", ".join(map(str, wanted.versions(found.changes)))
    raise InvalidInput(
        f"the history has no version {version} of {ref} that can be written again;"
        f" it has {known or 'none at all'}"
    )


def _checked(doors: Session, config: Config, shapes: Shapes | None) -> Document:
    """The earlier config as a document, held to what `apply` holds documents to.

    :raises InvalidInput: it does not fit its type any more.
    """
    ref = config.ref
    value = {"type": ref.type, "id": ref.id, "body": config.body}
    raw = Raw(f"version {config.version}", Located(value, 0, lambda path: 0))
    (document,) = documents.check(doors.keys, [raw], shapes=shapes)
    return document


def _tell(
    doors: Session, found: FoundPast, config: Config, there: KeyValue | None
) -> None:
    """What differs between the config that is there and the one to be written, on stderr."""
    templates = reading.templates_of(
        doors.store, doors.keys, doors.catalogue.templates
    )
    changes = [
        c
        for c in found.changes
        if c.kind in (ChangeKind.CONFIG, ChangeKind.HANDLED)
    ]
    veiled = Veiled(changes, templates)
    now = veiled.side(there.value) if there else Side({}, {})
    body = Side(config.body, veiled.shown(config.body))
    told = differences.between(_body(now), body)
    for line in _lines(config, told):
        hint(line)
    if there is None:
        hint(f"{config.ref} is not in the configuration: it is made anew.")
    elif isinstance(now.real, dict) and now.real.get("marked_for_deletion"):
        hint(f"{config.ref} is marked for deletion: it is wanted again.")


def _body(config: Side) -> Side:
    """The body of a config; an empty one where there is none."""
    body = config.inner("body")
    return Side({}, {}) if body.real is NOTHING else body


def _lines(config: Config, told: list[Difference]) -> list[str]:
    if not told:
        return [f"Version {config.version} says what is there already."]
    lines = [str(history_text.difference_line(one)) for one in told]
    return [f"Version {config.version} of {config.ref} would change:", *lines]
