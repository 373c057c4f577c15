"""When a stack is deleted, and what has to go before it."""

from __future__ import annotations

from ..jobs import Action
from ..records import Handled, Held
from ..refs import Ref
from ..resources import Wanted
from ..world import World
from .comparing import is_change
from .decisions import Clean, Decision, First, Hold, Nothing, Subject
from .ordering import leaves, revisions_of_retried
from .parameters import deletion_params
from .recorded import recorded_config
from .starting import start


def gone(subject: Subject) -> Decision:
    """The config is gone: the stack follows, and then all that is recorded."""
    world, ref = subject.world, subject.ref
    if world.removals.holds(ref):
        return Nothing("its deletion is held until a person has confirmed it")
    jobs = world.graph.on(ref)
    if world.may_have_stack(ref):
        if not jobs and _has_failed(world, ref):
            return Nothing("the deletion failed; it is tried again later")
        return delete(subject, None, world.handled.get(ref))
    if not jobs and not world.knows(ref):
        return Nothing("gone")
    if world.graph.behind(job.id for job in jobs):
        return delete(subject, None, world.handled.get(ref))
    return Clean(tuple(jobs), revisions_of_retried(world, jobs))


def _has_failed(world: World, ref: Ref) -> bool:
    """Whether the deletion failed, and nobody has asked for it again."""
    failed = world.failed.get(ref)
    if failed is None or ref in world.again:
        return False
    return failed.action is Action.DELETE


def delete(
    subject: Subject, wanted: Wanted | None, handled: Handled | None
) -> Decision:
    """Delete the stack.

    :param wanted: the marked config; None: delete from what is recorded.
    """
    world, ref = subject.world, subject.ref
    if world.deleting(ref) and not _asks_again(world, wanted, handled):
        return Nothing("is being deleted")
    source = wanted or recorded_config(world, ref, handled)
    if obstacle := _used_by_others(subject, source.version):
        return obstacle
    template, params = deletion_params(world, source, handled)
    return start(subject, wanted, handled, Action.DELETE, template, params)


def _asks_again(
    world: World, wanted: Wanted | None, handled: Handled | None
) -> bool:
    """Whether a marked config asks for more than the deletion that is under way."""
    if wanted is None:
        return False
    if handled is None or wanted.ref in world.again:
        return True
    return is_change(wanted, handled)


def _used_by_others(subject: Subject, version: int) -> First | Hold | None:
    """Dependents go before what they depend on: their jobs have to be there for ours to wait
    for."""
    world, ref = subject.world, subject.ref
    users = [
        other
        for other in world.referrers(ref)
        if other not in subject.path and not leaves(world, other, ref)
    ]
    undecided = tuple(other for other in users if other in world.dirty)
    if undecided:
        return First(undecided)
    if not users or not subject.patient:
        return None
    held = Held(
        version,
        users[0],
        f"is to be deleted, but {users[0]} was built from it and is still"
        " there",
    )
    return Hold(held, world.wanted.get(ref), patience=True)
