"""What Heat has otherwise than it was built, and how far that is known: what ``drift`` shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..core.records import Depth, Drift
from ..core.refs import Json, Ref
from .snapshot import Snapshot

NOT_COMPARED = {
    Depth.REQUEST: "templates and parameters",
    Depth.PROPERTIES: "properties of the resources inside the stacks",
    Depth.OUTPUTS: "outputs",
}
"""What a sweep of less than that depth does not compare."""


@dataclass(frozen=True, slots=True)
class DriftView:
    """One resource that differs."""

    ref: Ref
    drift: Drift

    @property
    def lost(self) -> bool:
        return self.drift.lost

    @property
    def kinds(self) -> list[str]:
        return [kind.value for kind in self.drift.kinds]

    @property
    def since(self) -> float:
        """Seconds since the epoch by the worker's clock."""
        return self.drift.since

    @property
    def reason(self) -> str:
        return self.drift.reason

    def to_json(self) -> dict[str, Json]:
        drift = self.drift
        return {
            "type": self.ref.type,
            "id": self.ref.id,
            "tenant_id": drift.tenant,
            "kinds": self.kinds,
            "deviations": [one.to_record() for one in drift.deviations],
            "more": drift.left_out,
            "reason": drift.reason,
            "since": drift.since,
            "depth": int(drift.depth),
            "accepted": drift.accepted,
            "corrections": drift.corrections,
        }


def drifts(
    snapshot: Snapshot, *, accepted: bool = False
) -> Iterator[DriftView]:
    """All resources that differ, in order of type and id.

    :param accepted: also those whose deviations a person has accepted.
    """
    for ref in sorted(snapshot.drifts):
        drift = snapshot.drift(ref)
        if drift is not None and (accepted or not drift.accepted):
            yield DriftView(ref, drift)


@dataclass(frozen=True, slots=True)
class SweepView:
    """How the stacks of one tenant were last compared."""

    tenant: str
    at: float
    """Seconds since the epoch by the worker's clock; 0: never."""
    stacks: int
    depth: int
    not_compared: tuple[str, ...]
    reason: str
    """Why the last sweep came to nothing; empty when it did not."""

    def to_json(self) -> dict[str, Json]:
        return {
            "tenant_id": self.tenant,
            "at": self.at,
            "stacks": self.stacks,
            "depth": self.depth,
            "not_compared": list(self.not_compared),
            "reason": self.reason,
        }


def sweeps(snapshot: Snapshot) -> list[SweepView]:
    """The last sweep of each tenant that has a stack."""
    tenants = {stack.tenant for stack in snapshot.stacks.values() if stack.live}
    return [_sweep(snapshot, tenant) for tenant in sorted(tenants)]


def _sweep(snapshot: Snapshot, tenant: str) -> SweepView:
    sweep = snapshot.sweeps.get(tenant)
    if sweep is None:
        return SweepView(tenant, 0.0, 0, 0, (), "")
    missing = [
        what for depth, what in NOT_COMPARED.items() if depth > sweep.depth
    ]
    return SweepView(
        tenant,
        sweep.at,
        sweep.stacks,
        sweep.depth,
        (*missing, *sweep.not_compared),
        sweep.reason,
    )


def lost_stack(snapshot: Snapshot, ref: Ref) -> str:
    """What is said of a resource whose stack is gone, and what to do."""
    name: str = ref.stack_name
    stack = snapshot.stacks.get(ref)
    if stack is not None and stack.name:
        name = stack.name
    return (
        f"Heat has no stack {name} any more, and we did not delete it; build"
        f" it again: orchestrator drift {ref.type} {ref.id} correct"
    )
