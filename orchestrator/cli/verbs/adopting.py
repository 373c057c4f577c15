"""``orchestrator adopt``: a stack that is in Heat already becomes a resource's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.text import Text

from ...clients.overlay import Overlay
from ...core import effects
from ...core.forecast.plans import Plan
from ...core.keys import Keys
from ...core.records import RetryAsked, StackRecord
from ...core.refs import Ref
from ...core.resources import Wanted
from ...core.stacks import Stack, owner_of
from ...errors import InvalidInput
from ...views.reading import read_all
from ...views.snapshot import Snapshot
from .. import naming
from ..options import Output, Yes
from ..output import DOUBT, Format, Section, hint, show
from ..planning import command as planning
from ..planning import making, previewing
from ..planning.edits import Edits
from ..planning.previewing import PreviewDoor
from ..session import Session, session
from .answers import PATIENCE, Patience, carry_out
from .authors import As, Why, ask, verb
from .selecting import DryRun

_Type = Annotated[
    str, typer.Argument(help="A type, such as server.", metavar="TYPE")
]
_Id = Annotated[
    str, typer.Argument(help="The id of the resource.", metavar="ID")
]
_Stack = Annotated[
    str,
    typer.Argument(
        help="The stack in Heat, by its name or Heat's id.", metavar="STACK"
    ),
]


_Force = Annotated[
    bool,
    typer.Option("--force", help="Adopt it though it is another resource's."),
]


def adopt(
    kind: _Type,
    resource_id: _Id,
    stack: _Stack,
    force: _Force = False,
    yes: Yes = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    timeout: Patience = PATIENCE,
    output: Output = Format.TEXT,
) -> None:
    """Make a stack that is in Heat already the stack of a resource.

    The stack may have any name. It has to be in the resource's project.
    The plan is shown first: the stack is updated to what the config asks for, and gets our tags.
    The config has to be there, and the resource may have no stack yet.
    To keep the bridge from building a new one, pause the tenant or the type before you write the
    config, adopt, and resume.

    **Examples**

        orchestrator pause server --tenant 5bc29eb468c444bf839a3e634d222132
        orchestrator apply -f web-1.yaml
        orchestrator adopt server web-1 legacy-web --why "moved from scripts"
        orchestrator resume server --tenant 5bc29eb468c444bf839a3e634d222132
    """
    with session() as doors:
        ref = naming.resource(doors.keys, kind, resource_id)
        naming.place(doors.store, doors.keys, ref)
        found = read_all(doors.store, doors.keys)
        heat = previewing.door(doors.settings)
        adoption = choose(found, ref, heat, stack, force=force)
        _show(doors, adoption, output, dry_run=dry_run)
        if dry_run:
            return
        ask(f"Adopt {adoption.stack.name} as {ref}?", yes)
        asked = verb("adopt", by, why, f"{ref} {adoption.stack.name}")
        request = RetryAsked(
            adopt=adoption.stack.name,
            status=adoption.stack.status,
            force=force,
        )
        carry_out(doors, asked, {ref: request}, timeout, output)


@dataclass(frozen=True, slots=True)
class Adoption:
    """A resource as it is wanted, and the stack that is to be its own."""

    wanted: Wanted
    stack: Stack

    @property
    def record(self) -> StackRecord:
        """The stack record that the bridge writes."""
        wanted, stack = self.wanted, self.stack
        return StackRecord.of(
            wanted.ref, wanted.tenant, stack.status, name=stack.name
        )


def choose(
    found: Snapshot, ref: Ref, heat: PreviewDoor, name: str, *, force: bool
) -> Adoption:
    """The adoption that is meant.

    :param name: of the stack, or Heat's id of it.
    :raises InvalidInput: it cannot be.
    """
    wanted = found.wanted.get(ref)
    if wanted is None or wanted.marked_for_deletion:
        raise InvalidInput(
            f"{ref} is not in the configuration, or is to be deleted: write its config"
            " first, while its type or tenant is paused"
        )
    recorded = found.stacks.get(ref)
    if recorded is not None and recorded.live:
        raise InvalidInput(
            f"{ref} has a stack already: release or delete it first"
        )
    stack = heat.show(wanted.tenant, name, outputs=False)
    if stack is None:
        raise InvalidInput(
            f"Heat knows no stack {name} in project {wanted.tenant}"
        )
    if stack.in_progress or stack.action == "DELETE":
        raise InvalidInput(
            f"the stack {stack.name} is in {stack.status}: wait until Heat is done"
        )
    if not force:
        _refuse_owned(found, ref, stack)
    return Adoption(wanted, stack)


def _refuse_owned(found: Snapshot, ref: Ref, stack: Stack) -> None:
    """:raises InvalidInput: it is the stack of another resource."""
    owner = owner_of(stack)
    if owner not in ("", str(ref)):
        raise InvalidInput(
            f"the stack {stack.name} is that of {owner}: release that first, or adopt"
            " it all the same with --force"
        )
    for other in found.refs():
        if other != ref and other.stack_name == stack.name:
            raise InvalidInput(
                f"the stack {stack.name} has the name of that of {other}, which would"
                " be built with it"
            )


def plan_of(doors: Session, adoption: Adoption) -> Plan:
    """What the bridge would do with the stack."""
    store, ref = Overlay(doors.store), adoption.wanted.ref
    keys: Keys = doors.keys
    # Listed before it is written to, or a later scan would not see what was written.
    store.list(keys.stacks)
    adopted = effects.adopt(keys, adoption.wanted, adoption.record)
    if not store.commit(adopted):
        raise InvalidInput(f"{ref} was written meanwhile: look at it again")
    ground = replace(making.PlanGround.of(doors), store=store)
    return making.make(ground, Edits({}, rebuilds=frozenset({ref}))).plan


def _show(
    doors: Session, adoption: Adoption, output: Format, *, dry_run: bool
) -> None:
    """The plan, on stdout where it is the answer; of scripts only then."""
    if output is not Format.TEXT and not dry_run:
        return
    stack = adoption.stack
    plan = plan_of(doors, adoption)
    if output is Format.TEXT:
        rows = [(stack.name, stack.id, Text(stack.status, DOUBT))]
        show([Section("Stack in Heat", ("name", "id", "status"), rows)])
    planning.tell(plan, plan.changes, output)
    if output is Format.TEXT:
        hint("Heat may replace what the update cannot change in place.")
