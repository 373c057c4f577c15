"""Who was built from whom, as far as the records tell: what a deletion would pull away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..core.refs import Ref
from ..errors import InvalidInput
from ..views.snapshot import Snapshot

_NAMED = 3
"""How many users a sentence names."""


def users(found: Snapshot) -> Mapping[Ref, Sequence[Ref]]:
    """By resource, those that stand on it and are to stay: wanted, unmarked, and built or being
    built."""
    using: defaultdict[Ref, list[Ref]] = defaultdict(list)
    under_way = {job.ref for job in found.jobs.values()}
    for ref, handled in sorted(found.handled.items()):
        wanted, stack = found.wanted.get(ref), found.stacks.get(ref)
        stays = wanted is not None and not wanted.marked_for_deletion
        if stays and (ref in under_way or (stack is not None and stack.live)):
            for other in handled.refs() - {ref}:
                using[other].append(ref)
    return using


def with_users(found: Snapshot, refs: Iterable[Ref]) -> list[Ref]:
    """These, and everything that stands on them: users come first, as they have to go first."""
    using = users(found)
    order: dict[Ref, None] = {}

    def visit(ref: Ref, path: frozenset[Ref]) -> None:
        for user in using.get(ref, ()):
            if user not in path and user not in order:
                visit(user, path | {user})
        order.setdefault(ref)

    for ref in refs:
        visit(ref, frozenset({ref}))
    return list(order)


_DELETION = (
    "Nothing is deleted. Delete the users too with --cascade, or leave them without it"
    " with --force"
)


def refuse_used(
    found: Snapshot, refs: Sequence[Ref], advice: str = _DELETION
) -> None:
    """
    :param advice: what to do, for the error.
    :raises InvalidInput: others that are to stay stand on one of these.
    """
    using, going = users(found), set(refs)
    sentences = []
    for ref in refs:
        staying = [user for user in using.get(ref, ()) if user not in going]
        if staying:
            names = ", ".join(map(str, staying[:_NAMED]))
            if len(staying) > _NAMED:
                names += f" and {len(staying) - _NAMED} more"
            sentences.append(f"{ref} is used by {names}")
    if sentences:
        raise InvalidInput(f"{'; '.join(sentences)}. {advice}")
