"""Which resources are listed, and in which order: what ``get`` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from .phases import Phase
from .resource import ResourceView, resources
from .snapshot import Snapshot
from .times import UNTIMED, Moment


class ListState(StrEnum):
    """States by which resources are chosen."""

    FAILED = "failed"
    """Failed, overdue, in trouble, or broken."""
    HELD = "held"
    """Held back, or with a deletion that is held."""
    RUNNING = "running"
    """With a job under way."""
    OUTDATED = "outdated"
    """Built from outputs or a template that are others now."""
    DRIFTED = "drifted"
    """Heat has something else than was built."""


_PHASES: Mapping[ListState, frozenset[Phase]] = {
    ListState.FAILED: frozenset(
        {Phase.FAILED, Phase.OVERDUE, Phase.TROUBLE, Phase.BROKEN}
    ),
    ListState.HELD: frozenset({Phase.HELD, Phase.UNCONFIRMED}),
    ListState.RUNNING: frozenset({Phase.RUNNING, Phase.OVERDUE, Phase.TROUBLE}),
}


def _is(state: ListState, one: ResourceView) -> bool:
    """Whether a resource is in a state."""
    match state:
        case ListState.OUTDATED:
            return one.standing.outdated is not None
        case ListState.DRIFTED:
            return bool(one.drift) and not (one.drift or {}).get("accepted")
        case _:
            return one.standing.phase in _PHASES[state]


class SortBy(StrEnum):
    """What a list is sorted by."""

    NAME = "name"
    """The order of the types, then the id."""
    AGE = "age"
    """What stands as it does for the longest time comes first; what has no time comes last."""
    TENANT = "tenant"
    PHASE = "phase"
    """What needs a person comes first."""


@dataclass(frozen=True, slots=True)
class ListChoice:
    """Which resources are listed."""

    kind: str | None = None
    """The type; None: all."""
    tenant: str | None = None
    """The project; None: all."""
    states: frozenset[ListState] = frozenset()
    """Those in any of these states; empty: all."""
    order: SortBy = SortBy.NAME

    def of_type(self, kind: str) -> ListChoice:
        """The same, of one type."""
        return replace(self, kind=kind)

    def takes(self, one: ResourceView) -> bool:
        """Whether a resource is listed."""
        if self.tenant is not None and one.tenant != self.tenant:
            return False
        return not self.states or any(_is(state, one) for state in self.states)


def chosen(
    snapshot: Snapshot, choice: ListChoice, moment: Moment = UNTIMED
) -> list[ResourceView]:
    """The resources that are chosen, in their order."""
    listed = resources(snapshot, choice.kind, moment)
    return ordered(filter(choice.takes, listed), choice.order)


_WORST_FIRST = (
    Phase.OVERDUE,
    Phase.FAILED,
    Phase.TROUBLE,
    Phase.BROKEN,
    Phase.UNCONFIRMED,
    Phase.HELD,
    Phase.STALE,
)


def _by_age(one: ResourceView) -> tuple[bool, float]:
    since = one.standing.since
    return not since, since


def _by_tenant(one: ResourceView) -> str:
    return one.tenant


def _by_phase(one: ResourceView) -> tuple[int, str]:
    phase = one.standing.phase
    place = len(_WORST_FIRST)
    if phase in _WORST_FIRST:
        place = _WORST_FIRST.index(phase)
    return place, phase.value


def ordered(
    listed: Iterable[ResourceView], order: SortBy
) -> list[ResourceView]:
    """The same in an order; those that are equal stay as they were."""
    by: Mapping[SortBy, Callable[[ResourceView], object]] = {
        SortBy.AGE: _by_age,
        SortBy.TENANT: _by_tenant,
        SortBy.PHASE: _by_phase,
    }
    found = list(listed)
    if order in by:
        found.sort(key=by[order])  # type: ignore[arg-type]  # each is sortable
    return found
