"""The deletions that the bridge holds until a person confirms them."""

from __future__ import annotations

from collections import Counter

from ..core.refs import Ref
from .output import BAD, Section
from .progress import Phase, Progress
from .snapshot import Snapshot

_EXAMPLES = 3
"""How many ids of a type are named."""


def held_deletions(found: Snapshot) -> list[Ref]:
    """The resources whose stacks stay until somebody confirms their deletion."""
    return [
        standing.ref
        for standing in Progress(found).everything()
        if standing.phase is Phase.UNCONFIRMED
    ]


def by_type(refs: list[Ref]) -> Section:
    """How many of each type, with examples."""
    number = Counter(ref.type for ref in refs)
    rows = [(kind, str(number[kind]), _examples(refs, kind)) for kind in number]
    return Section(
        "Deletions that are held",
        ("type", "number", "ids"),
        rows,
        BAD,
        frozenset({"ids"}),
    )


def _examples(refs: list[Ref], kind: str) -> str:
    ids = [ref.id for ref in refs if ref.type == kind]
    more = f" and {len(ids) - _EXAMPLES} more" if len(ids) > _EXAMPLES else ""
    return ", ".join(ids[:_EXAMPLES]) + more
