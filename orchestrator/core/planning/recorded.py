"""What our records say of the deployed stack: what it was made of, where it is, what it uses."""

from __future__ import annotations

from collections.abc import Mapping

from ..records import Handled
from ..refs import Json, Ref
from ..resources import Wanted
from ..world import World

_FIRST_VERSION = 1
"""The version of a resource of which no record tells one."""


def recorded_config(world: World, ref: Ref, handled: Handled | None) -> Wanted:
    """What the resource was made of.

    It stands in for a config that is gone, or wants the resource elsewhere.
    """
    version = _recorded_version(world, ref, handled)
    home = world.home(ref)
    if handled is None:
        tenant = home or ""
        return Wanted(ref, version, {"id": ref.id, "tenant_id": tenant})
    tenant = home or handled.tenant
    body = handled.body or {"id": ref.id, "tenant_id": tenant}
    if tenant and body.get("tenant_id") != tenant:
        body = {**body, "tenant_id": tenant}
    return Wanted(ref, version, body, incarnation=handled.incarnation)


def _recorded_version(world: World, ref: Ref, handled: Handled | None) -> int:
    if handled is not None:
        return handled.version
    reported = world.reported.get(ref)
    if reported is not None:
        return reported.version
    return _FIRST_VERSION


def body_at_home(world: World, source: Wanted) -> Mapping[str, Json]:
    """The body for a deletion: a stack is deleted where it is, whatever project the config names by
    now."""
    home = _home_until_now(world, source.ref)
    if home is None or home == source.tenant:
        return source.body
    return {**source.body, "tenant_id": home}


def _home_until_now(world: World, ref: Ref) -> str | None:
    """The tenant in which the stack is, or was until the deletion that is under way."""
    if world.deleting(ref):
        return world.graph.on(ref)[-1].tenant
    return world.home(ref)


def stands_on(world: World, ref: Ref) -> frozenset[Ref]:
    """What the stack was built from, or may be by an unfinished job, as far as there is either."""
    handled = world.handled.get(ref)
    if handled is None or not (world.is_live(ref) or world.graph.on(ref)):
        return frozenset()
    return handled.refs() | handled.stands_on


def unrecorded_stack(world: World, ref: Ref, handled: Handled | None) -> str:
    """Heat's own id of a stack of which no stack record tells; empty when there is none.

    An unfinished job was given it, or one before it. By its id it is known as ours when somebody
    else's update has taken its tags away.
    """
    if world.is_live(ref):
        return ""
    for job in reversed(world.graph.on(ref)):
        run = world.runs.get(job.id)
        if run is not None and run.stack:
            return run.stack
    if handled is None:
        return ""
    return handled.stack
