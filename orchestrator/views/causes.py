"""What failed, folded by its cause: one quota that is used up is one line, whatever it stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..core.refs import Ref
from ..core.templates import TEMPLATE_TYPE
from .phases import Standing
from .snapshot import Snapshot

Standings = tuple[Standing, ...]

_SCHEMA_TYPE = "schema"
_OWN = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|\d+")
"""What differs from resource to resource in one and the same error: ids of OpenStack, numbers."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """One resource or template that failed, and everything that failed because of it."""

    root: Ref
    error: str
    """The cause's own, if it has one on record."""
    members: Standings

    @property
    def others(self) -> Standings:
        """Those that failed because of the cause."""
        return tuple(
            member for member in self.members if member.ref != self.root
        )


@dataclass(frozen=True, slots=True)
class FoldedCause:
    """One reason for failures. Several resources that fail for the same reason are one cause."""

    roots: tuple[Ref, ...]
    """The resources or templates that failed by themselves, in order."""
    tenants: tuple[str, ...]
    """The projects of all that failed."""
    error: str
    """Why the first of them failed."""
    members: Standings
    """All that failed: the roots, and what failed because of them."""
    since: float
    """Since when: the earliest time on record, in seconds since the epoch; 0 when none is."""
    todo: str
    """What a person can do about it."""

    @property
    def others(self) -> int:
        """How many failed with the roots, because of them."""
        own = set(self.roots)
        return sum(member.ref not in own for member in self.members)


def groups(failed: Iterable[Standing]) -> tuple[FailureGroup, ...]:
    """The failures of each root."""
    found: dict[Ref, list[Standing]] = {}
    for standing in failed:
        found.setdefault(standing.root or standing.ref, []).append(standing)
    return tuple(
        FailureGroup(root, _error_of(root, members), tuple(members))
        for root, members in found.items()
    )


def _error_of(root: Ref, members: Sequence[Standing]) -> str:
    """The cause's own error, else the first that names it."""
    own = (member.reason for member in members if member.ref == root)
    return next(own, "") or members[0].reason


def causes(
    snapshot: Snapshot, failures: Iterable[FailureGroup]
) -> tuple[FoldedCause, ...]:
    """The failures by their reason: those that stopped most resources first."""
    folded: dict[tuple[str, str], list[FailureGroup]] = {}
    for group in failures:
        folded.setdefault(_kind(group), []).append(group)
    found = [_cause(snapshot, same) for same in folded.values()]
    return tuple(
        sorted(found, key=lambda cause: (-len(cause.members), cause.roots))
    )


def _kind(group: FailureGroup) -> tuple[str, str]:
    """What failures have in common that are of one cause."""
    root = group.root
    error = group.error.replace(root.stack_name, "*").replace(root.id, "*")
    return root.type, _OWN.sub("*", error)


def _cause(snapshot: Snapshot, same: Sequence[FailureGroup]) -> FoldedCause:
    members = tuple(member for group in same for member in group.members)
    roots = tuple(sorted(group.root for group in same))
    tenants = {snapshot.tenant_of(member.ref) for member in members} - {""}
    since = min((one.since for one in members if one.since), default=0.0)
    return FoldedCause(
        roots,
        tuple(sorted(tenants)),
        same[0].error,
        members,
        since,
        _todo(roots),
    )


def _todo(roots: Sequence[Ref]) -> str:
    """What a person can do."""
    root = roots[0]
    if root.type == TEMPLATE_TYPE:
        return f"correct the template {root.id}; its users are tried again then"
    if root.type == _SCHEMA_TYPE:
        return f"correct the schema of {root.id}"
    if len(roots) == 1:
        return f"correct it, or: orchestrator retry {root.type} {root.id}"
    return f"correct them, or: orchestrator retry {root.type}"
