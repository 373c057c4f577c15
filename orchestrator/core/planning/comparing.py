"""Whether a config asks for something else than what was handled last (CONTRACT section 2)."""

from __future__ import annotations

from ..records import Handled
from ..resources import UNVERSIONED, Wanted, tenant_fault
from ..world import World


def is_change(wanted: Wanted, handled: Handled) -> bool:
    """Whether the config has a higher version, or another content."""
    return wanted.version > handled.version or not handled.matches(wanted)


def is_rewritten(wanted: Wanted, handled: Handled | None) -> bool:
    """Whether this version was handled before with another content.

    An unversioned config is always written with the same version, so that says nothing.
    """
    if (
        handled is None
        or wanted.version == UNVERSIONED
        or handled.incarnation != wanted.incarnation
    ):
        return False
    return handled.version == wanted.version and (
        handled.rewritten or not handled.matches(wanted)
    )


def is_taken_back(world: World, wanted: Wanted) -> bool:
    """Whether the config was written again while the deletion of its stack was held: the stack
    stays."""
    return world.removals.holds(wanted.ref) and world.home(wanted.ref) in (
        wanted.tenant,
        None,
    )


def lives_elsewhere(world: World, wanted: Wanted, handled: Handled) -> bool:
    """Whether the stack that there is belongs to an earlier incarnation, or to another tenant."""
    if handled.incarnation != wanted.incarnation:
        return True
    if wanted.marked_for_deletion or tenant_fault(wanted.body):
        # It is deleted where it is, or refused.
        return False
    home = world.home(wanted.ref)
    return home is not None and home != wanted.tenant
