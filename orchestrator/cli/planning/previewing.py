"""``plan --heat``: what Heat itself says it would do.

Heat is asked with GET and preview requests only. Where a value is known only later, it is not
asked: it would preview something else.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Protocol

from ...core.forecast.plans import Change, What
from ...core.refs import Json
from ...core.rendering import StackRequest
from ...core.stacks import Stack
from ...errors import OrchestratorError
from ...settings import Settings
from .making import MadePlan

_ASKED = (What.CREATE, What.UPDATE, What.REBUILD, What.NOTHING)
"""The changes that Heat can preview, where the plan knows a request. Where nothing happens, a stack
that is outdated has one: that of a rebuild."""


class PreviewDoor(Protocol):
    """The door to Heat, as far as a preview needs it."""

    def show(
        self, tenant: str, stack: str, *, outputs: bool
    ) -> Stack | None: ...

    def preview(
        self, request: StackRequest, stack: Stack | None
    ) -> dict[str, Json]: ...


def door(settings: Settings) -> PreviewDoor:
    """Heat, with the credentials of this machine. Nothing is written of the login."""
    # Only a preview needs the OpenStack clients, so all else starts without them.
    heat = import_module("orchestrator.clients.heat")
    opened: PreviewDoor = heat.Heat(
        settings.heat_timeout,
        settings.heat_deadline,
        heat.Logins(),
        settings.tenant_credentials,
    )
    return opened


def preview(made: MadePlan, heat: PreviewDoor) -> MadePlan:
    """The same plan with Heat's preview of each stack that is built, changed, or outdated."""
    changes = tuple(
        _previewed(made, change, heat) for change in made.plan.changes
    )
    return replace(made, plan=replace(made.plan, changes=changes))


def _previewed(made: MadePlan, change: Change, heat: PreviewDoor) -> Change:
    if change.what not in _ASKED or change.ref not in made.requests:
        return change
    request, hiding = made.requests[change.ref]
    try:
        stack = None
        if change.what is not What.CREATE:
            stack = heat.show(request.tenant, request.name, outputs=False)
        told = heat.preview(request, stack)
    except OrchestratorError as error:
        # Of one stack: the plan is worth something all the same.
        told = {"error": hiding.text(str(error))}
    return replace(change, heat=told)
