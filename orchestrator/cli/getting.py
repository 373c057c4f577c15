"""``orchestrator get``: a list of resources, or every record of one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from ..core.refs import Ref
from ..errors import InvalidInput
from ..views.following import follow
from ..views.listing import ListChoice, ListState, SortBy, chosen
from ..views.reading import read_all, read_one
from ..views.resource import ResourceView
from . import naming, showing
from .options import OneId, OneType
from .output import Format, as_columns, emit, say, show
from .session import Session, session


class ListFormat(StrEnum):
    """How ``get`` answers."""

    TEXT = "text"
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


_DOCUMENTS = {ListFormat.JSON: Format.JSON, ListFormat.YAML: Format.YAML}


def _flag(name: str, text: str) -> object:
    return typer.Option(name, help=text)


_Failed = Annotated[
    bool,
    _flag("--failed", "Only what failed, is overdue, in trouble, or broken."),
]
_Held = Annotated[
    bool, _flag("--held", "Only what is held, or whose deletion is held.")
]
_Running = Annotated[bool, _flag("--running", "Only what has a job under way.")]
_Outdated = Annotated[
    bool,
    _flag(
        "--outdated",
        "Only what was built from outputs or a template that are others now.",
    ),
]
_Drifted = Annotated[
    bool, _flag("--drifted", "Only what differs in Heat from what was built.")
]
_Tenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help="Only the resources of one project.",
        metavar="ID",
        show_default=False,
    ),
]
_Sort = Annotated[
    SortBy,
    typer.Option("--sort", help="What the list is sorted by."),
]
_Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        "-w",
        help="Then print a line for each change, until Ctrl-C.",
    ),
]
_Output = Annotated[
    ListFormat,
    typer.Option(
        "--output",
        "-o",
        help=(
            "text for people, wide for all columns, name for TYPE:ID alone; json and"
            " yaml for scripts, with stable keys."
        ),
    ),
]


def get(
    kind: OneType = None,
    resource_id: OneId = None,
    tenant: _Tenant = None,
    failed: _Failed = False,
    held: _Held = False,
    running: _Running = False,
    outdated: _Outdated = False,
    drifted: _Drifted = False,
    sort: _Sort = SortBy.NAME,
    watch: _Watch = False,
    output: _Output = ListFormat.TEXT,
) -> None:
    """Show resources: what is wanted, recorded of the stack, reported, and monitored, side by side.

    With several of `--failed`, `--held` and so on, those in any of these states are shown.
    With an id, every record of that resource is shown with its key in etcd. Secrets are masked.

    **Examples**

        orchestrator get
        orchestrator get port --tenant 8d1f --failed
        orchestrator get --held --sort age -o wide
        orchestrator get port port-web
        orchestrator get load_balancer_interface lbif-http -o json
    """
    kind, resource_id = naming.split(kind, resource_id)
    asked = (failed, held, running, outdated, drifted)
    states = frozenset(
        state for state, wanted in zip(_STATES, asked, strict=True) if wanted
    )
    choice = ListChoice(kind, tenant, states, sort)
    with session() as doors:
        if kind is not None and resource_id is not None:
            _refuse_choice(choice, watch=watch)
            _get_one(doors, kind, resource_id, output)
        else:
            _get_all(doors, choice, output, watch=watch)


_STATES = (
    ListState.FAILED,
    ListState.HELD,
    ListState.RUNNING,
    ListState.OUTDATED,
    ListState.DRIFTED,
)


def _refuse_choice(choice: ListChoice, *, watch: bool) -> None:
    """One resource that is named is shown, whatever its state."""
    if choice.states or choice.tenant is not None or watch:
        raise InvalidInput(
            "TYPE ID names one resource: leave out --tenant, --watch, and the states"
        )


def _get_one(
    doors: Session, kind: str, resource_id: str, output: ListFormat
) -> None:
    named = naming.resource(doors.keys, kind, resource_id)
    ref = naming.place(doors.store, doors.keys, named)
    found = read_one(doors.store, doors.keys, ref)
    if output is ListFormat.NAME:
        say(str(ref))
        return
    form = _DOCUMENTS.get(output, Format.TEXT)
    showing.show_one(
        found, ref, doors.catalogue.templates, form, doors.moment()
    )


def _get_all(
    doors: Session, choice: ListChoice, output: ListFormat, *, watch: bool
) -> None:
    """All resources that are chosen."""
    if choice.kind is not None:
        kind = naming.check_type(doors.keys, choice.kind)
        choice = choice.of_type(kind)
    if watch:
        if output in _DOCUMENTS:
            raise InvalidInput(
                "--watch prints lines: use -o text, wide or name"
            )
        _watch(doors, choice, output)
        return
    moment = doors.moment()
    listed = chosen(read_all(doors.store, doors.keys), choice, moment)
    _print(listed, output, moment.now)


def _print(
    listed: Sequence[ResourceView], output: ListFormat, now: float
) -> None:
    if output is ListFormat.NAME:
        for one in listed:
            say(str(one.standing.ref))
    elif output in _DOCUMENTS:
        emit([one.to_json() for one in listed], _DOCUMENTS[output])
    else:
        show(showing.table(listed, now, wide=output is ListFormat.WIDE))


# Watching -----------------------------------------------------------------------------------------


def _watch(doors: Session, choice: ListChoice, output: ListFormat) -> None:
    """The list, and then a line for each resource that has changed."""
    with follow(doors.store, doors.keys) as follower:
        known: Mapping[Ref, tuple[str, ...]] = {}
        while True:
            moment = doors.moment()
            listed = chosen(follower.snapshot, choice, moment)
            known = tell_changes(listed, known, output, moment.now)
            while not follower.next(None):
                pass
            time.sleep(_TOGETHER)  # What changes together is told together.
            follower.next(0.0)


_TOGETHER = 0.2
"""Seconds for which changes are gathered."""


def tell_changes(
    listed: Sequence[ResourceView],
    known: Mapping[Ref, tuple[str, ...]],
    output: ListFormat,
    now: float,
) -> Mapping[Ref, tuple[str, ...]]:
    """Print what differs from what was printed before; what there is now.

    :param known: the cells of each resource, but for its age.
    """
    found = {
        one.standing.ref: tuple(
            map(str, showing.cells(one, 0.0, wide=output is ListFormat.WIDE))
        )
        for one in listed
    }
    changed = [
        one
        for one in listed
        if known.get(one.standing.ref) != found[one.standing.ref]
    ]
    gone = [ref for ref in known if ref not in found]
    if output is ListFormat.NAME:
        for one in changed:
            say(str(one.standing.ref))
    elif not known:
        _print(listed, output, now)
    elif changed:
        [section] = showing.sections(
            changed, now, wide=output is ListFormat.WIDE
        )
        say("\n".join(as_columns(section).splitlines()[1:]))
    for ref in gone:
        say(f"{ref}  is not in the list any more")
    return found
